package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost"
)

// A running broker lists its plugins, and starts one again that it gave up.
func TestPluginsOfARunningBroker(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	good := script(t, "good", "stage", "serve", "rate-limit")
	broken := good + ".broken" // while it is there, the plugin crashes
	program := writeProgram(t, "limit", fmt.Sprintf("#!/bin/sh\nif [ -e '%s' ]; then echo 'out of luck' >&2; exit 3; fi\nexec '%s'\n", broken, good))
	file := withPlugin(t, program, "      restart: {first: 1ms, most: 1ms, crashes: 3}\n    required: false\n    with: {burst: 5}")
	x.serve("--config", file)
	s := waitPhase(x, "up")
	if s.Name != "rate-limit" || s.PID == 0 || s.Pinned || s.Down != "" {
		t.Errorf("up: %+v", s)
	}
	x.fails(exitFailed, "nothing to resume", x.on("plugin", "resume", "limit")...)
	if out := x.ok(x.on("plugin", "status", "limit")...); !strings.Contains(out, "limit: up since ") || !strings.Contains(out, "uses  ") {
		t.Errorf("status:\n%s", out)
	}

	touch(t, broken)
	killPID(t, s.PID)
	s = waitPhase(x, "quarantined")
	if restarts(s) == 0 || s.Down == "" || !strings.Contains(s.Stderr, "out of luck") {
		t.Errorf("quarantined: %+v", s)
	}
	out := x.ok(x.on("plugin", "status", "limit")...)
	for _, want := range []string{"limit: quarantined since", "broker plugin resume limit", "ended with exit code 3", "stderr      out of luck"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}

	untouch(t, broken)
	x.ok(x.on("plugin", "resume", "limit")...)
	waitPhase(x, "up")
	x.fails(exitFailed, "has a plugin", x.on("plugin", "resume", "auth")...)
}

// waitPhase waits until the plugin of the link limit is in a phase.
func waitPhase(x *terminal, phase string) pluginhost.Status {
	x.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		list := *parse[[]pluginhost.Status](x.t, x.ok(x.on("plugin", "status", "limit", "--json")...))
		switch {
		case list[0].Phase == phase:
			return list[0]
		case time.Now().After(deadline):
			x.t.Fatalf("the plugin is not %s: %+v", phase, list)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}
