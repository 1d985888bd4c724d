package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/claudemesh/broker/core/control"
)

// socketsOf is a root in which processes listen: an address, the process, and
// whether we may look at it.
func socketsOf(t *testing.T, list ...listening) fs.FS {
	t.Helper()
	root := fstest.MapFS{}
	tables := map[string]string{"proc/net/tcp": "head\n", "proc/net/tcp6": "head\n"}
	for i, l := range list {
		a := netip.MustParseAddrPort(l.address)
		words, table := a.Addr().AsSlice(), "proc/net/tcp"
		if len(words) == 16 {
			table = "proc/net/tcp6"
		}
		for i := 0; i < len(words); i += 4 {
			binary.BigEndian.PutUint32(words[i:], binary.NativeEndian.Uint32(words[i:]))
		}
		tables[table] += fmt.Sprintf("%d: %X:%04X 00:00 0A 0:0 00:0 0 1000 0 %d 1\n", i, words, a.Port(), 100+i)
		if l.hidden {
			continue
		}
		root[fmt.Sprintf("proc/%d/comm", l.pid)] = &fstest.MapFile{Data: fmt.Appendf(nil, "p%d\n", l.pid)}
		root[fmt.Sprintf("proc/%d/fd/3", l.pid)] = &fstest.MapFile{Data: fmt.Appendf(nil, "socket:[%d]", 100+i), Mode: fs.ModeSymlink}
	}
	for name, text := range tables {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

type listening struct {
	address string
	pid     int
	hidden  bool // from this user
}

// TestHolder holds that a process is named by its address, and not by its port
// alone.
func TestHolder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		address string
		list    []listening
		want    int // 0 for nobody
	}{
		"of two addresses":         {"127.0.0.1:7900", []listening{{"127.0.0.2:7900", 1, false}, {"127.0.0.1:7900", 2, false}}, 2},
		"on every interface":       {"127.0.0.1:7900", []listening{{"0.0.0.0:7900", 3, false}}, 3},
		"on every one, both ways":  {"127.0.0.1:7900", []listening{{"[::]:7900", 3, false}}, 3},
		"on one, and we want all":  {"0.0.0.0:7900", []listening{{"127.0.0.1:7900", 3, false}}, 3},
		"without a host":           {":7900", []listening{{"127.0.0.1:7900", 3, false}}, 3},
		"of the other family":      {"0.0.0.0:7900", []listening{{"[::1]:7900", 3, false}}, 0},
		"by a name":                {"localhost:7900", []listening{{"[::1]:7900", 3, false}}, 3},
		"another port":             {"127.0.0.1:7900", []listening{{"127.0.0.1:7901", 3, false}}, 0},
		"an address that is mixed": {"127.0.0.1:7900", []listening{{"[::ffff:127.0.0.1]:7900", 3, false}}, 3},
		"which we may not look at": {"127.0.0.1:7900", []listening{{"127.0.0.1:7900", 3, true}}, 0},
	} {
		m := ThisMachine(nil)
		m.Lookup = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1", "::1"}, nil }
		m.Root = socketsOf(t, tt.list...)
		if p, _ := m.holder(m.listeningAt(t.Context(), tt.address)); p.pid != tt.want {
			t.Errorf("%s: %s is that of %+v", name, tt.address, p)
		}
	}
}

// TestPortBesideABroker holds whose a taken port is while a broker runs.
func TestPortBesideABroker(t *testing.T) {
	t.Parallel()
	const address, broker = "127.0.0.1:7901", 70
	other := listening{"127.0.0.1:1", broker, false} // what the broker has beside it
	for name, tt := range map[string]struct {
		list []listening
		told control.About
		want Finding
	}{
		"its own":                       {[]listening{{address, broker, false}}, control.About{}, Finding{"console.listen", OK, "is the running broker's", ""}},
		"shared with a child":           {[]listening{{address, 20, false}, {address, broker, false}}, control.About{}, Finding{"console.listen", OK, "is the running broker's", ""}},
		"another's":                     {[]listening{other, {address, 80, false}}, control.About{}, Finding{"console.listen", Fail, "taken by process 80 (p80)", "stop process 80"}},
		"another user's":                {[]listening{other, {address, 80, true}}, control.About{}, Finding{"console.listen", Fail, "taken by another process", "ss -ltnp"}},
		"another user's, and it lies":   {[]listening{other, {address, 80, true}}, control.About{Console: "http://" + address + "/"}, Finding{"console.listen", Fail, "taken by another process", "ss -ltnp"}},
		"a broker that nobody sees":     {nil, control.About{Console: "http://" + address + "/console"}, Finding{"console.listen", OK, "is the running broker's", ""}},
		"one that is reached for peers": {nil, control.About{URL: "ws://" + address + "/ws"}, Finding{"console.listen", OK, "is the running broker's", ""}},
		"one that says another":         {[]listening{{address, broker, true}}, control.About{Console: "http://127.0.0.1:7902/"}, Finding{"console.listen", Warn, "cannot be seen", "the user that the broker runs as"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.Config.Listen = "127.0.0.1:0"
			r.Config.Console.Listen = address
			r.Machine.Root = socketsOf(t, tt.list...)
			r.Machine.Listen = func(_ context.Context, a string) error {
				if a == address {
					return syscall.EADDRINUSE
				}
				return errors.New("asked for " + a)
			}
			r.pid, r.told = broker, tt.told
			r.run()
			r.wants(tt.want)
		})
	}
}
