// Package plugins_test builds the programs of this folder and runs them as the
// broker does.
package plugins_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/conform"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
)

// patience is how long an event may take to arrive.
const patience = 20 * time.Second

// links builds a program and returns the links of its example, with the paths
// of this machine.
func links(t *testing.T, name string, more ...string) []config.Link {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name), "./"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	example, err := os.ReadFile(filepath.Join(name, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("cel-policy/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(append(more,
		"./bin/", dir+"/", "/var/lib/broker/", dir+"/spill/", "/etc/broker/rules.yaml", rules)...).Replace(string(example))
	loaded, err := config.Load(config.Options{File: []byte("insecure: true\npipeline:\n" + text)})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config.Pipeline
}

func newHost(t *testing.T) *pluginhost.Host {
	t.Helper()
	h, err := pluginhost.New(pluginhost.Options{RunDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A broker can rely on each program, with each link of its example.
func TestPrograms(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	for _, name := range []string{"office-hours", "webhook-audit", "cel-policy"} {
		t.Run(name, func(t *testing.T) {
			for _, link := range links(t, name) {
				with, err := json.Marshal(link.With)
				if err != nil {
					t.Fatal(err)
				}
				conform.Run(t.Context(), conform.Subject{Host: newHost(t), Link: link, Options: with}, func(r conform.Result) {
					if !r.OK {
						t.Errorf("%s: %s: %s", link.Name, r.Case, r.Text)
					}
				})
			}
		})
	}
}

// stage starts the link of a name.
func stage(t *testing.T, list []config.Link, name string) sdk.Stage {
	t.Helper()
	for _, link := range list {
		if link.Name != name {
			continue
		}
		link.Deadline = patience
		f, err := newHost(t).Factory(link)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.New(chain.LinkSpec{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.(sdk.Starter).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, s) })
		return s
	}
	t.Fatalf("the example has no link %s", name)
	return nil
}

func stop(t *testing.T, s sdk.Stage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.(sdk.Stopper).Stop(ctx); err != nil {
		t.Error(err)
	}
}

var saturday = time.Date(2026, 8, 8, 20, 0, 0, 0, time.UTC)

func TestOfficeHoursAcrossTheBoundary(t *testing.T) {
	list := links(t, "office-hours")
	held := sdktest.Message(sdktest.At(saturday))
	if d, err := stage(t, list, "office-hours").Handle(t.Context(), held); err != nil || d.Verdict != sdk.Continue {
		t.Errorf("got %+v, %v", d, err)
	}
	if want := time.Date(2026, 8, 10, 7, 0, 0, 0, time.UTC); !held.HoldUntil.Equal(want) {
		t.Errorf("held until %v, want %v", held.HoldUntil, want)
	}
	groups := stage(t, list, "office-hours-groups")
	for target, want := range map[string]sdk.Verdict{"@ops": sdk.Continue, "@ops/tokyo": sdk.Deny, "*": sdk.Deny} {
		d, err := groups.Handle(t.Context(), sdktest.Message(sdktest.At(saturday), sdktest.To(target)))
		if err != nil || d.Verdict != want {
			t.Errorf("%s: got %+v, %v, want %v", target, d, err, want)
		}
	}
}

func TestCELPolicyAcrossTheBoundary(t *testing.T) {
	s := stage(t, links(t, "cel-policy"), "cel-policy-full")
	morning := time.Date(2026, 8, 3, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		env  *sdk.Envelope
		want sdk.Verdict
		rule func(*sdk.Envelope) bool
	}{
		{"on call", sdktest.Message(sdktest.To("*"), sdktest.Size(9000)), sdk.Continue, nil},
		{"a large broadcast", sdktest.Message(sdktest.From("eve"), sdktest.To("*"), sdktest.Size(9000)), sdk.Deny, nil},
		{
			"an urgent bot", sdktest.Message(sdktest.From("bot-1"), sdktest.Priority(sdk.PriorityNow)), sdk.Continue,
			func(env *sdk.Envelope) bool { return env.Priority == sdk.PriorityNext },
		},
		{"a risk", sdktest.Message(sdktest.From("eve"), sdktest.Noted("risk.score", "95")), sdk.Drop, nil},
		{
			"a report", sdktest.Message(sdktest.From("eve"), sdktest.To("@reports"), sdktest.At(morning)), sdk.Continue,
			func(env *sdk.Envelope) bool { return env.HoldUntil.Equal(morning.Add(8 * time.Hour)) },
		},
	}
	for _, tt := range tests {
		d, err := s.Handle(t.Context(), tt.env)
		if err != nil || d.Verdict != tt.want || tt.rule != nil && !tt.rule(tt.env) {
			t.Errorf("%s: got %+v, %v of %+v", tt.name, d, err, tt.env)
		}
	}
}

func TestWebhookAuditAcrossTheBoundary(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	posts := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posts <- string(body)
	}))
	defer server.Close()
	list := links(t, "webhook-audit", "https://audit.example.com/broker", server.URL)
	for name, identity := range map[string]bool{"webhook-audit": false, "webhook-audit-identity": true} {
		t.Run(name, func(t *testing.T) {
			s := stage(t, list, name)
			env := sdktest.Message()
			env.MessageID = "the-message"
			s.(sdk.Observer).Done(env, sdk.Outcome{Decision: sdk.Refuse("blocked", ""), Stage: "grants"})
			stop(t, s) // which posts what there is
			select {
			case post := <-posts:
				key := sdktest.KeyOf("ada").String()
				if !strings.Contains(post, `"message_id":"the-message"`) || !strings.Contains(post, `"reason":"blocked"`) ||
					strings.Contains(post, key) != identity || strings.Contains(post, `"name":"ada"`) != identity {
					t.Errorf("got %s", post)
				}
			case <-time.After(patience):
				t.Fatal("no post came")
			}
		})
	}
}
