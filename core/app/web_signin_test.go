package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// begun is a sign-in that a command line has begun.
type begun struct{ device, user, id string }

// begin begins a sign-in.
func (r *rig) begin() begun {
	r.t.Helper()
	a := r.wantOK(http.MethodPost, "/cli/device-code", "", `{"hostname":"laptop","platform":"darwin","arch":"arm64"}`)
	return begun{a["device_code"].(string), a["user_code"].(string), a["session_id"].(string)}
}

// poll asks how far a sign-in is.
func (r *rig) poll(b begun) map[string]any {
	r.t.Helper()
	return r.wantOK(http.MethodGet, "/cli/device-code/"+b.device, "", "")
}

// approve approves a sign-in with a token.
func (r *rig) approve(b begun, bearer string) {
	r.t.Helper()
	if got := r.wantOK(http.MethodPost, "/cli/device-code/"+b.id+"/approve", bearer, ""); got["ok"] != true {
		r.t.Fatalf("approve: got %v", got)
	}
}

// waiting writes a sign-in of some age.
func (r *rig) waiting(age time.Duration, edit func(*store.SignIn)) begun {
	r.t.Helper()
	b := begun{identity.NewDeviceCode(), identity.NewUserCode(), identity.NewSessionID()}
	at := time.Now().Add(-age)
	in := &store.SignIn{
		ID: b.id, DeviceHash: identity.HashCode(b.device), UserCode: b.user, Hostname: "laptop",
		CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute),
	}
	if edit != nil {
		edit(in)
	}
	if err := r.store.CreateSignIn(context.Background(), in); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// code makes a one-time code of an account.
func (r *rig) code(account string, ttl time.Duration) string {
	r.t.Helper()
	code := identity.NewCode()
	if err := r.store.CreateCode(context.Background(), identity.HashCode(code), account, time.Now().Add(ttl)); err != nil {
		r.t.Fatal(err)
	}
	return code
}

// claims reads a token as a client does, without its key.
func claims(t *testing.T, text string) (c map[string]any) {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) <= 50 {
		t.Fatalf("no token that a client takes: %q", text)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

var isoTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// The calls of http-ops.md 19, 1 to 3: what the client sends and reads.
func TestSignIn(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		guessing(c)
		c.HTTP.AppURL = "https://mesh.example.org/in"
	})
	ada := r.account("ada")
	got := r.wantOK(http.MethodPost, "/cli/device-code", "", `{"hostname":"laptop","platform":"darwin","arch":"arm64"}`)
	b := begun{got["device_code"].(string), got["user_code"].(string), got["session_id"].(string)}
	for field, form := range map[string]string{
		"device_code": `^[A-Z2-9]{32}$`, "user_code": `^[A-Z2-9]{4}-[A-Z2-9]{4}$`, "session_id": `^clm_sess_[A-Z2-9]{32}$`,
		"expires_at": isoTime.String(), "verification_url": `^https://mesh\.example\.org/in/cli-auth$`,
		"token_url": `^https://mesh\.example\.org/in/token$`,
	} {
		if text, _ := got[field].(string); !regexp.MustCompile(form).MatchString(text) {
			t.Errorf("%s: got %q, want %s", field, text, form)
		}
	}
	view := map[string]any{
		"user_code": b.user, "hostname": "laptop", "platform": "darwin", "expires_at": got["expires_at"], "status": "pending",
	}
	if diff := cmp.Diff(view, r.wantOK(http.MethodGet, "/cli/sign-in/"+b.id, "", "")); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"status": "pending"}, r.poll(b)); diff != "" {
		t.Errorf("before the approval (-want +got):\n%s", diff)
	}
	r.approve(b, ada)
	if status, _, _ := r.request(http.MethodHead, "/cli/device-code/"+b.device, ""); status != http.StatusOK {
		t.Errorf("HEAD: got %d", status) // and the token is still there:
	}
	polled := r.poll(b)
	bearer, _ := polled["session_token"].(string)
	want := map[string]any{"status": "approved", "session_token": bearer, "user": map[string]any{
		"id": "ada", "display_name": "ada", "email": "ada@example.org",
	}}
	if diff := cmp.Diff(want, polled); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	c := claims(t, bearer)
	if c["sub"] != "ada" || c["email"] != "ada@example.org" || c["name"] != "ada" || c["type"] != "cli-session" || c["jti"] == "" {
		t.Errorf("claims: got %v", c)
	}
	if life := c["exp"].(float64) - c["iat"].(float64); life < 30*86400-2 || life > 30*86400 {
		t.Errorf("the token is good for %v seconds, want 30 days", life)
	}
	if diff := cmp.Diff(map[string]any{"status": "consumed"}, r.poll(b)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	if p := r.wantOK(http.MethodGet, "/api/my/profile", bearer, ""); p["id"] != "ada" {
		t.Errorf("profile: got %v", p)
	}
	if in, err := r.store.SignInByCode(t.Context(), b.id); err != nil || in.DeviceHash != identity.HashCode(b.device) || in.Remote != "127.0.0.1" {
		t.Errorf("the row: got %+v, %v", in, err)
	}
}

