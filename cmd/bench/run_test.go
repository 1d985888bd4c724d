package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store/pgtest"
)

// bench runs one command of the program, with this test binary as the program
// that it starts for servers and generators.
func bench(t *testing.T, args ...string) (out string, code int, errs string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("CPU times are read from /proc")
	}
	t.Setenv(asProgram, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector waits a second at the end of each child
	var stdout, stderr bytes.Buffer
	code = start(args, strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), code, stderr.String()
}

// measure runs a tiny plan and returns its report.
func measure(t *testing.T, args ...string) report {
	t.Helper()
	args = append([]string{"run", "--json", "--runs", "1", "--seconds", "0.2", "--server-cpu", "-1", "--load-cpu", "-1",
		"--dir", t.TempDir()}, args...)
	out, code, errs := bench(t, args...)
	if code != 0 {
		t.Fatalf("bench %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// wantClean checks that each result has counted something and found no fault.
func wantClean(t *testing.T, r report, results int) {
	t.Helper()
	if len(r.Measured) != results || len(r.Summary) != results {
		t.Fatalf("got %d results and %d rows, want %d", len(r.Measured), len(r.Summary), results)
	}
	for _, m := range r.Measured {
		if m.Result.Count == 0 || m.Result.Rate <= 0 {
			t.Errorf("%s, %s: nothing was measured: %+v", m.Scenario, m.Subject, m.Result)
		}
		if m.Result.Faults != (faults{}) {
			t.Errorf("%s, %s: %s (%s)", m.Scenario, m.Subject, faultText(m.Result.Faults), m.Result.Denial)
		}
	}
	for _, row := range r.Summary {
		if row.ToRelay.Rate <= 0 {
			t.Errorf("%s, %s: no ratio to the relay", row.Scenario, row.Subject)
		}
	}
}

func TestDirect(t *testing.T) {
	r := measure(t, "--scenario", "direct", "--peers", "4", "--window", "3", "--clients", "old,new,member")
	wantClean(t, r, 4)
}

func TestTopic(t *testing.T) {
	r := measure(t, "--scenario", "direct,topic", "--peers", "4", "--window", "3")
	wantClean(t, r, 4)
	if row := r.Summary[3]; row.Scenario != "topic" || row.ToDirect.CPU <= 0 || row.Median.Acked == 0 {
		t.Errorf("got %+v, want a ratio to direct messages", row)
	}
}

func TestHTTP(t *testing.T) {
	r := measure(t, "--scenario", "direct,http", "--server", "broker", "--peers", "3", "--window", "2")
	if len(r.Summary) != 2 {
		t.Fatalf("got %d rows", len(r.Summary))
	}
	if row := r.Summary[1]; row.Median.Count == 0 || row.ToDirect.CPU <= 0 || row.Median.Faults != (faults{}) {
		t.Errorf("got %+v", row)
	}
	if alone := measure(t, "--scenario", "http", "--peers", "2", "--window", "1"); len(alone.Summary) != 1 {
		t.Errorf("got %d rows, want the broker alone: a relay has no such route", len(alone.Summary))
	}
}

func TestOpen(t *testing.T) {
	wantClean(t, measure(t, "--scenario", "open", "--peers", "3", "--rate", "200"), 2)
}

func TestConnect(t *testing.T) {
	wantClean(t, measure(t, "--scenario", "connect,storm", "--peers", "2"), 4)
}

func TestIdle(t *testing.T) {
	r := measure(t, "--scenario", "idle", "--peers", "20")
	wantClean(t, r, 2)
	for _, m := range r.Measured {
		if m.Result.Resident == 0 {
			t.Errorf("%s: memory was not measured", m.Subject)
		}
	}
}

func TestReplicas(t *testing.T) {
	r := measure(t, "--scenario", "direct,audit", "--peers", "6", "--window", "2", "--store", "sqlite,postgres", "--database-url", pgtest.URL(t),
		"--replicas", "1,2", "--bus", "postgres,nats", "--pairs", "same,cross")
	wantClean(t, r, 2*7)
	for _, row := range r.Summary {
		m := row.Median
		if simple := row.Subject.Replicas < 2; simple != (row.ToSimpler.P99 == 0) {
			t.Errorf("%s: ratio %g to what is simpler", row.Subject, row.ToSimpler.P99)
		}
		if row.Subject.Store == postgresStore && (m.Audited < m.Acked || m.Acked == 0 || m.Commits == 0) {
			t.Errorf("%s: %d entries for %d messages, %g transactions for each", row.Subject, m.Audited, m.Acked, m.Commits)
		}
		if cross := row.Subject.Pairs == crossPairs; cross != (m.Drained > 0.5) || cross && m.Rowless > 0 {
			t.Errorf("%s: %g of the messages were read back, %g had no row", row.Subject, m.Drained, m.Rowless)
		}
	}
}

func TestGrowth(t *testing.T) {
	r := measure(t, "--scenario", "growth", "--peers", "3", "--sizes", "2,20")
	wantClean(t, r, 4)
	for i, row := range r.Summary {
		if want := []int{2, 20}[i%2]; row.Median.Idle != want || row.ToFirst.Rate <= 0 {
			t.Errorf("row %d: got %d idle and ratio %g to the first size, want %d and a ratio", i, row.Median.Idle, row.ToFirst.Rate, want)
		}
	}
}

func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	cpu, mem := filepath.Join(dir, "cpu.out"), filepath.Join(dir, "mem.out")
	measure(t, "--server", "broker", "--peers", "2", "--cpuprofile", cpu, "--memprofile", mem)
	for _, file := range []string{cpu, mem} {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", filepath.Base(file), err)
		}
	}
}

func TestPinned(t *testing.T) {
	r := measure(t, "--server", "relay", "--peers", "2", "--server-cpu", "0", "--load-cpu", "0", "--relay-codec", "std")
	wantClean(t, r, 1)
}

func TestMarkdown(t *testing.T) {
	out, code, errs := bench(t, "run", "--runs", "2", "--seconds", "0.1", "--peers", "2", "--durability", "process", "--server-cpu", "-1", "--load-cpu", "-1", "--dir", t.TempDir())
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	for _, want := range []string{"\n### direct: 2 peers, window 16", "\n| relay | ", "\n| broker, process, old peers | "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, want string
		args       []string
	}{
		{"it names the scenarios", "growth", []string{"--scenario", "fast"}},
		{"it names the servers", "relay, broker or both", []string{"--server", "nats"}},
		{"it names the durabilities", "power or process", []string{"--durability", "none"}},
		{"it names the peers", "old, new or member", []string{"--clients", "young"}},
		{"it wants room for the stamp", "32 bytes", []string{"--body", "8"}},
		{"it wants two peers", "2 at least", []string{"--peers", "1"}},
		{"it passes on that no broker is there", "mesh create", []string{"--broker", "/nowhere/broker", "--server", "broker"}},
		{"it names the stores", "sqlite or postgres", []string{"--store", "mysql"}},
		{"it names the buses", "postgres or nats", []string{"--bus", "kafka"}},
		{"it names the pairs", "same or cross", []string{"--pairs", "any"}},
		{"it wants a server", "--database-url", []string{"--store", "postgres"}},
		{"it hides what is no URL", "is no URL", []string{"--store", "postgres", "--database-url", "postgres://a:b@[", "--server", "broker"}},
		{"it wants a store that can be shared", "--store postgres", []string{"--replicas", "2"}},
		{"it wants two peers for each replica", "6 at least", []string{"--replicas", "3", "--store", "postgres", "--database-url", "x", "--peers", "4"}},
		{"it names the libraries", "own or std", []string{"--relay-codec", "fast", "--server", "relay"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, code, errs := bench(t, append([]string{"run", "--runs", "1", "--server-cpu", "-1", "--load-cpu", "-1"}, tt.args...)...)
			if code != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("got %d and %q, want 1 and %q", code, errs, tt.want)
			}
		})
	}
}

func TestLoadWantsATask(t *testing.T) {
	if code := start([]string{"load"}, strings.NewReader("{}"), io.Discard, io.Discard); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
}
