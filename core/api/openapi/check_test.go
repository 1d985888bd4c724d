package openapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/api/openapi"
)

func TestCheck(t *testing.T) {
	c, err := openapi.NewChecker(routes())
	if err != nil {
		t.Fatal(err)
	}
	const (
		refusal = `{"ok":false,"error":"no","code":"CODE","request_id":"r1"}`
		asText  = "Content-Type: text/plain"
	)
	refused := func(code string) string { return strings.Replace(refusal, "CODE", code, 1) }
	tests := []struct {
		name, request string
		status        int
		headers       []string // beside those that every answer has
		body, want    string
	}{
		{"a good answer", "POST /join", 200, nil, `{"ok":true,"memberId":"m"}`, ""},
		{"a good answer of a path with a name and a query", "GET /cli/device-code/ABC%2Fx?y=1", 200, nil, `{"status":"pending"}`, ""},
		{"a path whose name is a slash", "GET /cli/device-code/%2F%2F", 200, nil, `{"status":"expired"}`, ""},
		{"a refusal", "POST /join", 400, nil, refused("invite_revoked"), ""},
		{"a wait", "POST /join", 429, []string{"Retry-After: 5"}, refused("rate_limit"), ""},
		{"an unknown path", "GET /nope", 404, nil, refused("not_found"), ""},
		{"a path that is not clean", "GET //health", 404, nil, refused("not_found"), ""},
		{"another method", "GET /join", 405, []string{"Allow: POST"}, refused("method_not_allowed"), ""},
		{"OPTIONS", "OPTIONS /join", 204, []string{"Allow: POST"}, "", ""},
		{"a browser's question", "OPTIONS /nope", 204, []string{"Access-Control-Allow-Methods: GET"}, "", ""},
		{"HEAD", "HEAD /health", 200, nil, "", ""},
		{"metrics", "GET /metrics", 200, []string{asText + "; version=0.0.4"}, "a 1\n", ""},
		{"a page", "GET /token", 200, []string{"Content-Type: text/html; charset=utf-8"}, "<p>", ""},

		{"an unknown path that answers", "GET /nope", 200, nil, `{}`, "no such path"},
		{"a method that answers", "GET /join", 200, nil, `{}`, "no such method"},
		{"a status that is new", "POST /join", 418, nil, refused("teapot"), "no such status"},
		{"a code that is new", "POST /join", 400, nil, refused("gone"), "not among"},
		{"a field that is new", "POST /join", 200, nil, `{"ok":true,"memberId":"m","x":1}`, `"x" is unsupported`},
		{"a field that is missing", "POST /join", 200, nil, `{"ok":true}`, "memberId"},
		{"a field of another type", "POST /join", 200, nil, `{"ok":true,"memberId":5}`, "memberId"},
		{"a list that is null", "GET /cli/sessions", 200, nil, `{"sessions":null}`, "sessions"},
		{"a text for a refusal", "GET /nope", 404, []string{asText}, "not found", "a refusal is JSON"},
		{"a text for JSON", "POST /join", 200, []string{asText}, "hi", "no content of the type"},
		{"what is no JSON", "POST /join", 200, nil, `{`, "no JSON"},
		{"another request's id", "POST /join", 400, nil, strings.Replace(refused("invite_revoked"), "r1", "r2", 1), "the request's id"},
		{"no wait", "POST /join", 429, nil, refused("rate_limit"), "Retry-After"},
		{"no wait at all", "POST /join", 429, []string{"Retry-After: 0"}, refused("rate_limit"), "Retry-After"},
		{"no challenge", "GET /cli/sessions", 401, []string{"WWW-Authenticate:"}, refused("missing_bearer_token"), "WWW-Authenticate"},
		{"no request id", "POST /join", 200, []string{"X-Request-Id:"}, `{"ok":true,"memberId":"m"}`, "X-Request-Id"},
		{"a body of HEAD", "HEAD /health", 200, nil, "{}", "HEAD has no body"},
	}
	for _, tt := range tests {
		t.Run("it judges "+tt.name, func(t *testing.T) {
			method, target, _ := strings.Cut(tt.request, " ")
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"r1"}, "Www-Authenticate": {"Bearer"}}
			for _, line := range tt.headers {
				name, value, _ := strings.Cut(line, ":")
				h.Set(name, strings.TrimSpace(value))
			}
			err = c.Check(openapi.Answer{Method: method, URL: u, Status: tt.status, Header: h, Body: []byte(tt.body)})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
