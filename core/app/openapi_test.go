package app_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
)

// documented holds every answer that a test gets over HTTP to the OpenAPI
// document: one that is not described is an error of the request.
type documented struct{ http.RoundTripper }

// checker is that of a broker with the default config.
var checker = sync.OnceValues(func() (*openapi.Checker, error) {
	return openapi.NewChecker(api.All(feature.All(feature.Deps{}), api.Deps{Config: config.Default().HTTP}).Routes())
})

// RoundTrip makes a request and checks its answer.
func (d documented) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := checker()
	if err != nil {
		return nil, err
	}
	res, err := d.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.Header.Get("Content-Type") == "text/event-stream" { // it lasts for minutes
		res.Body.Close()
		res.Body = http.NoBody
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	a := openapi.Answer{Method: req.Method, URL: req.URL, Status: res.StatusCode, Header: res.Header, Body: body}
	if err := c.Check(a); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// TestOpenAPIHasEveryRoute holds that a broker answers the routes that are
// described, whatever its config.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	patterns := func(routes []*api.Route) (list []string) {
		for _, r := range routes {
			list = append(list, r.Pattern())
		}
		return list
	}
	r := newRig(t, func(c *config.Config) { c.HTTP.Claims, c.HTTP.CreateMeshes = false, config.Nobody })
	want := patterns(api.All(feature.All(feature.Deps{}), api.Deps{Config: config.Default().HTTP}).Routes())
	if diff := cmp.Diff(want, patterns(r.app.Routes())); diff != "" {
		t.Errorf("routes (-described +answered):\n%s", diff)
	}
}

// TestOpenAPITooMany shows the refusals of callers that ask too often. That they
// are documented, with their wait, the rig checks.
func TestOpenAPITooMany(t *testing.T) {
	few := config.Limit{Rate: config.Rate{Count: 1, Per: time.Hour}}
	tests := []struct {
		name   string
		change func(*config.Config)
		ask    func(r *rig, bearer string) (int, map[string]any, http.Header)
	}{
		{"with one token", func(c *config.Config) { c.HTTP.PerToken, c.HTTP.PerTokenBurst = few, 2 },
			func(r *rig, bearer string) (int, map[string]any, http.Header) {
				return r.ask(http.MethodGet, "/cli/meshes", bearer, "")
			}},
		{"from one address", func(c *config.Config) { c.HTTP.PerAddress, c.HTTP.PerAddressBurst = few, 2 },
			func(r *rig, _ string) (int, map[string]any, http.Header) {
				return r.askWith(http.MethodGet, "/version", http.Header{"Origin": {"https://a.example"}}, "")
			}},
		{"with what they guess", func(c *config.Config) { c.HTTP.Guesses, c.HTTP.GuessesBurst = few, 2 },
			func(r *rig, _ string) (int, map[string]any, http.Header) {
				return r.ask(http.MethodGet, "/api/public/invite-code/AAAAAAAA", "", "")
			}},
		{"for one directory", func(c *config.Config) { c.HTTP.HookRate = config.Limit{Rate: config.Rate{Count: 2, Per: time.Hour}} },
			func(r *rig, bearer string) (int, map[string]any, http.Header) {
				return r.ask(http.MethodPost, "/hook/set-status", bearer, `{"cwd":"/w","status":"idle"}`)
			}},
	}
	for _, tt := range tests {
		t.Run("it makes those wait that ask too often "+tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.change)
			bearer := r.account("ann")
			for range 2 {
				if status, answer, _ := tt.ask(r, bearer); status == http.StatusTooManyRequests {
					t.Fatalf("got %d %v too soon", status, answer)
				}
			}
			status, answer, header := tt.ask(r, bearer)
			if wait, err := strconv.Atoi(header.Get("Retry-After")); status != http.StatusTooManyRequests || err != nil || wait < 60 ||
				answer["code"] != "rate_limit" {
				t.Errorf("got %d %v after %q, want 429 rate_limit and how long to wait", status, answer, header.Get("Retry-After"))
			}
		})
	}
}
