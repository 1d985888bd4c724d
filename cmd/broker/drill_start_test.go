package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// late makes a program that is no plugin until a file is there.
func late(t *testing.T) (path, marker string) {
	t.Helper()
	program := newDrill(t)
	marker = filepath.Join(t.TempDir(), "now")
	path = filepath.Join(t.TempDir(), "late")
	install(t, path, fmt.Appendf(nil, "#!/bin/sh\ntest -e '%s' && exec '%s'\necho it is not time >&2\nexit 3\n", marker, program))
	return path, marker
}

// errorLines are the lines of standard error that are no log.
func errorLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestDrillRequiredPluginAway(t *testing.T) {
	t.Parallel()
	script, _ := late(t)
	for name, path := range map[string]string{"a program that fails": script, "no program": filepath.Join(t.TempDir(), "nothing")} {
		t.Run(name, func(t *testing.T) {
			x := newTerminal(t)
			broker := x.child(x.on("serve", "--listen", "127.0.0.1:0", "--config", x.drillFile(drillLink{name: "guard", path: path}))...)
			code := broker.wait()
			lines := errorLines(broker.err.String())
			if code != exitFailed || len(lines) != 1 || !strings.HasPrefix(lines[0], "broker: ") || !strings.Contains(lines[0], "guard") {
				t.Errorf("exit %d, want %d and one line about guard:\n%s", code, exitFailed, broker.err)
			}
			if broker.out.String() != "" {
				t.Errorf("it said %q", broker.out)
			}
			if dirs := x.socketDirs(); len(dirs) != 0 {
				t.Errorf("it left %v", dirs)
			}
			t.Logf("it says %q", lines)
		})
	}
}

// TestDrillOptionalPluginComes starts a broker without a plugin that it can do
// without.
func TestDrillOptionalPluginComes(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	path, marker := late(t)
	broker, url := x.serveChild(x.drillFile(drillLink{
		name: "guard", path: path, link: "required: false\non_failure: fail_open", options: "deny: true",
		plugin: "restart: {first: 10ms, most: 100ms, crashes: 1000}",
	}))
	broker.logs()
	if status, answer := x.ready(url); status != 200 || !strings.Contains(answer, `"degraded":["guard"]`) {
		t.Errorf("readiness without the plugin: %d %s", status, answer)
	}
	p := dialMember(t, url, x.team(1), 0, dial.Options{})
	send := func() string {
		ack, err := p.Send(t.Context(), p.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return ack.Error
	}
	if refused := send(); refused != "" {
		t.Errorf("without the plugin a message is refused: %s", refused)
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := x.until("guard", "the plugin to come", func(s pluginhost.Status) bool { return s.Down == "" })
	if status, answer := x.ready(url); status != 200 || strings.Contains(answer, "degraded") || s.Phase != "up" {
		t.Errorf("readiness with the plugin, which is %s: %d %s", s.Phase, status, answer)
	}
	if refused := send(); !strings.Contains(refused, "drilled") {
		t.Errorf("the plugin that came is not asked: %q", refused)
	}
	broker.quit()
}

// TestDrillChangedProgram puts another program in the place of a pinned one.
func TestDrillChangedProgram(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	path := newDrill(t)
	config := x.drillFile(drillLink{name: "guard", path: path})
	x.ok("plugin", "pin", "guard", "--config", config)
	broker, url := x.serveChild(config)
	broker.logs()
	load := newTraffic(t, url, x.team(4), 0)
	load.start()
	before := x.plugin("guard")
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	install(t, path, append(program, "changed"...))
	for _, args := range [][]string{{"reload"}, {"reload", "--wait"}, {"reload", "--dry-run"}} {
		load.moves(50)
		x.fails(exitFailed, "guard", x.on(args...)...)
	}
	load.moves(50)
	load.finish()
	after := x.plugin("guard")
	if !before.Pinned || after.PID != before.PID || after.Instance != before.Instance || after.Down != "" || after.SHA256 != before.SHA256 {
		t.Errorf("before %+v\nafter %+v: want the old process to go on", before, after)
	}
	t.Logf("a reload says %q", x.try(x.on("reload")...).err)
	broker.quit()
}
