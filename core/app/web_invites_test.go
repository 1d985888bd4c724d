package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

func TestInviteCreate(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.AppURL = "https://mesh.example.org/" })
	ada := r.account("ada")
	slug, id := r.created(ada, "one", freshKey())
	path := "/cli/mesh/" + slug + "/invite"
	week, day := 7*24*time.Hour, 24*time.Hour
	tests := []struct {
		name, body string
		role       store.Role
		uses       int
		ttl        time.Duration
	}{
		{"an invite of nothing said", `{}`, store.RoleMember, 1, week},
		{"an address, to which nothing is sent", `{"email":"bo@example.org","role":"member"}`, store.RoleMember, 1, week},
		{"an admin's", `{"role":"admin"}`, store.RoleAdmin, 1, week},
		{"a role that is none", `{"role":"Admin"}`, store.RoleMember, 1, week},
		{"flaw 41: uses and an end", `{"max_uses":3,"expires_in":86400}`, store.RoleMember, 3, day},
		{"as many as may be", `{"max_uses":10000,"expires_in":31536000}`, store.RoleMember, 10000, 365 * day},
		{"nulls", `{"email":null,"role":null,"expires_in":null,"max_uses":null}`, store.RoleMember, 1, week},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Now()
			got := r.wantOK(http.MethodPost, path, ada, tt.body)
			code, _ := got["code"].(string)
			row, err := r.store.InviteByCode(t.Context(), code)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]any{
				"url": "https://mesh.example.org/i/" + code, "code": code, "emailed": false, "id": row.ID,
				"expires_at": row.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z"), "role": string(tt.role), "max_uses": float64(tt.uses),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if row.Role != tt.role || row.MaxUses != tt.uses || row.CreatedBy != "ada" || row.MeshID != id {
				t.Errorf("got %+v", row)
			}
			// Equal invites of one second hold a little longer.
			if ttl := row.ExpiresAt.Sub(begun); ttl < tt.ttl-2*time.Second || ttl > tt.ttl+time.Minute {
				t.Errorf("it holds for %v, want %v", ttl, tt.ttl)
			}
			token := r.openToken(row)
			payload, err := identity.ParseToken(token)
			if err != nil || !payload.VerifySignature() || payload.BrokerURL != r.url || payload.MeshSlug != slug {
				t.Errorf("got the payload %+v, %v", payload, err)
			}
			for range min(tt.uses, 3) {
				if status, reply := r.join(invitation{payload: payload, token: token}.body(freshKey(), "x")); status != 200 {
					t.Errorf("join: got %d %+v", status, reply)
				}
			}
		})
	}
	r.wantRecord(id, "invite_created", r.memberOf(id, "ada").ID)
}

// openToken is the token that an invite's row has sealed.
func (r *rig) openToken(inv *store.Invite) string {
	r.t.Helper()
	token, err := atRest.OpenFor(identity.InviteAtRest, inv.ID, inv.SealedToken)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(token)
}

