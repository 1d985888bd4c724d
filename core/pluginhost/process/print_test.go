package process_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
)

// Whatever a plugin prints after its handshake, it is never blocked by us.
func TestFloods(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	for _, flood := range []string{processtest.FloodOut, processtest.FloodErr} {
		if got := ask(t, p, flood, ""); got != "pong" {
			t.Errorf("%s: got %q", flood, got)
		}
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	lines := r.lines.have()
	if len(lines) < 200 || len(lines) > 2000 { // a slow machine takes several seconds
		t.Errorf("%d lines were forwarded", len(lines))
	}
	for _, line := range lines {
		if len(line) > 9<<10 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "more lines were left out") }) {
		t.Errorf("nobody was told that lines were left out; the last is %q", lines[len(lines)-1])
	}
	stderr := p.Exit().Stderr
	if len(stderr) != 64<<10 || !strings.HasSuffix(stderr, "line 9999\n") {
		t.Errorf("%d bytes of stderr were kept, which end with %q", len(stderr), stderr[max(0, len(stderr)-20):])
	}
}

func TestLinesAreForwarded(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	ask(t, p, processtest.PrintErr, "to stderr")
	ask(t, p, processtest.PrintOut, "to stdout")
	for _, want := range []string{"stderr: to stderr", "stdout: to stdout"} {
		eventually(t, patience, want, func() bool { return slices.Contains(r.lines.have(), want) })
	}
}

func TestPanicIsReported(t *testing.T) {
	r := newRig(t, processtest.Serve)
	p := r.start(t)
	e := crash(t, p, processtest.Panic)
	if e.Panic != "panic: told to" || e.Code != 2 || !strings.Contains(e.Stderr, "goroutine ") {
		t.Errorf("got %+v", e)
	}
	if got, want := e.Error(), "ended with exit code 2: panic: told to"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
