package main

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// echo returns the address of a WebSocket server of the library that sends back
// what it gets.
func echo(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(1 << 20)
		for {
			kind, b, err := conn.Read(context.Background())
			if err != nil || conn.Write(context.Background(), kind, b) != nil {
				_ = conn.CloseNow()
				return
			}
		}
	}))
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

func TestSocketSpeaksToTheLibrary(t *testing.T) {
	var s socket
	if err := s.connect(t.Context(), echo(t), "/", idleBuffer); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 7, 8, 125, 126, 1000, 65535, 65536, 200_000} {
		sent := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		s.post(opText, sent)
		s.post(opPing, []byte("are you there"))
		s.flush()
		got, pong := false, false
		for !got || !pong {
			op, payload, ok, err := s.next()
			switch {
			case err != nil:
				t.Fatal(err)
			case !ok:
				if err := s.fill(); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
			case op == opPong:
				pong = true
			default:
				if got = true; op != opText || !bytes.Equal(payload, sent) {
					t.Fatalf("%d bytes: got %d bytes with opcode %d", size, len(payload), op)
				}
			}
		}
	}
	if err := s.goodbye(); err != nil {
		t.Errorf("goodbye: %v", err)
	}
}

func TestSocketTellsOfARefusal(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	err := new(socket).connect(t.Context(), strings.TrimPrefix(web.URL, "http://"), "/ws", idleBuffer)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v, want 404", err)
	}
}

func TestParseFrameRefusesWhatNoServerSends(t *testing.T) {
	for name, b := range map[string][]byte{"masked": {0x81, 0x81, 1, 2, 3, 4, 5}, "fragment": {0x01, 0x01, 5}} {
		if _, _, _, err := parseFrame(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBodies(t *testing.T) {
	for _, size := range []int{stampSize, 100, 512} {
		b := newBodies(size)
		want := stamp{from: 7, seq: 4711, at: 1e12}
		body := make([]byte, size)
		b.put(body, want)
		if got, ok := b.read(body); !ok || got != want {
			t.Errorf("%d bytes: got %+v, %t", size, got, ok)
		}
		for i := range body {
			damaged := bytes.Clone(body)
			damaged[i] ^= 0x40
			if got, ok := b.read(damaged); ok && got == want {
				t.Errorf("%d bytes: damage at %d does not show", size, i)
			}
		}
		if _, ok := b.read(body[:size-1]); ok {
			t.Errorf("%d bytes: a short body passes", size)
		}
	}
}

func TestLedger(t *testing.T) {
	tests := []struct {
		name string
		seqs []uint32
		want faults
		new  int
	}{
		{"it finds nothing in order", []uint32{0, 1, 2, 3}, faults{}, 4},
		{"it finds what is out of order", []uint32{0, 2, 1, 3}, faults{Reordered: 1}, 4},
		{"it finds what comes twice", []uint32{0, 1, 1, 0, 2}, faults{Duplicated: 2}, 3},
		{"it tells late from twice", []uint32{2, 0, 0, 1}, faults{Reordered: 1, Duplicated: 1}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, fresh := newLedger(2), 0
			for _, seq := range tt.seqs {
				if l.enter(1, seq) {
					fresh++
				}
			}
			if diff := cmp.Diff(tt.want, l.faults); diff != "" || fresh != tt.new {
				t.Errorf("%d new, want %d; (-want +got):\n%s", fresh, tt.new, diff)
			}
		})
	}
	l := newLedger(2)
	if l.enter(2, 0); l.Corrupt != 1 {
		t.Errorf("a sender that does not exist: got %+v", l.faults)
	}
}

func TestLatencies(t *testing.T) {
	last := -1
	for _, ns := range []int64{0, 1, 63, 64, 65, 127, 128, 1000, 12345, 1e6, 1e9, 3e12, math.MaxInt64} {
		b := bucketOf(ns)
		if b < last || b >= buckets {
			t.Errorf("%d ns: bucket %d behind %d", ns, b, last)
		}
		if b < buckets-1 && (ns >= upTo(b) || float64(upTo(b)) > float64(ns)*1.02+1) {
			t.Errorf("%d ns: bucket %d ends at %d", ns, b, upTo(b))
		}
		last = b
	}
	l := new(latencies)
	for i := range 1000 {
		l.observe(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		if got := l.quantile(q); got < want || got > want+want/50 {
			t.Errorf("quantile %g: got %v, want %v", q, got, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for name, d := range map[string]dialect{"relay": relayDialect{}, "old": brokerDialect{}, "new": brokerDialect{newest: true}} {
		m := d.template(key, 5, 40, targetMark)
		m.number(0xbeef)
		copy(m.frame[m.target:], key)
		copy(m.frame[m.body:], strings.Repeat("x", 40))
		for _, left := range []string{"tt", "bb", "ii"} {
			if bytes.Contains(m.frame, []byte(left)) {
				t.Errorf("%s: a mark is left in %s", name, m.frame)
			}
		}
		if n := bytes.Count(m.frame, []byte("00000000beef\"")); n != len(m.ids) {
			t.Errorf("%s: %d ids in %s, want %d", name, n, m.frame, len(m.ids))
		}
	}
}

func TestReport(t *testing.T) {
	relay, broker := subject{Server: bareRelay}, subject{Server: fullBroker, Durability: "power", Peers: oldPeers}
	r := report{Runs: 3}
	for run, rates := range [][2]float64{{100, 50}, {300, 60}, {200, 160}} {
		r.Measured = append(r.Measured,
			measured{Scenario: "direct", Run: run, Subject: relay, Result: &result{Rate: rates[0]}},
			measured{Scenario: "direct", Run: run, Subject: broker, Result: &result{Rate: rates[1], Faults: faults{Lost: 1}}})
	}
	r.summarize()
	if len(r.Summary) != 2 {
		t.Fatalf("got %d rows, want 2", len(r.Summary))
	}
	got := r.Summary[1]
	if got.Median.Rate != 60 || got.ToRelay.Rate != 0.5 || got.Median.Faults.Lost != 3 {
		t.Errorf("got median %g, ratio %g, %d lost; want 60, 0.5, 3", got.Median.Rate, got.ToRelay.Rate, got.Median.Faults.Lost)
	}
	var b strings.Builder
	if err := r.markdown(&b); err != nil || !strings.Contains(b.String(), "3 lost") {
		t.Errorf("%v, want the faults in\n%s", err, b.String())
	}
}

func TestPairs(t *testing.T) {
	f := &fleet{addrs: []string{"a", "b", "c"}}
	for pairs, want := range map[string][]int{"": {1, 2, 3, 6}, samePairs: {3, 6}, crossPairs: {1, 2}} {
		f.pairs = pairs
		var got []int
		for _, to := range []int{1, 2, 3, 6} {
			if f.paired(0, to) {
				got = append(got, to)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pairs %q: %s", pairs, diff)
		}
	}
}

func TestFamilyCPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CPU times are read from /proc")
	}
	before, err := familyCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const loop = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
	if err := exec.CommandContext(t.Context(), "sh", "-c", loop).Run(); err != nil {
		t.Fatal(err)
	}
	after, err := familyCPU(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("got %v and %v, want more: a child that has ended counts", after, err)
	}
}
