package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

var errAway = errors.New("restarting at /opt/secret")

// host stands in for what runs plugins: its stages let everything pass.
type host struct {
	err    error // of Factory
	away   error // of Health
	fails  error // of Handle
	status []pluginhost.Status
	gone   []pluginhost.Counts // of links that are no more
}

func (h host) Status() []pluginhost.Status { return h.status }

func (host) Check(context.Context, config.Link) error { return nil }

func (h host) Factory(link config.Link) (*chain.Factory, error) {
	return &chain.Factory{
		Plugin: link.Plugin.Path, Policies: []chain.Policy{chain.Hold, chain.FailClosed, chain.FailOpen, chain.Fallback},
		New: func(chain.LinkSpec) (sdk.Stage, error) { return hosted{h.away, h.fails}, nil },
	}, h.err
}

type hosted struct{ away, fails error }

func (h hosted) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Next(), h.fails
}
func (h hosted) Health() error { return h.away }

// withPlugin puts a plugin before the route.
func withPlugin(c *config.Config, change func(*config.Link)) {
	link := config.Link{
		Stage: "hours", Name: "hours", Enabled: true, Required: true, OnFailure: config.Hold, Then: config.FailClosed,
		Plugin: &config.Plugin{Path: "bin/hours"},
	}
	if change != nil {
		change(&link)
	}
	at := slices.IndexFunc(c.Pipeline, func(l config.Link) bool { return l.Stage == "route" })
	c.Pipeline = slices.Insert(slices.Clone(c.Pipeline), at, link)
}

func TestReadinessOfStages(t *testing.T) {
	ready, notReady := map[string]any{"status": "ready"}, map[string]any{"status": "not_ready", "reason": "stage_down"}
	tests := []struct {
		name   string
		away   error
		change func(*config.Link)
		status int
		want   map[string]any
		part   string
		lacks  string
	}{
		{"a stage that is up", nil, nil, 200, ready, "", "degraded"},
		{
			"a required stage that is down", errAway, nil, 503,
			notReady, `"stages":["hours"]`, "secret",
		},
		{
			"a stage that is down and not required", errAway, func(l *config.Link) { l.Required = false }, 200,
			ready, `"degraded":["hours"]`, "secret",
		},
		{
			"a stage that is down in shadow", errAway, func(l *config.Link) { l.Shadow = true }, 200,
			ready, `"degraded":["hours"]`, "secret",
		},
		{"a stage that is off", errAway, func(l *config.Link) { l.Enabled = false }, 200, ready, "", "degraded"},
	}
	for _, tt := range tests {
		t.Run("it tells of "+tt.name, func(t *testing.T) {
			r := startWith(t, filepath.Join(t.TempDir(), "broker.db"),
				func(c *config.Config) { withPlugin(c, tt.change) },
				func(o *app.Options) { o.Plugins = host{away: tt.away} })
			status, text, _ := r.request(http.MethodGet, "/health/ready", "")
			wantJSON(t, status, text, tt.status, tt.want)
			reason, _ := tt.want["reason"].(string)
			r.wantUnready(reason)
			if !strings.Contains(text, tt.part) || strings.Contains(text, tt.lacks) {
				t.Errorf("got %s, want %s and no %q", text, tt.part, tt.lacks)
			}
		})
	}
}

func TestPluginsAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		plugins app.Plugins
		change  func(*config.Link)
		want    string
	}{
		{
			"without a host", nil, nil,
			"pipeline[4] hours: this release runs no plugins: take the link out, or set enabled: false",
		},
		{
			"without a host, an observer", nil,
			func(l *config.Link) { l.Plugin.Role, l.OnFailure, l.Then = config.Observer, config.FailOpen, "" },
			"pipeline[4] hours: this release runs no plugins: take the link out, or set enabled: false",
		},
		{"unless the link is off", nil, func(l *config.Link) { l.Enabled = false }, ""},
		{"when the host does not want it", host{err: errors.New("bin/hours is no program")}, nil, "pipeline[4] hours: bin/hours is no program"},
	}
	for _, tt := range tests {
		t.Run("it refuses a plugin "+tt.name, func(t *testing.T) {
			c := unlimited()
			withPlugin(&c, tt.change)
			spec := app.Spec(c, nil, app.Options{Log: slog.New(slog.DiscardHandler), Plugins: tt.plugins})
			built, err := chain.Build(spec, factories(app.Parts{Config: c}))
			got := ""
			if err != nil {
				got = err.Error()
			} else if err := built.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSpecOfALink(t *testing.T) {
	c := unlimited()
	withPlugin(&c, func(l *config.Link) {
		l.Then, l.Fallback, l.FallbackWith = config.Fallback, "rate-limit", map[string]any{"burst": 3}
		l.Deadline, l.Shadow = time.Second, true
	})
	spec := app.Spec(c, nil, app.Options{Plugins: host{}})
	got := spec.Links[4]
	var options struct {
		Burst int `koanf:"burst"`
	}
	if err := got.Fallback.Options(&options); err != nil || options.Burst != 3 || got.Fallback.Stage != "rate-limit" {
		t.Errorf("fallback %+v with %+v, %v", got.Fallback, options, err)
	}
	if got.Use == nil || got.Use.Plugin != "bin/hours" || spec.Links[0].Use != nil {
		t.Errorf("the factory of the plugin is %+v", got.Use)
	}
	got.With, got.Use, got.Fallback = nil, nil, nil
	want := chain.LinkSpec{
		Stage: "hours", Name: "hours", Enabled: true, OnFailure: chain.Hold, Then: chain.Fallback,
		Deadline: time.Second, Shadow: true, Required: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
