package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPorts takes addresses away.
func TestPorts(t *testing.T) {
	t.Parallel()
	t.Run("another process has it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		l := listen(t)
		defer l.Close()
		r.Config.Listen = l.Addr().String()
		r.wants(Finding{"listen", Fail, r.Config.Listen + " is taken by ", "another port"})
	})
	t.Run("a process that is not the broker that runs has it", func(t *testing.T) {
		t.Parallel()
		if _, err := os.Stat("/proc/net/tcp"); err != nil {
			t.Skip("this system does not say who listens")
		}
		r := newRig(t, "")
		l := listen(t)
		defer l.Close()
		r.Config.HTTP.OpsListen = l.Addr().String()
		r.pid = 1
		r.run()
		r.wants(Finding{"http.ops_listen", Fail, "is taken by process ", "stop process "}, "listen", CheckBroker)
	})
	t.Run("no interface has it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.Config.Console.Listen = "192.0.2.1:7901" // of documents alone
		r.wants(Finding{"console.listen", Fail, "no interface", "address of this machine"})
	})
	t.Run("a free one is picked", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.Config.Listen = "127.0.0.1:0"
		r.wants(Finding{"listen", OK, "picked", ""})
	})
	t.Run("the broker that runs listens elsewhere", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.run()
		r.wants(Finding{"listen", Warn, "is free: the broker that runs", "flags"})
	})
	for name, tt := range map[string]struct {
		status int
		body   string
		want   Finding
	}{
		"the broker that runs has it": {200, `{"status":"ready"}`, Finding{"listen", OK, "is the running broker's", ""}},
		"which is not ready":          {503, `{"status":"not_ready","reason":"stage_down","stages":["limit"]}`, Finding{CheckBroker, Fail, "takes no traffic: stage_down limit", "docs/ha.md"}},
		"which is something else":     {404, `nothing`, Finding{CheckBroker, Fail, "404", "docs/ha.md"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer s.Close()
			r := newRig(t, "")
			r.Config.Listen = s.Listener.Addr().String()
			r.run()
			r.wants(tt.want)
		})
	}
}

// TestPublicURL reaches for what stands before a broker.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	trusted := x509.NewCertPool()
	trusted.AddCert(secure.Certificate())
	for name, tt := range map[string]struct {
		url  string
		do   func(*rig)
		want Finding
	}{
		"not set":                  {"", func(*rig) {}, Finding{CheckPublicURL, OK, "this machine alone", ""}},
		"not set, and open to all": {"", func(r *rig) { r.Config.Listen = strings.Replace(r.Config.Listen, "127.0.0.1", "", 1) }, Finding{CheckPublicURL, Warn, "only this machine reaches", "set public_url"}},
		"reached":                  {"ws://" + plain.Listener.Addr().String() + "/ws", func(*rig) {}, Finding{CheckPublicURL, OK, "is reached", ""}},
		"reached by TLS":           {"wss://" + secure.Listener.Addr().String() + "/ws", func(r *rig) { r.Machine.Roots = &tls.Config{RootCAs: trusted} }, Finding{CheckPublicURL, OK, "good until 2084", ""}},
		"an old certificate": {"wss://" + secure.Listener.Addr().String() + "/ws", func(r *rig) {
			r.Machine.Roots = &tls.Config{RootCAs: trusted}
			end := secure.Certificate().NotAfter.Add(-time.Hour)
			ran := time.Now()
			r.Machine.Now = func() time.Time { return end.Add(time.Since(ran)) }
		}, Finding{CheckPublicURL, Warn, "its certificate ends on 2084", "renew"}},
		"nobody trusts its certificate": {"wss://" + secure.Listener.Addr().String() + "/ws", func(*rig) {}, Finding{CheckPublicURL, Warn, "no TLS there that peers accept", "reverse proxy"}},
		"no TLS there":                  {"wss://" + plain.Listener.Addr().String() + "/ws", func(*rig) {}, Finding{CheckPublicURL, Warn, "no TLS there", "ws://"}},
		"nobody listens":                {"ws://127.0.0.1:1/ws", func(*rig) {}, Finding{CheckPublicURL, Warn, "connection refused", "open the port"}},
		"nobody knows the name": {"wss://mesh.invalid/ws", func(r *rig) {
			r.Machine.Lookup = func(context.Context, string) ([]string, error) { return nil, errors.New("no such host") }
		}, Finding{CheckPublicURL, Warn, "no such host", "DNS"}},
		"in the clear, far away": {"ws://192.0.2.7/ws", func(r *rig) {
			r.Machine.Dial = func(_ context.Context, address string) (net.Conn, error) {
				if address != "192.0.2.7:80" {
					return nil, errors.New("dialled " + address)
				}
				near, far := net.Pipe()
				far.Close()
				return near, nil
			}
		}, Finding{CheckPublicURL, Warn, "in the clear", "TLS"}},
		"no proxy is trusted":  {"wss://" + secure.Listener.Addr().String() + "/ws", func(r *rig) { r.Machine.Roots = &tls.Config{RootCAs: trusted}; r.Config.HTTP.TrustedProxies = nil }, Finding{CheckProxies, Warn, "share one address", "http.trusted_proxies"}},
		"everybody is trusted": {"", func(r *rig) { r.Config.HTTP.TrustedProxies = []string{"10.0.0.1", "0.0.0.0/0"} }, Finding{CheckProxies, Warn, "0.0.0.0/0 trusts everybody", "own addresses"}},
		"one is trusted":       {"", func(r *rig) { r.Config.HTTP.TrustedProxies = []string{"10.0.0.1"} }, Finding{CheckProxies, OK, "1 network(s)", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "")
			r.Config.PublicURL = tt.url
			r.Config.HTTP.TrustedProxies = []string{"127.0.0.1"}
			tt.do(r)
			r.wants(tt.want, CheckClock)
		})
	}
}

