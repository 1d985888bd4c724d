package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/sdk"
)

// web makes requests that leave no connection behind, and takes no answer that is
// not documented.
var web = &http.Client{Timeout: patience, Transport: documented{&http.Transport{DisableKeepAlives: true}}}

// request asks the broker's HTTP side.
func (r *rig) request(method, path, body string) (status int, text string, header http.Header) {
	r.t.Helper()
	url := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + path
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := web.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// metric returns one sample, "" when there is none.
func (r *rig) metric(sample string) string {
	r.t.Helper()
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestHealth(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name       string
		ping       error
		expected   string
		migrations *migrations
		db         string
		status     int
		ready      map[string]any
	}{
		{"a broker that is well", nil, "", nil, "up", 200, map[string]any{"status": "ready", "version": "test", "gitSha": "abc"}},
		{"a store that does not answer", down, "", nil, "down", 503, map[string]any{"status": "not_ready", "reason": "db_down"}},
		{"a migration that is there", nil, "1", &migrations{}, "up", 200, map[string]any{"status": "ready"}},
		{"a migration that is missing", nil, "0099", &migrations{}, "up", 503, map[string]any{"status": "not_ready", "reason": "migration_missing", "expected": "0099"}},
		{"a migration by its file", nil, "0001_init.sql", &migrations{}, "up", 200, map[string]any{"status": "ready"}},
		{"a migration by its hash", nil, strings.Repeat("ab", 32), &migrations{}, "up", 200, map[string]any{"status": "ready"}},
		{"a migration that is pending", nil, "", &migrations{pending: []migrate.Migration{{Name: "0002_more.sql"}}}, "up", 503, map[string]any{"status": "not_ready", "reason": "migration_missing", "expected": "0002_more.sql"}},
		{"a store that a newer program has migrated", nil, "", &migrations{pendingErr: migrate.ErrNewer}, "up", 200, map[string]any{"status": "ready"}},
		{"a migration that cannot be looked up", nil, "0001", &migrations{err: down}, "up", 503, map[string]any{"status": "not_ready", "reason": "readiness_check_error"}},
	}
	for _, tt := range tests {
		t.Run("it tells of "+tt.name, func(t *testing.T) {
			r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
				c.ExpectedMigration, c.GitSHA = tt.expected, "abc"
			}, func(o *app.Options) {
				o.Store = &hooked{Store: o.Store, PingFn: func() error { return tt.ping }}
				if tt.migrations != nil {
					o.Migrations = tt.migrations
				}
			})
			status, text, header := r.request(http.MethodGet, "/health", "")
			wantJSON(t, status, text, 200, map[string]any{"status": "ok", "db": tt.db, "version": "test", "gitSha": "abc"})
			if got := header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type: got %s", got)
			}
			status, text, _ = r.request(http.MethodGet, "/health/ready", "")
			wantJSON(t, status, text, tt.status, tt.ready)
			reason, _ := tt.ready["reason"].(string)
			r.wantUnready(reason)
			if strings.Contains(text, "down"+`"}`) && tt.expected != "" {
				t.Errorf("the cause is told to strangers: %s", text)
			}
		})
	}
}

// wantUnready wants /metrics to say for which reason the broker is not ready, or
// that it is, with "".
func (r *rig) wantUnready(reason string) {
	r.t.Helper()
	if got, want := r.unready(), reason; got != want {
		r.t.Errorf("/metrics says that it is not ready because of %q, want %q", got, want)
	}
}

// unready returns the reason that /metrics has; more than one are all named.
func (r *rig) unready() string {
	r.t.Helper()
	families := r.scrape()
	var reasons []string
	for _, m := range families["broker_not_ready"].GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			reasons = append(reasons, m.GetLabel()[0].GetValue())
		}
	}
	if n := len(families["broker_not_ready"].GetMetric()); n != len(server.UnreadyReasons()) {
		r.t.Errorf("%d reasons have a series, want all %d", n, len(server.UnreadyReasons()))
	}
	if ready := families["broker_ready"].GetMetric()[0].GetGauge().GetValue(); (ready == 1) != (len(reasons) == 0) {
		r.t.Errorf("broker_ready is %v with the reasons %q", ready, reasons)
	}
	return strings.Join(reasons, ", ")
}

// migrations are those of a store that has applied one.
type migrations struct {
	pending    []migrate.Migration
	pendingErr error
	err        error
}

func (m *migrations) Migrations(context.Context) ([]migrate.Migration, error) {
	return []migrate.Migration{{Version: 1, Name: "0001_init.sql", SHA256: strings.Repeat("ab", 32)}}, m.err
}

func (m *migrations) PendingMigrations(context.Context) ([]migrate.Migration, error) {
	return m.pending, errors.Join(m.err, m.pendingErr)
}

