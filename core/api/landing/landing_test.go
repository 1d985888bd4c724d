package landing_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/api/landing"
	"github.com/claudemesh/broker/core/identity"
)

func TestPages(t *testing.T) {
	mux := http.NewServeMux()
	for pattern, h := range landing.Handlers(
		func() string { return "https://mesh.example.org" }, func() string { return "wss://mesh.example.org/ws" },
	) {
		mux.Handle(pattern, h)
	}
	_, owner := identity.NewKeypair()
	invite := identity.InviteV1{
		MeshID: "m", MeshSlug: "m", BrokerURL: "wss://mesh.example.org/ws", ExpiresAt: 1, MeshRootKey: "k", Role: identity.RoleMember,
	}
	if err := invite.Sign(owner); err != nil {
		t.Fatal(err)
	}
	token, err := invite.Token()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		status     int
		holds      string
	}{
		{"says how to join with a short link", "/i/ABCD2345", 200, "<code>claudemesh https://mesh.example.org/i/ABCD2345</code>"},
		{"knows a code that was typed", "/i/abcd-2345", 200, "claudemesh https://mesh.example.org/i/ABCD2345<"},
		{
			"says where the broker is", "/i/ABCD2345", 200,
			"<code>export CLAUDEMESH_BROKER_URL=wss://mesh.example.org/ws CLAUDEMESH_API_URL=https://mesh.example.org</code>",
		},
		{
			"says so beside a token", "/join/" + token, 200,
			"<code>export CLAUDEMESH_BROKER_URL=wss://mesh.example.org/ws CLAUDEMESH_API_URL=https://mesh.example.org</code>",
		},
		{"says how to join with a token", "/join/" + token, 200, "<code>claudemesh join ic://join/" + token + "</code>"},
		{"shows no markup of a code", "/i/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 404, "This is no invite"},
		{"shows no shell of a code", "/i/$(id)", 404, "This is no invite"},
		{"shows no endless code", "/i/" + strings.Repeat("A", 65), 404, "This is no invite"},
		{"shows no token that is none", "/join/abc", 404, "This is no invite"},
		{"shows no token that is a link", "/join/ic:%2F%2Fjoin%2F;id", 404, "This is no invite"},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			r.Host = "evil.example"
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			body, h := w.Body.String(), w.Result().Header
			if w.Code != tt.status || !strings.Contains(body, tt.holds) {
				t.Errorf("got %d %s, want %d with %s", w.Code, body, tt.status, tt.holds)
			}
			for _, bad := range []string{"<script", "style=", "evil.example", "$("} {
				if strings.Contains(body, bad) {
					t.Errorf("the page holds %s: %s", bad, body)
				}
			}
			policy := h.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self';") || strings.Contains(policy, "unsafe") {
				t.Errorf("got the policy %s", policy)
			}
			if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("got the headers %v", h)
			}
		})
	}
}
