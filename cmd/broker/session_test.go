package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

// httpAsk sends JSON to a broker, or nothing, and reads the answer.
func httpAsk(t *testing.T, url, method, path, bearer string, body any) (int, map[string]any) {
	t.Helper()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	base := "http://" + strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %d: %v", method, path, res.StatusCode, err)
	}
	return res.StatusCode, answer
}

// A token that was made without a broker is good on the one that starts later,
// and revoking it works while it runs.
func TestSessionTokens(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("team", "0")
	n := parse[admin.NewToken](t, x.ok(x.on("session", "create", "ada", "--email", "ada@example.org", "--name", "Ада Ł. 愛", "--json")...))
	if !n.Created || n.Account.ID != "ada" || n.Account.Email != "ada@example.org" {
		t.Errorf("got %+v", n)
	}
	parts := strings.Split(n.Token, ".")
	if len(parts) != 3 || len(n.Token) <= 50 {
		t.Fatalf("the token has %d parts and %d characters", len(parts), len(n.Token))
	}
	var claims struct {
		Sub, Email, Name string
		Exp              float64
	}
	if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(text, &claims) != nil {
		t.Fatalf("the claims cannot be read: %v %s", err, text)
	}
	if claims.Sub != "ada" || claims.Email != "ada@example.org" || claims.Name != "Ада Ł. 愛" || int64(claims.Exp) != n.ExpiresAt.Unix() {
		t.Errorf("got claims %+v", claims)
	}
	if left := time.Until(n.ExpiresAt); left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("the token is good for %v, want the config's 30 days", left)
	}

	_, url := x.serve()
	status, profile := httpAsk(t, url, "GET", "/api/my/profile", n.Token, nil)
	if status != 200 || profile["id"] != "ada" || profile["display_name"] != "Ада Ł. 愛" {
		t.Errorf("profile: got %d %v", status, profile)
	}
	list := *parse[[]admin.Token](t, x.ok(x.on("session", "list", "--json")...))
	if len(list) != 1 || list[0].ID != n.ID || list[0].Account != "ada" || list[0].Kind != "operator" {
		t.Errorf("list: got %+v", list)
	}
	if out := x.ok(x.on("session", "list", "ada")...); !strings.Contains(out, n.ID) || strings.Contains(out, n.Token) {
		t.Errorf("list: got\n%s", out)
	}
	if out := x.ok(x.on("session", "revoke", n.ID)...); !strings.Contains(out, "revoked "+n.ID) {
		t.Errorf("revoke: got %s", out)
	}
	x.fails(exitFailed, "broker session list", x.on("session", "revoke", n.ID)...)
	if status, answer := httpAsk(t, url, "GET", "/api/my/profile", n.Token, nil); status != 401 || answer["error"] != "invalid_or_revoked_token" {
		t.Errorf("profile with a revoked token: got %d %v", status, answer)
	}
}

// The whole way of a command line: begin, the operator approves, poll.
func TestSessionApprove(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	_, url := x.serve()
	begin := func() (device, code string) {
		t.Helper()
		status, begun := httpAsk(t, url, "POST", "/cli/device-code", "", map[string]string{"hostname": "laptop\u202e", "platform": "linux"})
		if status != 200 {
			t.Fatalf("begin: got %d %v", status, begun)
		}
		return begun["device_code"].(string), begun["user_code"].(string)
	}
	device, code := begin()
	x.fails(exitFailed, "broker session create", x.on("session", "approve", code)...)
	x.ok(x.on("session", "create", "ada")...)
	out := x.ok(x.on("session", "approve", strings.ToLower(code))...)
	if !strings.HasPrefix(out, "approved "+code+` as ada: laptop\u202e, linux, from 127.0.0.1`) {
		t.Errorf("got %s", out)
	}
	x.fails(exitFailed, "approved already", x.on("session", "approve", code, "ada")...)
	status, polled := httpAsk(t, url, "GET", "/cli/device-code/"+device, "", nil)
	if status != 200 || polled["status"] != "approved" {
		t.Fatalf("poll: got %d %v", status, polled)
	}
	if status, profile := httpAsk(t, url, "GET", "/api/my/profile", polled["session_token"].(string), nil); status != 200 || profile["id"] != "ada" {
		t.Errorf("profile: got %d %v", status, profile)
	}

	x.ok(x.on("session", "create", "bo")...)
	_, code = begin()
	x.fails(exitFailed, "approve CODE USER", x.on("session", "approve", code)...)
	x.fails(exitFailed, "broker account list", x.on("session", "approve", code, "nobody")...)
	x.ok(x.on("account", "disable", "bo")...)
	x.fails(exitFailed, "broker account enable bo", x.on("session", "approve", code, "bo")...)
	x.ok(x.on("session", "approve", code)...) // bo does not count any more
	x.fails(exitFailed, "as the terminal shows it", x.on("session", "approve", "AAAA-AAAA", "ada")...)
}

