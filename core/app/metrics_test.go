package app_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// sampled is the status of a plugin that has seen everything.
func sampled() pluginhost.Status {
	return pluginhost.Status{
		Link: "hours", Instance: "hours-10", Phase: "up", PID: 7, Restarts: map[string]uint64{"crash": 2, "hang": 1},
		Usage: process.Usage{RSSBytes: 21 << 20, CPUSeconds: 1.25},
		Hop: hop.Stats{
			Up: true, Breaker: "open", Window: 1024, InHand: 3, Waiting: 4, Batches: 5, Sent: 90, Queued: 45 * time.Millisecond,
			Answered: 4, Crossing: 2 * time.Millisecond, Failures: map[string]uint64{"deadline": 6}, Late: 7, Replayed: 8, Breaches: 9, Missed: 11,
			Sizes:     telemetry.Series{Buckets: []telemetry.Bucket{{UpTo: 32, Count: 5}}, Count: 5, Sum: 90},
			Crossings: telemetry.Series{Buckets: []telemetry.Bucket{{UpTo: 0.001, Count: 4}}, Count: 4, Sum: 0.002},
		},
	}
}

// TestMetricsOfPlugins has two statuses of one link, as during a reload, and a
// plugin that is down.
func TestMetricsOfPlugins(t *testing.T) {
	old := sampled()
	old.Instance, old.Phase, old.Hop = "hours-9", "stopped", hop.Stats{Batches: 1000}
	down := pluginhost.Status{Link: "watch", Phase: "quarantined", Down: "it crashed at /opt/secret", Hop: hop.Stats{Breaker: "half-open"}}
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) { withPlugin(c, nil) }, func(o *app.Options) {
		o.Plugins = host{status: []pluginhost.Status{old, sampled(), down}}
	})
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	families(t, text)
	wantSamples(t, text,
		`broker_stage_batch_size_sum{stage="hours"} 90`, `broker_stage_batch_size_count{stage="hours"} 5`, `broker_stage_batch_size_bucket{stage="hours",le="32"} 5`,
		`broker_stage_queued_seconds_sum{stage="hours"} 0.045`, `broker_stage_queued_seconds_count{stage="hours"} 90`,
		`broker_stage_crossing_seconds_sum{stage="hours"} 0.002`, `broker_stage_crossing_seconds_count{stage="hours"} 4`,
		`broker_stage_inflight{stage="hours"} 3`, `broker_stage_waiting{stage="hours"} 4`, `broker_stage_credit{stage="hours"} 1024`,
		`broker_stage_breaker_state{stage="hours"} 2`, `broker_stage_breaker_state{stage="watch"} 1`,
		`broker_plugin_failures_total{link="hours",reason="deadline"} 6`, `broker_plugin_late_total{link="hours"} 7`,
		`broker_plugin_protocol_errors_total{link="hours"} 9`, `broker_plugin_replayed_total{link="hours"} 8`,
		`broker_plugin_outcomes_missed_total{link="hours"} 11`,
		`broker_plugin_up{link="hours"} 1`, `broker_plugin_up{link="watch"} 0`,
		`broker_plugin_phase{link="hours",phase="up"} 1`, `broker_plugin_phase{link="hours",phase="stopped"} 0`,
		`broker_plugin_phase{link="watch",phase="quarantined"} 1`,
		`broker_plugin_restarts_total{link="hours",reason="crash"} 2`, `broker_plugin_restarts_total{link="hours",reason="hang"} 1`,
		`broker_plugin_rss_bytes{link="hours"} 22020096`, `broker_plugin_cpu_seconds_total{link="hours"} 1.25`)
	wantWords(t, text, `broker_plugin_failures_total{link="watch",reason="`, hop.FailureWords())
	wantWords(t, text, `broker_plugin_restarts_total{link="watch",reason="`, pluginhost.RestartReasons())
	if strings.Contains(text, "secret") {
		t.Error("why a plugin is down is told to strangers")
	}
}

