package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/bus/local"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/telemetry/resource"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/core/tracing/otlptest"
)

// newEverything starts a broker that has whatever gives metrics: a database with a
// pool, other replicas, plugins, reloads and traces.
func newEverything(t *testing.T) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := postgres.Open(t.Context(), postgres.Options{URL: freshtest.URL(t), Migrate: true, MaxConns: 6, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b := local.NewExchange().Join()
	t.Cleanup(func() { b.Close(context.Background()) })
	node, err := cluster.Join(t.Context(), cluster.Options{Store: st, Bus: b, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg, traces := unlimited(), tracesTo(t, otlptest.New(t).HTTP, func(*config.Telemetry) {})
	cfg.GitSHA, cfg.Files.Dir, cfg.DataDir = "abc", t.TempDir(), t.TempDir()
	withPlugin(&cfg, nil)
	r := startOn(t, cfg, st, func(o *app.Options) {
		o.Cluster, o.Traces = node, traces
		o.Plugins = host{status: []pluginhost.Status{sampled()}}
		o.Reloads = func() reload.Numbers {
			return reload.Numbers{Generation: 2, Successful: true, Last: time.Now(), Counts: map[reload.Count]int64{{By: admin.ByFile, Result: reload.Applied}: 1}}
		}
		o.Dropped = func() map[string]int64 { return map[string]int64{"dm": 1, "broadcast": 2} }
	})
	r.newMesh()
	return r
}

// tracesTo starts tracing that follows the senders' decisions, and stops it at
// the end of the test.
func tracesTo(t *testing.T, url string, change func(*config.Telemetry)) *tracing.Provider {
	t.Helper()
	c := config.Default().Telemetry
	c.Traces.Endpoint, c.Traces.Ratio = url, 0
	change(&c)
	res, err := resource.Of(t.Context(), c.Service, "test", "node-1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := tracing.Start(t.Context(), c, func(string) string { return "" }, res, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stop tracing: %v", err)
		}
	})
	return p
}

// scrape reads /metrics as Prometheus does.
func (r *rig) scrape() map[string]*dto.MetricFamily {
	r.t.Helper()
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		r.t.Fatalf("Prometheus cannot read it: %v", err)
	}
	return families
}

// catalogue is a sink that keeps what the families are.
type catalogue struct {
	t        *testing.T
	families []telemetry.Family
	names    map[string]bool
}

func catalogueOf(t *testing.T, a *app.App) *catalogue {
	t.Helper()
	c := &catalogue{t: t, names: map[string]bool{}}
	a.Metrics(c)
	return c
}

func (c *catalogue) Samples(f telemetry.Family, samples []telemetry.Sample) {
	for _, s := range samples {
		c.values(f, s.Values)
	}
	c.add(f, f.Kind == telemetry.KindCounter || f.Kind == telemetry.KindGauge)
}

func (c *catalogue) Series(f telemetry.Family, series []telemetry.Series) {
	for _, s := range series {
		c.values(f, s.Values)
	}
	c.add(f, f.Kind == telemetry.KindHistogram || f.Kind == telemetry.KindSummary)
}

// add notes a family and holds it to what every family has to be.
func (c *catalogue) add(f telemetry.Family, fits bool) {
	c.t.Helper()
	switch {
	case c.names[f.Name]:
		c.t.Errorf("%s is there twice", f.Name)
	case !fits:
		c.t.Errorf("%s has samples that are none of a %s", f.Name, f.Kind)
	case (f.Kind == telemetry.KindCounter) != strings.HasSuffix(f.Name, "_total"):
		c.t.Errorf("%s is a %s: counters, and only they, end in _total", f.Name, f.Kind)
	case f.Help == "" || strings.HasSuffix(f.Help, "."):
		c.t.Errorf("%s: the help is %q, want a sentence without a full stop", f.Name, f.Help)
	}
	for _, l := range f.Labels {
		if l.Values == "" {
			c.t.Errorf("%s: nothing says which values %s has", f.Name, l.Name)
		}
	}
	c.names[f.Name] = true
	c.families = append(c.families, f)
}

func (c *catalogue) values(f telemetry.Family, values []string) {
	c.t.Helper()
	if len(values) != len(f.Labels) {
		c.t.Errorf("%s: a sample has %d values for %d labels", f.Name, len(values), len(f.Labels))
	}
}