// The code that session create prints is good once, on the page's own route.
func TestSessionCode(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serve()
	out := x.ok(x.on("session", "create", "ada", "--ttl", "1d")...)
	var code string
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "code "); ok {
			code = strings.TrimSpace(text)
		}
	}
	base := "http://" + strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	for _, want := range []string{"account  ada (new)", "paste it where a command line asks", base + "/cli-auth", base + "/token"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if status, made := httpAsk(t, url, "POST", "/cli/token", "", map[string]string{"code": code}); status != 200 || made["token"] == "" {
		t.Errorf("got %d %v", status, made)
	}
	if said := broker.err.wait(broker, "token made"); !strings.Contains(said, `"token_id":`) || strings.Contains(said, `"token":`) {
		t.Errorf("the log says\n%s", said)
	}
	if status, _ := httpAsk(t, url, "POST", "/cli/token", "", map[string]string{"code": code}); status != 401 {
		t.Errorf("the code again: got %d", status)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	mesh := x.newMesh("team", "1")
	n := parse[admin.NewToken](t, x.ok(x.on("session", "create", "ada", "--json")...))
	again := parse[admin.NewToken](t, x.ok(x.on("session", "create", "ada", "--email", "a@b.c", "--json")...))
	if again.Created || again.Account.Email != "a@b.c" || again.Account.Name != "ada" || again.Code == n.Code {
		t.Errorf("the second token: got %+v", again)
	}
	_, url := x.serve()

	list := *parse[[]admin.Account](t, x.ok(x.on("account", "list", "--json")...))
	if len(list) != 1 || list[0].ID != "ada" || !list[0].Legacy || !list[0].DisabledAt.IsZero() {
		t.Errorf("list: got %+v", list)
	}
	if a := parse[admin.Account](t, x.ok(x.on("account", "legacy", "ada", "off", "--json")...)); a.Legacy {
		t.Errorf("legacy: got %+v", a)
	}
	if out := x.ok(x.on("account", "legacy", "ada", "on")...); !strings.Contains(out, "account ada: enabled, legacy-auth on") {
		t.Errorf("legacy: got %s", out)
	}

	x.ok(x.on("account", "disable", "ada")...)
	first := parse[admin.Account](t, x.ok(x.on("account", "disable", "ada", "--json")...))
	if out := x.ok(x.on("account", "list")...); first.DisabledAt.IsZero() || !strings.Contains(out, at(first.DisabledAt)) {
		t.Errorf("list: got %s", out)
	}
	if status, _ := httpAsk(t, url, "GET", "/api/my/profile", n.Token, nil); status != 401 {
		t.Errorf("a token of a disabled account: got %d", status)
	}
	x.fails(exitFailed, "broker account enable ada", x.on("session", "create", "ada")...)
	x.ok(x.on("account", "enable", "ada")...)
	if status, _ := httpAsk(t, url, "GET", "/api/my/profile", n.Token, nil); status != 200 {
		t.Errorf("a token of an account that is enabled again: got %d", status)
	}

	if o := parse[admin.MeshOwner](t, x.ok(x.on("account", "own", "team", "ada", "--json")...)); o.MeshID != mesh.ID || o.Account != "ada" || o.Before != "" {
		t.Errorf("own: got %+v", o)
	}
	x.ok(x.on("session", "create", "bo")...)
	if out := x.ok(x.on("session", "create", "bo")...); !strings.Contains(out, "bo has no mesh yet: broker mesh create NAME --owner bo") {
		t.Errorf("create of an account without a mesh:\n%s", out)
	}
	if out := x.ok(x.on("session", "create", "ada")...); strings.Contains(out, "no mesh yet") {
		t.Errorf("create of an account with a mesh:\n%s", out)
	}
	if out := x.ok(x.on("account", "own", "team", "bo")...); out != "mesh team is bo's, and no more ada's\n" {
		t.Errorf("own: got %q", out)
	}
	v := parse[admin.Verification](t, x.ok(x.on("audit", "verify", "team", "--json")...))
	if !v.Valid || v.Entries < 2 {
		t.Errorf("the audit log does not have the owners: %+v", v)
	}
}

func TestAccountRefusals(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("team", "0")
	for _, tt := range []struct {
		name  string
		code  int
		words string
		args  []string
	}{
		{"a session of nobody", exitUsage, "needs USER", []string{"session", "create"}},
		{"a list of two", exitUsage, `"bo"`, []string{"session", "list", "ada", "bo"}},
		{"an approval without a code", exitUsage, "needs CODE", []string{"session", "approve"}},
		{"a time without a unit", exitUsage, "7d", []string{"session", "create", "ada", "--ttl", "7"}},
		{"no time", exitUsage, "more than 0", []string{"session", "create", "ada", "--ttl", "0s"}},
		{"a moment", exitFailed, "1m to 3650d", []string{"session", "create", "ada", "--ttl", "1s"}},
		{"an id with a space", exitFailed, "letters", []string{"session", "create", "ada l"}},
		{"an id with a pipe", exitFailed, "letters", []string{"session", "create", "a|b"}},
		{"an id like a key", exitFailed, "an account", []string{"session", "create", strings.Repeat("ab", 32)}},
		{"an address that is none", exitFailed, "e-mail", []string{"session", "create", "ada", "--email", "ada"}},
		{"a name with a control character", exitFailed, "plain text", []string{"session", "create", "ada", "--name", "a\x1b[2J"}},
		{"tokens of nobody", exitFailed, "broker account list", []string{"session", "list", "nobody"}},
		{"a token that is not there", exitFailed, "broker session list", []string{"session", "revoke", "nothing"}},
		{"an account that is not there", exitFailed, "broker account list", []string{"account", "disable", "nobody"}},
		{"a switch that is neither", exitUsage, "want on or off", []string{"account", "legacy", "ada", "maybe"}},
		{"a mesh that is not there", exitFailed, "broker mesh list", []string{"account", "own", "nothing", "ada"}},
		{"an owner that is not there", exitFailed, "broker account list", []string{"account", "own", "team", "nobody"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := *x
			x.t = t
			x.fails(tt.code, tt.words, x.on(tt.args...)...)
		})
	}
	if out := strings.TrimSpace(x.ok(x.on("account", "list", "--json")...)); out != "[]" {
		t.Errorf("a refused session left an account: %s", out)
	}
}