// wantJSON checks the status and, of the body, the given keys.
func wantJSON(t *testing.T, status int, text string, wantStatus int, want map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("got %d %q: %v", status, text, err)
	}
	if status != wantStatus {
		t.Errorf("got %d %s, want %d", status, text, wantStatus)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: got %v, want %v in %s", k, got[k], v, text)
		}
	}
}

func TestUnknownRoutes(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/nothing", "/metrics/x", "/health/live"} {
		if status, _, _ := r.request(http.MethodGet, path, ""); status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, status)
		}
	}
	if status, _, _ := r.request(http.MethodGet, "/ws", ""); status < 400 {
		t.Errorf("/ws without an upgrade: got %d", status)
	}
}

// Families that the original's dashboard reads.
var originalMetrics = map[string]string{
	"broker_connections_total": "counter", "broker_connections_rejected_total": "counter", "broker_connections_active": "gauge",
	"broker_messages_routed_total": "counter", "broker_messages_rejected_total": "counter",
	"broker_messages_dropped_by_grant_total": "counter", "broker_legacy_auth_hits_total": "counter", "broker_queue_depth": "gauge",
	"broker_ttl_sweeps_total": "counter", "broker_hook_requests_total": "counter",
	"broker_hook_requests_rate_limited_total": "counter", "broker_db_healthy": "gauge",
}

var sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{([a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*)\})? (\S+)$`)

// families reads the Prometheus text form and returns the types by name.
func families(t *testing.T, text string) map[string]string {
	t.Helper()
	types := map[string]string{}
	family, seen := "", []string{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		words := strings.SplitN(line, " ", 4)
		switch {
		case words[0] == "#" && len(words) == 4 && words[1] == "HELP":
			family = words[2]
		case words[0] == "#" && len(words) == 4 && words[1] == "TYPE" && words[2] == family && types[family] == "":
			types[family] = words[3]
		default:
			m := sampleLine.FindStringSubmatch(line)
			if m == nil || types[family] == "" {
				t.Fatalf("line %d is no sample: %q", i+1, line)
			}
			base := m[1]
			if types[family] == "histogram" || types[family] == "summary" {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					base = strings.TrimSuffix(base, suffix)
				}
			}
			if _, err := strconv.ParseFloat(m[3], 64); err != nil || base != family {
				t.Errorf("line %d is no sample of %s: %q", i+1, family, line)
			}
			if at := m[1] + "{" + m[2]; slices.Contains(seen, at) {
				t.Errorf("line %d: a sample comes twice: %q", i+1, line)
			} else {
				seen = append(seen, at)
			}
		}
	}
	return types
}

func TestMetrics(t *testing.T) {
	r := newRig(t, nil)
	check := func(when string) {
		status, text, header := r.request(http.MethodGet, "/metrics", "")
		if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("%s: got %d %s", when, status, header.Get("Content-Type"))
		}
		types := families(t, text)
		for name, typ := range originalMetrics {
			if types[name] != typ {
				t.Errorf("%s, %s: got the type %q, want %s", when, name, types[name], typ)
			}
		}
	}
	check("at first")

	served := r.pair()
	r.wantServed(served, "one")
	r.send(served.ada, served.bo.Key().String(), sdk.PriorityLow, "two")
	r.wantText(served.bo, "two")
	r.send(served.ada, sdk.Key{1}.String(), sdk.PriorityNow, "")
	if err := served.ada.Write([]byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	refused := open(t, r.url, socketOptions{})
	refused.write(r.hello(stranger(r), time.Now()).String())
	refused.wantError("unauthorized")
	r.send(served.ada, served.bo.Key().String(), sdk.PriorityNow, "three")
	r.wantLeft(2, 2)
	check("after some traffic")
	for sample, want := range map[string]string{
		"broker_connections_total": "3", "broker_connections_active": "2", "broker_sessions": "2",
		`broker_connections_rejected_total{reason="unauthorized"}`:  "1",
		`broker_messages_routed_total{priority="now"}`:              "2",
		`broker_messages_routed_total{priority="low"}`:              "1",
		`broker_messages_rejected_total{reason="no_recipient"}`:     "1",
		`broker_messages_rejected_total{reason="parse_or_handler"}`: "1",
		"broker_messages_dropped_by_grant_total":                    "0",
		"broker_db_healthy":                                         "1",
		`broker_send_seconds_bucket{le="+Inf"}`:                     "3",
	} {
		// Counters of a message rise behind its ack.
		eventually(t, sample+" to be "+want, func() bool { return r.metric(sample) == want })
	}
}

// One that cannot see the mesh is not told who is in it.
func TestMetricsNameNobody(t *testing.T) {
	r := newRig(t, nil)
	ada := session(r.member("ada", store.RoleMember))
	r.dial(ada, dial.Options{})
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	for _, secret := range []string{r.mesh.ID, ada.MemberID, ada.RoutingKey().String(), `"ada"`} { // words may contain the name
		if strings.Contains(text, secret) {
			t.Errorf("the metrics contain %s", secret)
		}
	}
}