func wantSamples(t *testing.T, text string, want ...string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("no %s", w)
		}
	}
}

// wantWords wants a 0 for each word: an event that makes its own series is hidden
// from increase().
func wantWords(t *testing.T, text, before string, words []string) {
	t.Helper()
	for _, w := range words {
		wantSamples(t, text, before+w+`"} 0`)
	}
}

// TestMetricsBeforeAnyEvent has a stage whose failures another one answers for,
// and one in a plugin; neither has failed.
func TestMetricsBeforeAnyEvent(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
		withPlugin(c, func(l *config.Link) {
			l.OnFailure, l.Then, l.Fallback = config.Hold, config.Fallback, "rate-limit"
		})
	}, func(o *app.Options) { o.Plugins = host{} })
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	for _, link := range []string{"route", "hours"} {
		wantWords(t, text, `broker_stage_failures_total{stage="`+link+`",reason="`, chain.FailureWords())
	}
	wantSamples(t, text,
		`broker_stage_policy_total{stage="hours",policy="fallback",held="true"} 0`,
		`broker_stage_policy_total{stage="route",policy="fail_closed",held="false"} 0`,
		`broker_stage_fallback_total{stage="hours",result="decided"} 0`, `broker_stage_fallback_total{stage="hours",result="failed"} 0`)
	if strings.Contains(text, `broker_stage_fallback_total{stage="route"`) {
		t.Error("route has no fallback")
	}
}

// TestMetricsOfFailingOpen has a stage that always fails, and an on_failure that
// lets envelopes through all the same.
func TestMetricsOfFailingOpen(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"),
		func(c *config.Config) {
			withPlugin(c, func(l *config.Link) { l.OnFailure, l.Then = config.FailOpen, "" })
		},
		func(o *app.Options) { o.Plugins = host{fails: errAway} })
	r.newMesh()
	before := r.metric("broker_audit_entries_total")
	r.wantServed(r.pair(), "unjudged")
	eventually(t, "failures, what became of them, and the log of who came", func() bool {
		opened, audited := r.metric(`broker_stage_policy_total{stage="hours",policy="fail_open",held="false"}`), r.metric("broker_audit_entries_total")
		return opened != "0" && opened == r.metric(`broker_stage_failures_total{stage="hours",reason="error"}`) && audited != "" && audited != before
	})
}

// TestMetricsOfStages has a stage that is down and not required.
func TestMetricsOfStages(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"),
		func(c *config.Config) { withPlugin(c, func(l *config.Link) { l.Required = false }) },
		func(o *app.Options) { o.Plugins = host{away: errAway} })
	r.newMesh()
	served := r.pair()
	r.wantServed(served, "one")
	for _, w := range []string{`broker_stage_up{stage="hours",required="false"}`, `broker_stage_up{stage="route",required="true"}`} {
		if got, want := r.metric(w), map[bool]string{true: "0", false: "1"}[strings.Contains(w, "hours")]; got != want {
			t.Errorf("%s is %q, want %s", w, got, want)
		}
	}
	kind := string(sdk.KindSend)
	eventually(t, "the stages to have been counted", func() bool {
		return r.metric(`broker_stage_envelopes_total{stage="hours",kind="`+kind+`",verdict="continue"}`) == "1" &&
			r.metric(`broker_stage_envelopes_total{stage="route",kind="`+kind+`",verdict="answer"}`) == "1"
	})
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	for name, typ := range map[string]string{
		"broker_stage_envelopes_total": "counter", "broker_stage_seconds": "histogram", "broker_stage_failures_total": "counter",
		"broker_stage_fallback_total": "counter", "broker_stage_shadow_total": "counter", "broker_stage_shadow_disagree_total": "counter",
		"broker_stage_up": "gauge", "broker_plugin_up": "gauge",
	} {
		if got := families(t, text)[name]; got != typ {
			t.Errorf("%s has the type %q, want %s", name, got, typ)
		}
	}
}