// TestLimits looks at processes with other limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	const (
		v2      = "0::/system.slice/broker.service\n"
		max     = "sys/fs/cgroup/system.slice/broker.service/memory.max"
		parent  = "sys/fs/cgroup/system.slice/memory.max"
		v1      = "4:cpu:/x\n5:cpuset,memory:/docker/abc\n"
		limited = "536870912\n"
	)
	for name, tt := range map[string]struct {
		files map[string]string
		pid   int
		open  uint64
		gomem string
		wants Finding
	}{
		"few files":                 {nil, 0, 100, "", Finding{CheckFiles, Fail, "may open 100 files", "LimitNOFILE"}},
		"fewer than connections":    {nil, 0, 4096, "", Finding{CheckFiles, Warn, "10000 connections", "limits.connections_per_mesh"}},
		"enough":                    {nil, 0, 20000, "", Finding{CheckFiles, OK, "a process of this user may open 20000", ""}},
		"those of the broker":       {map[string]string{"proc/9/limits": "Max cpu time  unlimited\nMax open files            1024                 4096                 files\n"}, 9, 1 << 20, "", Finding{CheckFiles, Warn, "the running broker may open 1024", "LimitNOFILE"}},
		"any number":                {map[string]string{"proc/9/limits": "Max open files            unlimited  unlimited files\n"}, 9, 1, "", Finding{CheckFiles, OK, "any number", ""}},
		"no limit":                  {map[string]string{"proc/self/cgroup": v2, max: "max\n"}, 0, 1 << 20, "", Finding{CheckMemory, OK, "no limit", ""}},
		"a limit Go does not know":  {map[string]string{"proc/self/cgroup": v2, max: limited}, 0, 1 << 20, "", Finding{CheckMemory, Warn, "limited to 512.0 MiB, and GOMEMLIMIT is not set", "GOMEMLIMIT=460MiB"}},
		"one above":                 {map[string]string{"proc/self/cgroup": v2, max: "max", parent: limited}, 0, 1 << 20, "", Finding{CheckMemory, Warn, "limited to 512.0 MiB", "GOMEMLIMIT"}},
		"one in a container":        {map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/memory.max": limited}, 0, 1 << 20, "", Finding{CheckMemory, Warn, "limited to 512.0 MiB", "GOMEMLIMIT"}},
		"one of the first version":  {map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": limited}, 0, 1 << 20, "", Finding{CheckMemory, Warn, "limited to 512.0 MiB", "GOMEMLIMIT"}},
		"none of the first version": {map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 0, 1 << 20, "", Finding{CheckMemory, OK, "no limit", ""}},
		"one that Go knows":         {map[string]string{"proc/self/cgroup": v2, max: limited}, 0, 1 << 20, "450MiB", Finding{CheckMemory, OK, "GOMEMLIMIT is 450.0 MiB", ""}},
		"one that Go is told wrong": {map[string]string{"proc/self/cgroup": v2, max: limited}, 0, 1 << 20, "1GiB", Finding{CheckMemory, Warn, "above it", "460MiB"}},
		"very little":               {map[string]string{"proc/self/cgroup": v2, max: "67108864"}, 0, 1 << 20, "60MiB", Finding{CheckMemory, Warn, "limited to 64.0 MiB", "more memory"}},
		"the broker's own":          {map[string]string{"proc/9/cgroup": v2, max: limited, "proc/9/environ": "A=b\x00GOMEMLIMIT=450MiB\x00"}, 9, 1 << 20, "", Finding{CheckMemory, OK, "GOMEMLIMIT is 450.0 MiB", ""}},
		"the broker's, unseen":      {map[string]string{"proc/9/cgroup": v2, max: limited}, 9, 1 << 20, "", Finding{CheckMemory, OK, "cannot be seen", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.Machine.Root = files(tt.files)
			r.Machine.OpenFiles = func() (uint64, error) { return tt.open, nil }
			r.Machine.Lookenv = func(string) (string, bool) { return tt.gomem, tt.gomem != "" }
			if tt.pid != 0 {
				r.pid = tt.pid
				r.run()
			}
			r.wants(tt.wants, "listen")
		})
	}
	t.Run("not known here", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "")
		r.Machine.OpenFiles = func() (uint64, error) { return 0, errors.ErrUnsupported }
		r.wants(Finding{CheckFiles, OK, "not known", ""})
	})
}

func TestGoLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{
		"100": 100, "100B": 100, "2KiB": 2048, "3MiB": 3 << 20, "1GiB": 1 << 30, "1TiB": 1 << 40,
		"off": 0, "": 0, "1MB": 0, "-1": 0, "99999999999TiB": 0,
	} {
		if got := parseGoLimit(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
