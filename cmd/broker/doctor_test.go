package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/doctor"
)

// examined is what broker doctor --json says.
type examined struct {
	OK      bool             `json:"ok"`
	Version string           `json:"version"`
	Checks  []doctor.Finding `json:"checks"`
}

// examine runs doctor and returns what it found, and its exit code.
func (x *terminal) examine(args ...string) (*examined, int) {
	x.t.Helper()
	r := x.try(append([]string{"doctor", "--json"}, args...)...)
	e := parse[examined](x.t, r.out)
	if e.OK != (r.code == exitOK) || r.err != "" || e.Version != programVersion() {
		x.t.Errorf("exit %d, %+v\n%s", r.code, e, r.err)
	}
	return e, r.code
}

// states are the states of a check.
func (e *examined) states(check string) (states []doctor.State) {
	for _, f := range e.Checks {
		if f.Check == check {
			states = append(states, f.State)
		}
	}
	return states
}

// TestDoctor follows a broker that is well: before it was, while it runs, and
// after.
func TestDoctor(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	place := x.on("--set", "listen=127.0.0.1:0")
	before, code := x.examine(place...)
	if code != exitOK {
		t.Errorf("before the first start: %+v", before)
	}
	if _, err := os.Stat(x.data); err == nil {
		t.Error("it made the data directory")
	}
	broker, _ := x.serve()
	during, code := x.examine(place...)
	if code != exitOK || len(during.states(doctor.CheckKey)) != 1 || len(during.states(doctor.CheckIntegrity)) != 1 {
		t.Errorf("while it runs: %+v", during)
	}
	out := x.ok(append([]string{"doctor"}, place...)...)
	if !strings.Contains(out, "ok    broker          process ") || !strings.Contains(out, " 0 failed\n") {
		t.Errorf("while it runs:\n%s", out)
	}
	broker.end()
	after, code := x.examine(place...)
	if code != exitOK || slices.Contains(after.states(doctor.CheckMigrations), doctor.Fail) || len(after.states(doctor.CheckMigrations)) != 1 {
		t.Errorf("after it: %+v", after)
	}
}

// TestDoctorFails breaks what only the command line can break.
func TestDoctorFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // behind the tests in parallel
	good := script(t, "good", "stage", "serve", "rate-limit")
	for name, tt := range map[string]struct {
		environ []string
		args    []string
		check   string
		words   string // of finding and fix
	}{
		"an unknown key":           {nil, []string{"--set", "lisen=x"}, doctor.CheckConfig, "did you mean listen?"},
		"a file that is not there": {nil, []string{"--config", "/nowhere.yaml"}, doctor.CheckConfig, "/nowhere.yaml"},
		"a chain that makes no sense": {
			nil, []string{"--config", writeFile(t, "insecure: true\npipeline: [{stage: route}, {stage: auth}]\n")}, doctor.CheckConfig, "the chain cannot be built",
		},
		"an address that is taken": {nil, []string{"--set", "listen=" + taken.Addr().String()}, "listen", "is taken by "},
		"another key":              {[]string{"BROKER_ENCRYPTION_KEY=" + productionKey}, nil, doctor.CheckKey, "BROKER_ENCRYPTION_KEY"},
		"a database that is away": {
			[]string{"DATABASE_URL=postgres://mesh:hunter2hunter2@127.0.0.1:1/mesh"}, nil, doctor.CheckStore, "connection refused",
		},
		"a plugin with another pin": {
			nil, []string{"--config", withPlugin(t, good, "      sha256: "+strings.Repeat("ab", 32))}, "plugin:limit", "broker plugin pin limit",
		},
		"a plugin that refuses its options": {nil, []string{"--config", withPlugin(t, good, "    with: {burst: 0}")}, "plugin:limit", "a burst below 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t)
			x.newMesh("home", "1")
			x.environ = tt.environ
			args := x.on(append(tt.args, "--set", "shutdown_timeout=9s")...)
			if tt.check != "listen" && tt.check != doctor.CheckConfig {
				args = append(args, "--set", "listen=127.0.0.1:0")
			}
			e, code := x.examine(args...)
			found := slices.ContainsFunc(e.Checks, func(f doctor.Finding) bool {
				return f.Check == tt.check && f.State == doctor.Fail && strings.Contains(f.Found+f.Fix, tt.words)
			})
			if code != exitFailed || !found {
				t.Errorf("exit %d, %+v", code, e)
			}
			r := x.try(append([]string{"doctor"}, args...)...)
			at := strings.Index(r.out, "FAIL  "+tt.check)
			if at < 0 || !strings.Contains(r.out[at:], "\n                      fix: ") || !strings.Contains(r.out, " failed\n") || strings.Contains(r.out, "hunter2") {
				t.Errorf("exit %d\n%s", r.code, r.out)
			}
		})
	}
}

// TestDoctorOfPlugins starts a good plugin beside nobody, and tells of the one
// that a running broker has.
func TestDoctorOfPlugins(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	good := script(t, "good", "stage", "serve", "rate-limit")
	file := withPlugin(t, good, "    with: {burst: 5}")
	e, code := x.examine(x.on("--config", file, "--set", "listen=127.0.0.1:0")...)
	if code != exitOK || !slices.Equal(e.states("plugin:limit"), []doctor.State{doctor.OK}) {
		t.Errorf("a good one: %+v", e)
	}
	x.serve("--config", file)
	e, code = x.examine(x.on("--config", file, "--set", "listen=127.0.0.1:0")...)
	if code != exitOK || !slices.Equal(e.states("plugin:limit"), []doctor.State{doctor.OK}) {
		t.Errorf("beside a broker: %+v", e)
	}
	if left, _ := filepath.Glob(filepath.Join(x.data, "plugins", "*")); len(left) > 4 {
		t.Errorf("what was started is left: %v", left)
	}
}
