package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// TestDrillCrashLoop has a message end the plugin whenever it is asked, until
// the cause is mended.
func TestDrillCrashLoop(t *testing.T) {
	t.Parallel()
	const hold = 10 * time.Second
	x := newTerminal(t)
	cause := filepath.Join(t.TempDir(), "cause")
	broker, url := x.serveChild(x.drillFile(drillLink{
		name: "guard", path: newDrill(t), options: "die: " + cause,
		plugin: "hold_max: " + hold.String() + "\nrestart: {first: 10ms, most: 50ms, crashes: 4}",
	}))
	broker.logs()
	p := dialMember(t, url, x.team(1), 0, dial.Options{})
	send := func(want string) {
		t.Helper()
		since := time.Now()
		ack, err := p.Send(t.Context(), p.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{})
		if err != nil || ack.Queued != (want == "") || !strings.HasPrefix(ack.Error, want) {
			t.Errorf("got %+v, %v; want %q", ack, err, want)
		}
		if took := time.Since(since); took > hold/2 {
			t.Errorf("the answer took %v", took)
		}
	}
	send("")
	if err := os.WriteFile(cause, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x.until("guard", "the quarantine", func(s pluginhost.Status) bool {
		send("stage_failed:") // it is held, asked again, and given up, at the latest with the plugin
		return s.Phase == "quarantined"
	})
	for range 20 {
		send("stage_failed:")
	}
	if status, answer := x.ready(url); status != 503 || !strings.Contains(answer, `"reason":"stage_down"`) || !strings.Contains(answer, `["guard"]`) {
		t.Errorf("readiness: %d %s", status, answer)
	}
	wantMetrics(t, url, `broker_plugin_phase{link="guard",phase="quarantined"} 1`, `broker_plugin_up{link="guard"} 0`,
		`broker_stage_up{stage="guard",required="true"} 0`)
	out := x.ok(x.on("plugin", "status", "guard")...)
	for _, want := range []string{"guard: quarantined", "broker plugin resume guard", "exit code 9", "restarts    4: crash "} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if err := os.Remove(cause); err != nil {
		t.Fatal(err)
	}
	x.ok(x.on("plugin", "resume", "guard")...)
	x.until("guard", "the plugin to be back", func(s pluginhost.Status) bool { return s.Phase == "up" && s.Down == "" })
	send("")
	if status, answer := x.ready(url); status != 200 {
		t.Errorf("readiness at the end: %d %s", status, answer)
	}
	broker.quit()
}

// TestDrillShadow has a plugin in shadow that would refuse everything.
func TestDrillShadow(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serveChild(x.drillFile(drillLink{name: "trial", path: newDrill(t), options: "deny: true", link: "shadow: true"}))
	broker.logs()
	load := newTraffic(t, url, x.team(4), 0)
	load.start()
	load.moves(500)
	sent := uint64(load.finish())
	var counted, dropped uint64
	eventually(t, "the shadow to have judged everything", func() bool {
		for _, l := range parse[shadowChain](t, x.ok(x.on("chain", "--json")...)).Links {
			if s := l.Stats.Shadow; l.Name == "trial" {
				counted, dropped = s.of("deny", "answer"), s.Dropped
				if s.Disagreements != counted {
					t.Fatalf("%d disagreements, %d denied", s.Disagreements, counted)
				}
			}
		}
		return counted+dropped == sent
	})
	if counted == 0 {
		t.Error("nothing was judged")
	}
	wantMetrics(t, url, fmt.Sprintf(`broker_stage_shadow_total{stage="trial",shadow="deny",chain="answer"} %d`, counted),
		fmt.Sprintf(`broker_stage_shadow_disagree_total{stage="trial"} %d`, counted))
	t.Logf("%d messages delivered, %d of them denied in shadow, %d not judged", sent, counted, dropped)
	broker.quit()
}

// shadowChain is what the test reads of the chain.
type shadowChain struct {
	Links []struct {
		Name  string
		Stats struct{ Shadow shadowStats }
	}
}

type shadowStats struct {
	Verdicts []struct {
		Shadow, Chain string
		Count         uint64
	}
	Disagreements, Dropped uint64
}

func (s shadowStats) of(shadow, chain string) (n uint64) {
	for _, v := range s.Verdicts {
		if v.Shadow == shadow && v.Chain == chain {
			n += v.Count
		}
	}
	return n
}