// Whatever the store knows of a sign-in, of polls at the same time one gets the
// token.
func TestSignInIsHandedOutOnce(t *testing.T) {
	r := newRig(t, guessing)
	b := r.begin()
	r.approve(b, r.account("ada"))
	const polls = 16
	states := make([]string, polls)
	var wg sync.WaitGroup
	for i := range polls {
		wg.Go(func() {
			_, a, _ := r.ask(http.MethodGet, "/cli/device-code/"+b.device, "", "")
			states[i], _ = a["status"].(string)
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, s := range states {
		count[s]++
	}
	if diff := cmp.Diff(map[string]int{"approved": 1, "consumed": polls - 1}, count); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	list, err := r.store.ListTokens(t.Context(), "ada", time.Now())
	if err != nil || len(list) != 2 { // that of the rig, too
		t.Errorf("got %d tokens, %v", len(list), err)
	}
}

func TestSignInStates(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	approved := func(in *store.SignIn) { in.AccountID, in.ApprovedAt = "ada", in.ExpiresAt.Add(-time.Second) }
	for _, tt := range []struct {
		name, want string
		begun      begun
	}{
		{"an unknown code", "expired", begun{device: identity.NewDeviceCode()}},
		{"a code of no form", "expired", begun{device: "%F0%9F%A6%80"}},
		{"one that nobody approved in time", "expired", r.waiting(6*time.Minute, nil)},
		{"one that was approved in its last moment", "approved", r.waiting(5*time.Minute+30*time.Second, approved)},
		{"one that was approved and never polled", "expired", r.waiting(7*time.Minute, approved)},
	} {
		if got := r.poll(tt.begun); got["status"] != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
		}
	}

	b := r.begin()
	r.approve(b, ada)
	_, err := r.store.ChangeAccount(t.Context(), "ada", func(a *store.Account) error {
		a.DisabledAt = time.Now()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.poll(b); got["status"] != "expired" || got["session_token"] != nil {
		t.Errorf("one that is for a disabled account: got %v", got)
	}
}

func TestSignInRefusals(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	r.account("bo")
	waiting, late := r.begin(), r.waiting(6*time.Minute, nil)
	done := r.begin()
	r.approve(done, ada)
	path := func(b begun) string { return "/cli/device-code/" + b.id + "/approve" }
	cases := []asked{
		{"a body of a sign-in that is no JSON", "POST", "/cli/device-code", "", `{`, 400, "Invalid body"},
		{"null for a sign-in", "POST", "/cli/device-code", "", `null`, 400, ""},
		{"a machine that is a number", "POST", "/cli/device-code", "", `{"hostname":1}`, 400, "hostname"},
		{"a machine with control characters", "POST", "/cli/device-code", "", `{"hostname":"a\u001b[2J"}`, 400, "hostname"},
		{"a machine with NUL", "POST", "/cli/device-code", "", `{"arch":"\u0000"}`, 400, ""},
		{"an endless machine", "POST", "/cli/device-code", "", `{"hostname":"` + strings.Repeat("x", 257) + `"}`, 400, "hostname"},
		{"a sign-in of a byte too many", "POST", "/cli/device-code", "", padded(65537), 413, "payload too large"},
		{"GET of the beginning", "GET", "/cli/device-code", "", "", 405, ""},
		{"POST of a poll", "POST", "/cli/device-code/x", "", "", 405, ""},

		{"a page of nothing", "GET", "/cli/sign-in/clm_sess_X", "", "", 404, "Code not found or expired"},
		{"a page by the user code", "GET", "/cli/sign-in/" + waiting.user, "", "", 404, "Code not found or expired"},

		{"an approval by nobody", "POST", path(waiting), "", "", 401, "sign in first"},
		{"an approval by nobody, of a user's word", "POST", path(waiting), "", `{"user_id":"ada","email":"ada@example.org"}`, 401, "sign in first"},
		{"an approval with an empty code", "POST", path(waiting), "", `{"code":""}`, 401, "sign in first"},
		{"an approval with a wrong code", "POST", path(waiting), "", `{"code":"AAAA-BBBB-CCCC"}`, 401, "this one-time code is wrong"},
		{"an approval with an old code", "POST", path(waiting), "", fmt.Sprintf(`{"code":%q}`, r.code("ada", -time.Second)), 401, "this one-time code is wrong"},
		{"an approval with a code that is a number", "POST", path(waiting), "", `{"code":5}`, 400, "code"},
		{"an approval with a forged token", "POST", path(waiting), "a.b.c", "", 401, "invalid_or_revoked_token"},
		{"an approval for somebody else", "POST", path(waiting), ada, `{"user_id":"bo","email":"bo@example.org"}`, 403, "user_id is another account"},
		{"an approval that is no JSON", "POST", path(waiting), ada, `{`, 400, "Invalid body"},
		{"an approval that is null", "POST", path(waiting), ada, `null`, 400, ""},
		{"an approval of a byte too many", "POST", path(waiting), ada, padded(65537), 413, "payload too large"},
		{"an approval of nothing", "POST", path(begun{id: "AAAA-BBBB"}), ada, "", 404, "Code not found or expired"},
		{"an approval that comes too late", "POST", path(late), ada, "", 410, "Code expired"},
		{"a second approval", "POST", path(done), ada, "", 409, "Code already approved"},
		{"GET of an approval", "GET", path(waiting), ada, "", 405, ""},
	}
	r.wantRefusals(t, cases)
	if got := r.poll(waiting); got["status"] != "pending" {
		t.Errorf("after all that was refused: got %v", got)
	}
	r.wantOK("POST", path(waiting), ada, `{"user_id":"ada","email":"somebody@else.org"}`)
}

// Flaw 2 of the original: whoever began a sign-in could approve it as anyone.
func TestFlaw2ApproveNeedsACredential(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	b := r.begin()
	for _, key := range []string{b.id, b.user} {
		status, answer, header := r.ask("POST", "/cli/device-code/"+key+"/approve", "", `{"user_id":"ada","email":"ada@example.org","name":"Ada"}`)
		if status != http.StatusUnauthorized || answer["code"] != "missing_bearer_token" || header.Get("WWW-Authenticate") == "" {
			t.Errorf("got %d %v", status, answer)
		}
	}
	if got := r.poll(b); got["status"] != "pending" {
		t.Errorf("got %v", got)
	}
}

// The page's way: a one-time code in place of a token, which is spent only when
// there is something to approve.
func TestSignInWithACode(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	code := r.code("ada", time.Minute)
	typed := fmt.Sprintf(`{"code":%q}`, " "+strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	if status, _, _ := r.ask("POST", "/cli/device-code/AAAA-BBBB/approve", "", typed); status != http.StatusNotFound {
		t.Errorf("nothing to approve: got %d", status)
	}
	b := r.begin()
	spelt := strings.ToLower(strings.ReplaceAll(b.user, "-", ""))
	r.wantOK("POST", "/cli/device-code/"+spelt+"/approve", "", typed)
	if got := r.poll(b); got["status"] != "approved" || got["user"].(map[string]any)["id"] != "ada" {
		t.Errorf("got %v", got)
	}
	if status, _, _ := r.ask("POST", "/cli/device-code/"+r.begin().id+"/approve", "", typed); status != http.StatusUnauthorized {
		t.Errorf("the code again: got %d", status)
	}
}

// Flaw 22 of the original: no limits on sign-ins, and user codes that can be
// ground online.
func TestFlaw22SignInsAreLimited(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.TrustedProxies = []string{"127.0.0.1"} })
	from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }
	begun := 0
	for range 40 {
		status, answer, header := r.askWith("POST", "/cli/device-code", from("192.0.2.1"), "")
		if status == http.StatusOK {
			begun++
		} else if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || answer["code"] != "rate_limit" {
			t.Fatalf("got %d %v", status, answer)
		}
	}
	if begun < 30 || begun > 39 {
		t.Errorf("one address began %d, want about 30", begun)
	}
	if status, _, _ := r.askWith("POST", "/cli/device-code", from("192.0.2.2"), ""); status != http.StatusOK {
		t.Errorf("another address: got %d", status)
	}

	limited := 0
	for i := range 60 {
		key := fmt.Sprintf("AAAA-%04d", 2222+i)
		if status, _, _ := r.askWith("POST", "/cli/device-code/"+key+"/approve", from("192.0.2.3"), `{"code":"AAAA-BBBB-CCCC"}`); status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 20 {
		t.Errorf("of 60 guesses %d had to wait", limited)
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	r.account("bo")
	made := r.wantOK("POST", "/cli/token", ada, `{"user_id":"ada","email":"x@y.z","hostname":"ci","platform":"linux","arch":"x64"}`)
	pasted := made["token"].(string)
	if c := claims(t, pasted); c["type"] != "cli-token" || c["sub"] != "ada" || c["email"] != "ada@example.org" {
		t.Errorf("claims: got %v", c)
	}
	r.wantOK("POST", "/cli/token", pasted, "")

	list := r.wantOK("GET", "/cli/sessions", pasted, "")["sessions"].([]any)
	if len(list) != 3 {
		t.Fatalf("got %d sessions", len(list))
	}
	byHost := map[any]map[string]any{} // those of one millisecond come in any order
	for _, session := range list {
		s := session.(map[string]any)
		byHost[s["hostname"]] = s
	}
	second, third := byHost["ci"], byHost["paste-token"]
	id, _ := second["id"].(string)
	for _, field := range []string{"last_seen_at", "created_at", "expires_at"} {
		if text, _ := second[field].(string); !isoTime.MatchString(text) {
			t.Errorf("%s: got %v", field, second[field])
		}
		delete(second, field)
	}
	want := map[string]any{"id": id, "hostname": "ci", "platform": "linux", "arch": "x64", "current": true}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("the token that asks (-want +got):\n%s", diff)
	}
	if third["platform"] != "unknown" || third["arch"] != "unknown" || third["current"] != false {
		t.Errorf("a token for no machine: got %v", third)
	}

	r.wantOK("DELETE", "/cli/session/"+third["id"].(string), ada, "")
	if found := r.wantOK("POST", "/cli/session/revoke", "", fmt.Sprintf(`{"token":%q}`, pasted)); found["found"] != true || found["ok"] != true {
		t.Errorf("revoke: got %v", found)
	}
	forged, _, err := token.NewKeys([token.KeySize]byte{9}).Mint(token.Claims{Account: "ada", Kind: token.KindPasted, ExpiresAt: time.Now().Add(time.Hour)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"again": pasted, "of garbage": "garbage", "of a forged one": forged, "of much": strings.Repeat("x", 5000)} {
		if found := r.wantOK("POST", "/cli/session/revoke", "", fmt.Sprintf(`{"token":%q}`, text)); found["found"] != false || found["ok"] != true {
			t.Errorf("revoke %s: got %v", name, found)
		}
	}
	cases := []asked{
		{"a revoked token", "GET", "/cli/sessions", pasted, "", 401, "invalid_or_revoked_token"},
		{"a token for somebody else", "POST", "/cli/token", ada, `{"user_id":"bo","email":"bo@example.org"}`, 403, "user_id is another account"},
		{"a token with a wrong code", "POST", "/cli/token", "", `{"code":"AAAA-BBBB-CCCC"}`, 401, "this one-time code is wrong"},
		{"a token for a machine with control characters", "POST", "/cli/token", ada, `{"hostname":"\n"}`, 400, "hostname"},
		{"a token for somebody else's code", "POST", "/cli/token", "", fmt.Sprintf(`{"code":%q,"user_id":"bo"}`, r.code("ada", time.Minute)), 400, "user_id: leave it out"},
		{"a token that is no JSON", "POST", "/cli/token", ada, "{", 400, "Invalid body"},
		{"a token that is null", "POST", "/cli/token", ada, "null", 400, ""},
		{"a token of a byte too many", "POST", "/cli/token", ada, padded(65537), 413, "payload too large"},
		{"GET of a token", "GET", "/cli/token", ada, "", 405, ""},
		{"somebody else's sessions", "GET", "/cli/sessions?user_id=bo", ada, "", 403, "user_id is another account"},
		{"a revocation of nothing", "POST", "/cli/session/revoke", "", "{}", 400, "token required"},
		{"a revocation of an empty token", "POST", "/cli/session/revoke", "", `{"token":""}`, 400, "token required"},
		{"a revocation of a number", "POST", "/cli/session/revoke", "", `{"token":1}`, 400, "token"},
		{"the end of an unknown token", "DELETE", "/cli/session/nothing", ada, "", 404, "none of your tokens"},
		{"the end of somebody else's token", "DELETE", "/cli/session/" + r.tokenOf("bo"), ada, "", 404, "none of your tokens"},
		{"GET of a token's end", "GET", "/cli/session/x", ada, "", 405, ""},
	}
	cases = append(cases, bodies("POST", "/cli/session/revoke", "", "Invalid body")...)
	cases = append(cases, credentials("GET", "/cli/sessions", "")...)
	cases = append(cases, credentials("DELETE", "/cli/session/x", "")...)
	cases = append(cases, credentials("GET", "/api/my/profile", "")...)
	r.wantRefusals(t, cases)
}

// tokenOf returns the id of an account's first token.
func (r *rig) tokenOf(account string) string {
	r.t.Helper()
	list, err := r.store.ListTokens(context.Background(), account, time.Now())
	if err != nil || len(list) == 0 {
		r.t.Fatalf("%d tokens of %s, %v", len(list), account, err)
	}
	return list[0].ID
}

// Flaw 1 of the original: a token for any user id, for the asking.
func TestFlaw1TokenNeedsACredential(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	status, answer, header := r.ask("POST", "/cli/token", "", `{"user_id":"ada","email":"ada@example.org"}`)
	if status != http.StatusUnauthorized || answer["code"] != "missing_bearer_token" || answer["token"] != nil || header.Get("WWW-Authenticate") == "" {
		t.Errorf("got %d %v", status, answer)
	}
}

// Flaw 9 of the original: anybody's devices were listed for the asking.
func TestFlaw9SessionsAreTheCallersOwn(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	bo := r.account("bo")
	if status, answer, _ := r.ask("GET", "/cli/sessions?user_id=ada", "", ""); status != 401 || answer["sessions"] != nil {
		t.Errorf("without a token: got %d %v", status, answer)
	}
	if status, answer, _ := r.ask("GET", "/cli/sessions?user_id=ada", bo, ""); status != 403 || answer["sessions"] != nil {
		t.Errorf("with another account's: got %d %v", status, answer)
	}
	if list := r.wantOK("GET", "/cli/sessions?user_id=bo", bo, "")["sessions"].([]any); len(list) != 1 {
		t.Errorf("got %v", list)
	}
}

// Flaw 10 of the original: tokens never expired, and nobody checked who signed
// them.
func TestFlaw10TokensExpire(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	mint := func(keys *token.Keys, at time.Time, rowEnds time.Time) string {
		t.Helper()
		text, hash, err := keys.Mint(token.Claims{Account: "ada", Kind: token.KindDevice, ExpiresAt: at.Add(time.Hour)}, at)
		if err != nil {
			t.Fatal(err)
		}
		row := &store.Token{ID: identity.NewID(), AccountID: "ada", Hash: hash, Kind: store.TokenDevice, CreatedAt: at, ExpiresAt: rowEnds, LastSeenAt: at}
		if err := r.store.CreateToken(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		return text
	}
	now, ours := time.Now(), token.NewKeys(atRest.Key())
	for name, text := range map[string]string{
		"whose exp is over":    mint(ours, now.Add(-2*time.Hour), now.Add(time.Hour)),
		"whose row is over":    mint(ours, now, now.Add(-time.Second)),
		"that others signed":   mint(token.NewKeys([token.KeySize]byte{9}), now, now.Add(time.Hour)),
		"that is a year early": mint(ours, now.Add(365*24*time.Hour), now.Add(366*24*time.Hour)),
	} {
		if status, answer, _ := r.ask("GET", "/api/my/profile", text, ""); status != 401 || answer["error"] != "invalid_or_revoked_token" {
			t.Errorf("a token %s: got %d %v", name, status, answer)
		}
	}
}

// Flaw 44 of the original: names outside Latin-1 broke the making of tokens.
func TestFlaw44NamesInAnyScript(t *testing.T) {
	r := newRig(t, guessing)
	for i, name := range []string{"Ада Лавлейс", "愛", "أدا", "Ada 👩‍💻", `"quoted" \ <b>`, ""} {
		id := fmt.Sprintf("person-%d", i)
		if err := r.store.CreateAccount(t.Context(), &store.Account{ID: id, Name: name, CreatedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		made := r.wantOK("POST", "/cli/token", "", fmt.Sprintf(`{"code":%q}`, r.code(id, time.Minute)))
		bearer := made["token"].(string)
		if got := claims(t, bearer)["name"]; got != name {
			t.Errorf("claim: got %v, want %s", got, name)
		}
		want := map[string]any{"id": id, "display_name": name, "email": ""}
		if name == "" {
			want["display_name"] = "User"
		}
		if diff := cmp.Diff(want, r.wantOK("GET", "/api/my/profile", bearer, "")); diff != "" {
			t.Errorf("profile (-want +got):\n%s", diff)
		}
	}
}

// Flaw 61 of the original: what signing in leaves behind was never purged.
func TestFlaw61SignInsArePruned(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	kept, gone := r.waiting(time.Minute, nil), r.waiting(3*time.Hour, nil)
	if n, err := r.store.PruneTokens(t.Context(), time.Now().Add(-time.Hour)); err != nil || n != 1 {
		t.Errorf("pruned %d rows, %v", n, err)
	}
	if _, err := r.store.SignInByCode(t.Context(), gone.id); err == nil {
		t.Error("an old sign-in is still there")
	}
	if got := r.poll(kept); got["status"] != "pending" {
		t.Errorf("got %v", got)
	}
}

// askSigned asks with a member's signature.
func (r *rig) askSigned(id dial.Identity, method, path, body string) (int, map[string]any) {
	r.t.Helper()
	h := http.Header{"Authorization": {identity.SignHTTP(id.Key, method, path, id.MeshID, []byte(body), time.Now())}}
	status, answer, _ := r.askWith(method, path, h, body)
	return status, answer
}

// Who joined by an invite has no account, and gets one with its first token.
func TestTokenOfAMember(t *testing.T) {
	r := newRig(t, guessing)
	id := r.member("ада", store.RoleMember)
	status, made := r.askSigned(id, "POST", "/cli/token", `{"hostname":"laptop"}`)
	if status != http.StatusOK {
		t.Fatalf("got %d %v", status, made)
	}
	bearer := made["token"].(string)
	profile := r.wantOK("GET", "/api/my/profile", bearer, "")
	member, err := r.store.MemberByID(t.Context(), id.MemberID)
	if err != nil || member.AccountID == "" || member.AccountID != profile["id"] || profile["display_name"] != "ада" {
		t.Errorf("got %+v, %v, profile %v", member, err, profile)
	}
	r.wantRecord(r.mesh.ID, "member_linked", id.MemberID)
	if a, err := r.store.Account(t.Context(), member.AccountID); err != nil || !a.NoLegacy {
		t.Errorf("legacy-auth takes the id of an account that no old client knows: %+v, %v", a, err)
	}

	status, made = r.askSigned(id, "POST", "/cli/token", "")
	if status != http.StatusOK || r.wantOK("GET", "/api/my/profile", made["token"].(string), "")["id"] != member.AccountID {
		t.Errorf("the second token is another account's: %d %v", status, made)
	}

	stranger := id
	_, stranger.Key = identity.NewKeypair()
	elsewhere := id
	elsewhere.MeshID = identity.NewID()
	for name, forged := range map[string]dial.Identity{"a stranger": stranger, "a member of another mesh": elsewhere} {
		if status, answer := r.askSigned(forged, "POST", "/cli/token", ""); status != 401 {
			t.Errorf("%s: got %d %v", name, status, answer)
		}
	}
	if _, err := r.store.ChangeAccount(t.Context(), member.AccountID, func(a *store.Account) error {
		a.DisabledAt = time.Now()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if status, answer := r.askSigned(id, "POST", "/cli/token", ""); status != 401 || !strings.HasPrefix(answer["error"].(string), "the account of this member is disabled") {
		t.Errorf("a disabled account: got %d %v", status, answer)
	}
}

// A member that asks many times at once has one account.
func TestTokenOfAMemberAtOnce(t *testing.T) {
	r := newRig(t, guessing)
	id := r.member("bo", store.RoleMember)
	const asks = 8
	accounts := make([]any, asks)
	var wg sync.WaitGroup
	for i := range asks {
		wg.Go(func() {
			status, made := r.askSigned(id, "POST", "/cli/token", fmt.Sprintf(`{"hostname":"h%d"}`, i))
			if status == http.StatusOK {
				_, profile, _ := r.ask("GET", "/api/my/profile", made["token"].(string), "")
				accounts[i] = profile["id"]
			}
		})
	}
	wg.Wait()
	for _, got := range accounts {
		if got == nil || got != accounts[0] {
			t.Fatalf("got accounts %v", accounts)
		}
	}
}

func TestLinkMember(t *testing.T) {
	r := newRig(t, guessing)
	ada, bo := r.account("ada"), r.account("bo")
	id := r.member("ada", store.RoleMember)
	path := "/cli/mesh/home/link"
	body := func(id dial.Identity, account string, at time.Time) string {
		p := identity.SignLink(id.Key, id.MeshID, account, at)
		return fmt.Sprintf(`{"pubkey":%q,"timestamp":%s,"signature":%q}`, p.Pubkey, p.TimestampToken, p.Signature)
	}
	now := time.Now()
	stranger := id
	_, stranger.Key = identity.NewKeypair()
	elsewhere := id
	elsewhere.MeshID = identity.NewID()
	revoked := r.member("gone", store.RoleMember)
	if err := r.store.SetRevoked(t.Context(), revoked.MemberID, now); err != nil {
		t.Fatal(err)
	}
	cases := []asked{
		{"a mesh that is not there", "POST", "/cli/mesh/nothing/link", ada, body(id, "ada", now), 404, "Mesh not found"},
		{"a proof for another account", "POST", path, bo, body(id, "ada", now), 403, "the signature does not cover"},
		{"a proof for another mesh", "POST", path, ada, body(elsewhere, "ada", now), 403, "the signature does not cover"},
		{"an old proof", "POST", path, ada, body(id, "ada", now.Add(-2*time.Minute)), 400, "timestamp must be"},
		{"a stranger's key", "POST", path, ada, body(stranger, "ada", now), 403, "Not a member of this mesh"},
		{"a revoked member", "POST", path, ada, body(revoked, "ada", now), 403, "Not a member of this mesh"},
		{"a key that is none", "POST", path, ada, strings.Replace(body(id, "ada", now), `"pubkey":"`, `"pubkey":"x`, 1), 400, "pubkey must be"},
		{"no proof", "POST", path, ada, `{}`, 400, ""},
		{"GET of a link", "GET", path, ada, "", 405, ""},
	}
	cases = append(cases, bodies("POST", path, ada, "Invalid body")...)
	cases = append(cases, credentials("POST", path, body(id, "ada", now))...)
	r.wantRefusals(t, cases)

	want := map[string]any{"ok": true, "member_id": id.MemberID}
	for _, name := range []string{path, "/cli/mesh/" + r.mesh.ID + "/link"} { // the second time it is so already
		if diff := cmp.Diff(want, r.wantOK("POST", name, ada, body(id, "ada", now))); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	}
	m, err := r.store.AccountMember(t.Context(), r.mesh.ID, "ada")
	if err != nil || m.ID != id.MemberID {
		t.Errorf("got %+v, %v", m, err)
	}
	r.wantRecord(r.mesh.ID, "member_linked", id.MemberID)
	r.wantRefusals(t, []asked{{"a member of another account", "POST", path, bo, body(id, "bo", now), 409, "this member belongs to another account"}})
}

// A broker without a key lets nobody sign in, and says so.
func TestNobodySignsInWithoutAKey(t *testing.T) {
	r := startWith(t, t.TempDir()+"/broker.db", guessing, func(o *app.Options) { o.Tokens, o.Keys = nil, nil })
	r.wantRefusals(t, []asked{
		{"a sign-in", "POST", "/cli/device-code", "", "", 503, "nobody can sign in to this broker"},
		{"a token", "POST", "/cli/token", "", `{"code":"X"}`, 503, "nobody can sign in to this broker"},
	})
	if found := r.wantOK("POST", "/cli/session/revoke", "", `{"token":"x"}`); found["found"] != false {
		t.Errorf("got %v", found)
	}
}

// The pages come from the broker's own port.
func TestPages(t *testing.T) {
	r := newRig(t, nil)
	for path, holds := range map[string]string{
		"/cli-auth?session=clm_sess_X": "Sign in a command line", "/token": "A token to paste", "/pages/common.js": "function ask",
	} {
		status, text, header := r.request(http.MethodGet, path, "")
		if status != http.StatusOK || !strings.Contains(text, holds) || !strings.Contains(header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("%s: got %d with %s", path, status, header.Get("Content-Security-Policy"))
		}
		if got := header.Values("Content-Security-Policy"); len(got) != 1 {
			t.Errorf("%s: got policies %q", path, got)
		}
	}
	if status, _, header := r.request(http.MethodPost, "/token", ""); status != http.StatusMethodNotAllowed || header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("POST: got %d, %s", status, header.Get("Allow"))
	}
}
