package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
)

// asked is one request and what answers it.
type asked struct {
	name, method, path, bearer, body string

	status int
	error  string // of a refusal, or how it begins
}

// wantRefusals asks, and wants each to be refused in the one shape of an error.
func (r *rig) wantRefusals(t *testing.T, cases []asked) {
	t.Helper()
	for _, tt := range cases {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			status, answer, _ := r.ask(tt.method, tt.path, tt.bearer, tt.body)
			text, _ := answer["error"].(string)
			if status != tt.status || !strings.HasPrefix(text, tt.error) || answer["ok"] != false || answer["code"] == nil {
				t.Errorf("got %d %v, want %d %s", status, answer, tt.status, tt.error)
			}
		})
	}
}

// credentials are the refusals of a route that wants an account: those of a
// missing, a forged and a misspelt token.
func credentials(method, path, body string) []asked {
	forged := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln"
	return []asked{
		{"no token", method, path, "", body, 401, "missing_bearer_token"},
		{"a forged token", method, path, forged, body, 401, "invalid_or_revoked_token"},
		{"a token that is none", method, path, "x", body, 401, "invalid_or_revoked_token"},
	}
}

// bodies are the refusals of a route whose body is an object.
func bodies(method, path, bearer, badBody string) []asked {
	return []asked{
		{"no body", method, path, bearer, "", 400, badBody},
		{"a body that is no JSON", method, path, bearer, `{"name"`, 400, badBody},
		{"null", method, path, bearer, "null", 400, ""},
		{"a list", method, path, bearer, "[]", 400, badBody},
		{"a text", method, path, bearer, `"x"`, 400, badBody},
		{"one byte too many", method, path, bearer, padded(65537), 413, "payload too large"},
	}
}

// padded is a JSON object of so many bytes.
func padded(size int) string {
	const frame = `{"pad":""}`
	return `{"pad":"` + strings.Repeat("x", size-len(frame)) + `"}`
}

// guessing takes the limit on refused attempts away, of which tests make many.
func guessing(c *config.Config) { c.HTTP.Guesses = config.Limit{} }

// wantOK asks, and wants an answer that is no refusal.
func (r *rig) wantOK(method, path, bearer, body string) map[string]any {
	r.t.Helper()
	status, answer, _ := r.ask(method, path, bearer, body)
	if status != http.StatusOK {
		r.t.Fatalf("%s %s: got %d %v", method, path, status, answer)
	}
	return answer
}

// created makes a mesh of an account over HTTP and returns its slug, id and the
// key of its first member.
func (r *rig) created(bearer, name, pubkey string) (slug, id string) {
	r.t.Helper()
	answer := r.wantOK(http.MethodPost, "/cli/mesh/create", bearer, fmt.Sprintf(`{"name":%q,"pubkey":%q}`, name, pubkey))
	return answer["slug"].(string), answer["id"].(string)
}
