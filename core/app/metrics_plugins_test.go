package app_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/hop"
)

// Counts gives what the links' last statuses have counted, and what the links have
// that are gone.
func (h host) Counts() []pluginhost.Counts {
	list := slices.Clone(h.gone)
	for i, s := range h.status {
		later := slices.ContainsFunc(h.status[i+1:], func(other pluginhost.Status) bool { return other.Link == s.Link })
		if !later {
			list = append(list, pluginhost.Counts{Link: s.Link, Restarts: s.Restarts, CPU: s.Usage.CPUSeconds, Hop: s.Hop})
		}
	}
	return list
}

// TestMetricsOfALinkThatIsGone has a reload take a link away: it has its counters
// and no gauges.
func TestMetricsOfALinkThatIsGone(t *testing.T) {
	gone := sampled()
	gone.Link = "gone"
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) { withPlugin(c, nil) }, func(o *app.Options) {
		now := sampled()
		now.Hop, now.Restarts = hop.Stats{Up: true, Breaker: "closed"}, nil
		o.Plugins = host{
			status: []pluginhost.Status{now},
			gone:   []pluginhost.Counts{{Link: "gone", Restarts: gone.Restarts, CPU: 2.5, Hop: gone.Hop}},
		}
	})
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	wantSamples(t, text,
		`broker_plugin_late_total{link="gone"} 7`, `broker_plugin_late_total{link="hours"} 0`, `broker_plugin_cpu_seconds_total{link="gone"} 2.5`,
		`broker_plugin_restarts_total{link="gone",reason="crash"} 2`, `broker_plugin_restarts_total{link="hours",reason="crash"} 0`,
		`broker_plugin_failures_total{link="gone",reason="deadline"} 6`, `broker_stage_batch_size_count{stage="gone"} 5`,
		`broker_stage_queued_seconds_count{stage="gone"} 90`, `broker_stage_crossing_seconds_count{stage="gone"} 4`)
	for _, gauge := range []string{
		`broker_plugin_up{link="gone"}`, `broker_plugin_rss_bytes{link="gone"}`, `broker_stage_inflight{stage="gone"}`, `broker_stage_breaker_state{stage="gone"}`,
	} {
		if got := r.metric(gauge); got != "" {
			t.Errorf("%s is %s, and the link is gone", gauge, got)
		}
	}
}
