package pluginhost_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/sdk"
)

// database is the file that a moody stage needs.
type database struct{ path string }

func newDatabase(t *testing.T) database {
	t.Helper()
	d := database{filepath.Join(t.TempDir(), "database")}
	d.back(t)
	return d
}

func (d database) back(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(d.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d database) goes(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.path); err != nil {
		t.Fatal(err)
	}
}

// moodyLink is a link with a moody stage.
func moodyLink(t *testing.T, options map[string]any) config.Link {
	t.Helper()
	l := link(t, "drill")
	l.Plugin.Stage, l.With = "moody", options
	return l
}

// of returns what is known of a link's plugin.
func of(t *testing.T, h *pluginhost.Host, link string) pluginhost.Status {
	t.Helper()
	for _, st := range h.Status() {
		if st.Link == link {
			return st
		}
	}
	t.Fatalf("no plugin of the link %s", link)
	return pluginhost.Status{}
}

// down waits until a link's plugin is down for a reason.
func down(t *testing.T, h *pluginhost.Host, link, why string) {
	t.Helper()
	until(t, link+" to be down: "+why, func() bool { return strings.Contains(of(t, h, link).Down, why) })
}

// A stage that could be configured once, and cannot in the next process, is
// tried again for as long as that process lives.
func TestAStageThatCannotStartIsTriedAgain(t *testing.T) {
	h := newHost(t)
	db := newDatabase(t)
	s := start(t, h, moodyLink(t, map[string]any{"file": db.path}))
	ask(t, s, message(1))
	db.goes(t)
	kill(t, status(t, h).PID, syscall.SIGKILL)
	down(t, h, "drill", "the database is away")
	pid := status(t, h).PID
	db.back(t)
	until(t, "the stage to be configured", func() bool { return status(t, h).Down == "" })
	ask(t, s, message(1))
	if st := status(t, h); st.PID != pid || st.Restarts["crash"] != 1 {
		t.Errorf("it took process %d after %d, restarts %v; want the same process, and one crash", st.PID, pid, st.Restarts)
	}
}

// An operator need not wait for the next try.
func TestResumeTriesAStageAgain(t *testing.T) {
	h := newHost(t)
	db := newDatabase(t)
	l := moodyLink(t, map[string]any{"file": db.path})
	l.Required, l.Plugin.Path = false, lateProgram(t, l.Plugin.Path)
	s := start(t, h, l)
	db.goes(t)
	arrive(t, l)
	down(t, h, "drill", "the database is away") // it never was up, and is not tried again
	db.back(t)
	if err := h.Resume("drill"); err != nil {
		t.Fatal(err)
	}
	until(t, "the stage to be configured", func() bool { return status(t, h).Down == "" })
	ask(t, s, message(1))
}