// memberOf is an account's member in a mesh.
func (r *rig) memberOf(mesh, account string) *store.Member {
	r.t.Helper()
	m, err := r.store.AccountMember(r.t.Context(), mesh, account)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func TestInviteRefusals(t *testing.T) {
	r := newRig(t, guessing)
	ada, bo, cy, eve := r.account("ada"), r.account("bo"), r.account("cy"), r.account("eve")
	slug, id := r.created(ada, "one", freshKey())
	r.created(eve, "eves", freshKey())
	r.enrolIn(id, "bo", store.RoleMember)
	inviting := r.enrolIn(id, "cy", store.RoleMember)
	_, err := r.store.ChangeMember(t.Context(), inviting.MemberID, func(m *store.Member) error {
		m.Permissions = store.Permissions{store.CanInvite: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/cli/mesh/" + slug + "/invite"
	post := func(name, bearer, body string, status int, text string) asked {
		return asked{name, http.MethodPost, path, bearer, body, status, text}
	}
	r.wantRefusals(t, append(append(credentials(http.MethodPost, path, "{}"), bodies(http.MethodPost, path, ada, "Invalid body")...),
		post("a member", bo, "{}", 403, "Only the owner can invite (for now)"),
		post("an owner of another mesh", eve, "{}", 403, "Only the owner can invite (for now)"),
		post("an admin's invite by who may invite only", cy, `{"role":"admin"}`, 403, "an invite for an admin"),
		asked{"a mesh that is none", http.MethodPost, "/cli/mesh/none/invite", ada, "{}", 404, "Mesh not found"},
		post("no uses", ada, `{"max_uses":0}`, 400, "max_uses"),
		post("uses below none", ada, `{"max_uses":-1}`, 400, "max_uses"),
		post("too many uses", ada, `{"max_uses":10001}`, 400, "max_uses"),
		post("half a use", ada, `{"max_uses":1.5}`, 400, "max_uses"),
		post("uses as a text", ada, `{"max_uses":"1"}`, 400, "max_uses"),
		post("more uses than a number has", ada, `{"max_uses":99999999999999999999}`, 400, "max_uses"),
		post("an end that is now", ada, `{"expires_in":0}`, 400, "expires_in"),
		post("an end beyond a year", ada, `{"expires_in":31536001}`, 400, "expires_in"),
		post("an end as a text", ada, `{"expires_in":"7d"}`, 400, "expires_in"),
		post("a role that is a number", ada, `{"role":1}`, 400, "role"),
		post("an address without end", ada, fmt.Sprintf(`{"email":%q}`, strings.Repeat("a", 321)), 400, "email"),
		asked{"another method", http.MethodGet, path, ada, "", 405, "this path answers"},
	))
	r.wantOK(http.MethodPost, path, cy, `{}`)
}

func TestInviteListAndRevoke(t *testing.T) {
	r := newRig(t, guessing)
	ada, bo, eve := r.account("ada"), r.account("bo"), r.account("eve")
	slug, id := r.created(ada, "one", freshKey())
	other, _ := r.created(eve, "eves", freshKey())
	inviting := r.enrolIn(id, "bo", store.RoleMember)
	_, err := r.store.ChangeMember(t.Context(), inviting.MemberID, func(m *store.Member) error {
		m.Permissions = store.Permissions{store.CanInvite: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/cli/mesh/" + slug + "/invites"
	if got := r.wantOK(http.MethodGet, path, ada, ""); len(got["invites"].([]any)) != 0 {
		t.Errorf("got %v, want none", got)
	}
	admin := r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, `{"role":"admin"}`)
	member := r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", bo, `{"max_uses":2}`)

	list := func(bearer string) map[string]map[string]any {
		byID := map[string]map[string]any{}
		for _, e := range r.wantOK(http.MethodGet, path, bearer, "")["invites"].([]any) {
			entry := e.(map[string]any)
			byID[entry["id"].(string)] = entry
			if entry["token"] != nil {
				t.Errorf("a token is listed: %v", entry)
			}
		}
		return byID
	}
	got := list(ada)[member["id"].(string)]
	want := map[string]any{
		"id": member["id"], "code": member["code"], "role": "member", "max_uses": 2.0, "used_count": 0.0, "created_by": "bo",
		"created_at": got["created_at"], "expires_at": member["expires_at"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the entry (-want +got):\n%s", diff)
	}
	if code := list(ada)[admin["id"].(string)]["code"]; code != admin["code"] {
		t.Errorf("the owner sees the code %v of an admin's invite", code)
	}
	if code := list(bo)[admin["id"].(string)]["code"]; code != nil {
		t.Errorf("who may not make admins sees the code %v of an admin's invite", code)
	}

	one := path + "/" + member["id"].(string)
	r.wantRefusals(t, append(append(credentials(http.MethodGet, path, ""), credentials(http.MethodDelete, one, "")...),
		asked{"a list for a stranger", http.MethodGet, path, eve, "", 403, "Only the owner can invite (for now)"},
		asked{"a list of a mesh that is none", http.MethodGet, "/cli/mesh/none/invites", ada, "", 404, "Mesh not found"},
		asked{"a stranger", http.MethodDelete, one, eve, "", 403, "Only the owner can invite (for now)"},
		asked{"an invite of another mesh", http.MethodDelete, "/cli/mesh/" + other + "/invites/" + member["id"].(string), eve, "", 404, "Invite not found"},
		asked{"an invite that is none", http.MethodDelete, path + "/none", ada, "", 404, "Invite not found"},
		asked{"a mesh that is none", http.MethodDelete, "/cli/mesh/none/invites/x", ada, "", 404, "Mesh not found"},
		asked{"a body that is no JSON", http.MethodDelete, one, ada, "{", 400, "Invalid body"},
		asked{"another method", http.MethodPost, path, ada, "{}", 405, "this path answers"},
	))
	if got := r.wantOK(http.MethodDelete, one, ada, ""); got["revoked"] != member["id"] || got["ok"] != true {
		t.Errorf("got %v", got)
	}
	r.wantRefusals(t, []asked{{"an invite that is revoked", http.MethodDelete, one, ada, "", 404, "Invite not found"}})
	if at := list(ada)[member["id"].(string)]["revoked_at"]; at == nil {
		t.Error("the list does not tell that the invite is revoked")
	}
	row, err := r.store.InviteByCode(t.Context(), member["code"].(string))
	if err != nil {
		t.Fatal(err)
	}
	token := r.openToken(row)
	payload, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	if status, reply := r.join(invitation{payload: payload, token: token}.body(freshKey(), "x")); status != 400 || reply.Error != "invite_revoked" {
		t.Errorf("got %d %+v, want invite_revoked", status, reply)
	}
	r.wantRecord(id, "invite_revoked", r.memberOf(id, "ada").ID)
}

func TestShortCodes(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	slug, id := r.created(ada, "one", freshKey())
	invite := func(body string) (code, token string) {
		code = r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, body)["code"].(string)
		row, err := r.store.InviteByCode(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		return code, r.openToken(row)
	}
	code, token := invite(`{}`)
	for _, path := range []string{
		"/api/public/invite-code/" + code, "/api/public/invite-code/" + strings.ToLower(code[:4]) + "-" + code[4:], "/i/" + code,
	} {
		status, got, header := r.ask(http.MethodGet, path, "", "")
		if status != 200 || !cmp.Equal(got, map[string]any{"found": true, "token": token}) {
			t.Errorf("%s: got %d %v, want the token", path, status, got)
		}
		if header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got the headers %v", path, header)
		}
	}
	revoked, _ := invite(`{}`)
	row, err := r.store.InviteByCode(t.Context(), revoked)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.RevokeInvite(t.Context(), id, row.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	used, usedToken := invite(`{}`)
	payload, err := identity.ParseToken(usedToken)
	if err != nil {
		t.Fatal(err)
	}
	if status, reply := r.join(invitation{payload: payload, token: usedToken}.body(freshKey(), "x")); status != 200 {
		t.Fatalf("join: got %d %+v", status, reply)
	}
	past := r.invite(r.owner, func(i *invitation) { i.row.Code, i.row.ExpiresAt = "EXPIRED2", time.Now().Add(-time.Hour) })
	for name, code := range map[string]string{
		"a code that is none": "NQNEQQQQ", "a revoked invite's": revoked, "a used-up invite's": used, "an expired invite's": past.row.Code,
		"a path of percents": "%25%00", "a long one": strings.Repeat("A", 2000),
	} {
		status, got, _ := r.ask(http.MethodGet, "/api/public/invite-code/"+code, "", "")
		if status != 404 && status != 400 || got["found"] != false || got["token"] != nil || got["error"] == "" {
			t.Errorf("%s: got %d %v, want found false", name, status, got)
		}
	}
	r.wantRefusals(t, []asked{
		{"another method", http.MethodPost, "/api/public/invite-code/" + code, "", "{}", 405, "this path answers"},
		{"no code", http.MethodGet, "/api/public/invite-code/", "", "", 404, "not found"},
	})
}

// Flaw 22: codes cannot be tried out one after the other.
func TestCodesCannotBeGuessed(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		c.HTTP.Guesses, c.HTTP.GuessesBurst = config.Limit{Rate: config.Rate{Count: 1, Per: time.Hour}}, 3
	})
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, "{}")["code"].(string)
	for i := range 3 {
		if status, answer, _ := r.ask(http.MethodGet, fmt.Sprintf("/i/NQNE%04d", i), "", ""); status != 404 {
			t.Fatalf("guess %d: got %d %v", i, status, answer)
		}
	}
	for _, path := range []string{"/i/" + code, "/api/public/invite-code/" + code} {
		status, answer, header := r.ask(http.MethodGet, path, "", "")
		if status != 429 || header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %v, want to wait", path, status, answer)
		}
	}
}

// Browsers get a page where everybody else gets JSON.
func TestLandingPages(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.AppURL = "https://mesh.example.org" })
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	code := r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, "{}")["code"].(string)
	row, err := r.store.InviteByCode(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	token := r.openToken(row)
	browser := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
	for path, want := range map[string]string{
		"/i/" + code:     "claudemesh https://mesh.example.org/i/" + code,
		"/join/" + token: "claudemesh join ic://join/" + token,
	} {
		status, text, header := r.fetch(path, browser)
		if status != 200 || !strings.Contains(text, want) || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: got %d %s", path, status, text)
		}
		if !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got the headers %v", path, header)
		}
	}
	if status, text, header := r.fetch("/i/"+code, http.Header{"Accept": {"application/json"}}); status != 200 ||
		!strings.Contains(text, `"found":true`) || header.Get("Vary") == "" {
		t.Errorf("got %d %s", status, text)
	}
	if status, _, header := r.request(http.MethodPost, "/i/"+code, ""); status != 405 || header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("got %d, Allow %s", status, header.Get("Allow"))
	}
}
