package main

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// TestDrillKill kills the plugin with messages in its hand, again and again:
// nobody notices but for the time.
func TestDrillKill(t *testing.T) {
	t.Parallel()
	const kills, peers = 10, 8
	x := newTerminal(t)
	broker, url := x.serveChild(x.drillFile(drillLink{name: "drill", path: newDrill(t), options: "sleep: 1ms"}))
	broker.logs()
	load := newTraffic(t, url, x.team(peers), 0)
	load.start()
	for range kills {
		was := x.plugin("drill")
		busy := x.until("drill", "messages in hand", func(s pluginhost.Status) bool {
			return s.Down == "" && s.Hop.Sent > was.Hop.Sent+100 && s.Hop.InHand > 0
		})
		if err := syscall.Kill(busy.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		x.until("drill", "the next process", func(s pluginhost.Status) bool { return s.PID != 0 && s.PID != busy.PID && s.Down == "" })
	}
	load.moves(100)
	sent := load.finish()
	s := x.plugin("drill")
	// On a busy machine the end of a stream is sometimes heard long before that of
	// its process, and then counts.
	if s.Restarts["crash"]+s.Restarts["stream"] != kills || s.Restarts["crash"] == 0 || s.Hop.Replayed == 0 || len(s.Hop.Failures) != 0 {
		t.Errorf("%v ends, %d replayed, failures %v; want %d crashes, some and none", s.Restarts, s.Hop.Replayed, s.Hop.Failures, kills)
	}
	t.Logf("%d messages, %d asked again, longest pause without an ack %v", sent, s.Hop.Replayed, load.gap)
	broker.quit()
}

// TestDrillWedge stops the plugin with messages in its hand: it is found by
// hang_after, replaced, and nobody notices but for the time.
func TestDrillWedge(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serveChild(x.drillFile(drillLink{
		name: "drill", path: newDrill(t), options: "sleep: 1ms", plugin: "hang_after: 1s",
	}))
	broker.logs()
	load := newTraffic(t, url, x.team(4), 0)
	load.start()
	busy := x.until("drill", "messages in hand", func(s pluginhost.Status) bool { return s.Hop.Sent > 100 && s.Hop.InHand > 0 })
	if err := syscall.Kill(busy.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	next := x.until("drill", "the next process", func(s pluginhost.Status) bool { return s.PID != 0 && s.PID != busy.PID && s.Down == "" })
	took := time.Since(since)
	load.moves(100)
	sent := load.finish()
	if next.Restarts["hang"] == 0 || took > 8*time.Second || !gone(busy.PID) {
		t.Errorf("restarts %v after %v, gone %v; want one for a hang, before the deadline of 10 s", next.Restarts, took, gone(busy.PID))
	}
	t.Logf("%d messages, replaced after %v, longest pause without an ack %v", sent, took, load.gap)
	broker.quit()
}

// TestDrillBrokerKilled wants plugins of a killed broker to be gone, and what
// they left to be swept away.
func TestDrillBrokerKilled(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	path := newDrill(t)
	config := x.drillFile(drillLink{name: "one", path: path}, drillLink{name: "two", path: path, plugin: "args: [other]"})
	broker, url := x.serveChild(config)
	broker.logs()
	mesh := x.team(3)
	load := newTraffic(t, url, mesh, time.Millisecond)
	load.start()
	load.moves(50)
	one, two := x.plugin("one").PID, x.plugin("two").PID
	broker.signal(syscall.SIGKILL)
	since := time.Now()
	for time.Since(since) < time.Second && (!gone(one) || !gone(two)) {
		time.Sleep(time.Millisecond)
	}
	if !gone(one) || !gone(two) {
		t.Errorf("a second after the broker, its plugins live: %d %v, %d %v", one, !gone(one), two, !gone(two))
	}
	t.Logf("the plugins were gone %v after the broker was killed", time.Since(since))
	broker.wait()
	load.stop()
	left := x.socketDirs()
	if len(left) != 2 {
		t.Errorf("the killed broker left %v, so that this test shows nothing", left)
	}

	again, url := x.serveChild(config)
	again.logs()
	for _, dir := range x.socketDirs() {
		if slices.Contains(left, dir) {
			t.Errorf("%s was not swept", dir)
		}
	}
	p := dialMember(t, url, mesh, 0, dial.Options{})
	if _, err := p.Send(t.Context(), p.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{}); err != nil {
		t.Error(err)
	}
	again.quit()
	if left := x.socketDirs(); len(left) != 0 {
		t.Errorf("a broker that was stopped left %v", left)
	}
}