// lateProgram is a program that does not start until it arrives.
func lateProgram(t *testing.T, path string) string {
	t.Helper()
	late := filepath.Join(t.TempDir(), "late")
	if err := os.WriteFile(late, []byte("#!/bin/sh\ntest -e "+late+".now && exec "+path+"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return late
}

// arrive makes the late program of a link start.
func arrive(t *testing.T, l config.Link) {
	t.Helper()
	if err := os.WriteFile(l.Plugin.Path+".now", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What waits for a process goes on waiting when the next one ends before it is
// ready.
func TestHeldThroughFurtherCrashes(t *testing.T) {
	h := newHost(t)
	db := newDatabase(t)
	l := moodyLink(t, map[string]any{"file": db.path, "exit": true})
	l.Plugin.HoldMax = patience
	s := start(t, h, l)
	ask(t, s, message(1))
	db.goes(t)
	kill(t, status(t, h).PID, syscall.SIGKILL)
	until(t, "it to be down", func() bool { return status(t, h).Down != "" })
	answered := make(chan error, 1)
	go func() {
		_, err := s.Handle(context.Background(), message(1))
		answered <- err
	}()
	until(t, "three crashes", func() bool { return status(t, h).Restarts["crash"] >= 3 })
	select {
	case err := <-answered:
		t.Fatalf("answered with %v while there was no process", err)
	default:
	}
	db.back(t)
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("never answered")
	}
}

// A stage has as long to start as its program.
func TestConfigureHasTheTimeOfAStart(t *testing.T) {
	start(t, newHost(t), moodyLink(t, map[string]any{"slow": "5200ms"}))
}

// An instance that the broker has given up waiting for is let go of, and
// another one is made.
func TestConfigureThatTakesTooLong(t *testing.T) {
	h, log := hostWithLog(t)
	l := link(t, "slow-configure")
	l.Required, l.Plugin.StartTimeout = false, 5*time.Second
	s := start(t, h, l)
	if why := status(t, h).Down; !strings.Contains(why, "no answer in time") {
		t.Errorf("down: %q", why)
	}
	ask(t, s, message(1))
	until(t, "the first instance to be drained", func() bool { return strings.Contains(log.String(), "drained drill-1") })
}

// However long a stage takes to be configured, nobody else waits for it: its
// process is replaced when another stage finds it silent, it can be looked at,
// and the stage can be stopped.
func TestNobodyWaitsForAConfiguration(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Plugin.HangAfter = 300 * time.Millisecond
	s := start(t, h, l)
	ask(t, s, message(1))
	slow := moodyLink(t, map[string]any{"slow": "1h"})
	slow.Name, slow.Required = "slow", false
	made := make(chan sdk.Stage, 1)
	go func() {
		s, err := tryStart(t, h, slow)
		if err != nil {
			t.Error(err)
		}
		made <- s
	}()
	until(t, "the slow stage", func() bool { return len(h.Status()) == 2 })
	old := of(t, h, "drill").PID
	since := time.Now()
	kill(t, old, syscall.SIGSTOP)
	until(t, "each thread to stop", func() bool { return processtest.Stopped(old) })
	ask(t, s, message(1)) // of the next process
	st := of(t, h, "drill")
	if st.PID == old || st.Restarts["hang"] != 1 {
		t.Errorf("process %d after %d, restarts %v; want another one, after a hang", st.PID, old, st.Restarts)
	}
	stop(t, <-made)
	if took := time.Since(since); took > patience/2 {
		t.Errorf("all this took %v; a configuration may take %v", took, patience)
	}
	ask(t, s, message(1))
}

// A stage that is down has nothing to be drained of, although its process runs.
func TestStopOfAStageThatIsDown(t *testing.T) {
	h := newHost(t)
	db := newDatabase(t)
	other := start(t, h, link(t, "drill"))
	l := moodyLink(t, map[string]any{"file": db.path})
	l.Name = "moody"
	s := start(t, h, l)
	db.goes(t)
	kill(t, of(t, h, "moody").PID, syscall.SIGKILL)
	down(t, h, "moody", "the database is away")
	if instance := of(t, h, "moody").Instance; instance != "" {
		t.Errorf("it has the instance %s", instance)
	}
	stop(t, s)
	ask(t, other, message(1))
}

// A plugin that comes up when the chain runs is not asked about what it does
// not want: the chain had compiled its paths without knowing.
func TestALatePluginGetsWhatItWants(t *testing.T) {
	h := newHost(t)
	l := link(t, "drill")
	l.Required, l.Plugin.Path = false, lateProgram(t, l.Plugin.Path)
	l.Plugin.HoldMax = time.Millisecond
	l.With = map[string]any{"kinds": []string{"send"}, "deny": "no"}
	c := startChain(t, h, l)
	arrive(t, l)
	until(t, "the plugin to come", func() bool { return status(t, h).Down == "" })
	hello := func() *sdk.Envelope { return &sdk.Envelope{Kind: "hello", Arrived: time.Now()} }
	if d, by := c.Run(t.Context(), hello()); by.Name() == l.Name {
		t.Errorf("a run of a hello: it decided %+v", d)
	}
	if d, by := walk(t, c, hello()); by.Name() == l.Name {
		t.Errorf("a walk of a hello: it decided %+v", d)
	}
	if d, by := walk(t, c, message(1)); by.Name() != l.Name || d.Reason != "no" {
		t.Errorf("a walk of a send: %s decided %+v", by.Name(), d)
	}
}

// A life is ended once, however many answers of it are wrong.
func TestOneLogLineForALife(t *testing.T) {
	h, log := hostWithLog(t)
	l := link(t, "seq")
	l.Plugin.Restart.Crashes, l.Plugin.HoldMax = 1, time.Second
	l.Plugin.Breaker.Misses, l.Plugin.Breaker.Batches = 1000, 1000
	s := start(t, h, l)
	load := startLoad(t, s, 64)
	until(t, "the quarantine", func() bool { return status(t, h).Phase == "quarantined" })
	close(load.done)
	load.wg.Wait()
	if n := strings.Count(log.String(), "plugin is replaced"); n != 1 {
		t.Errorf("%d lines say that the plugin is replaced, want 1", n)
	}
}

// What an operator is told to type names a link that there is.
func TestQuarantineNamesALinkThatRuns(t *testing.T) {
	h, log := hostWithLog(t)
	one, two := link(t, "drill"), link(t, "drill")
	two.Name = "two"
	one.Plugin.Restart.Crashes, two.Plugin.Restart.Crashes = 1, 1
	first := start(t, h, one)
	start(t, h, two)
	stop(t, first)
	kill(t, status(t, h).PID, syscall.SIGKILL)
	until(t, "the quarantine", func() bool { return status(t, h).Phase == "quarantined" })
	three := two
	three.Name = "three"
	_, err := tryStart(t, h, three)
	for what, text := range map[string]string{"the log": log.String(), "a start": err.Error()} {
		if !strings.Contains(text, "broker plugin resume two") {
			t.Errorf("%s does not say to resume two: %s", what, text)
		}
	}
	if err := h.Resume("two"); err != nil {
		t.Error(err)
	}
}
