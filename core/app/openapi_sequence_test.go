package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
)

// TestOpenAPISequences has two workers do what people do with a mesh, in any
// order, at the same time, and compares each answer with a model of the mesh.
// After a third of -http.time the steps that are left do nothing.
func TestOpenAPISequences(t *testing.T) {
	cfg := unlimited()
	unguarded(&cfg)
	log := &errorLog{}
	r := startOn(t, cfg, openSQLite(t, cfg), func(o *app.Options) { o.Log = slog.New(log) })
	end := time.Now().Add(*fuzzTime / 3)
	bearers := []string{r.account("ann"), r.account("bo")}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	t.Run("workers", func(t *testing.T) {
		for i, name := range []string{"ann", "bo"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) {
					m := &meshModel{
						t: rt, end: end, base: "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws"),
						client: &http.Client{Transport: documented{transport}, Timeout: patience},
						name:   name, bearer: bearers[i], stranger: bearers[1-i],
					}
					m.begin()
					rt.Repeat(m.actions())
				})
			})
		}
	})
	for _, line := range log.take() {
		t.Errorf("the broker logged %s", line)
	}
	r.newMesh()
	r.wantWell()
}

// meshModel is a mesh of one worker and what must be true of it.
type meshModel struct {
	t      *rapid.T
	end    time.Time
	base   string
	client *http.Client

	name, bearer, stranger string // account, its token, and another account's

	slug, id string // empty when the time is over
	members  []dial.Identity
	granted  []map[string][]string // by the index of a member
	invites  []*inviteModel
}

type inviteModel struct {
	id, code, token string
	left            int
	revoked         bool
}

// call makes a request and returns its answer.
func (m *meshModel) call(auth, method, path, body string) (int, map[string]any) {
	m.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, m.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		m.t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	res, err := m.client.Do(req)
	if err != nil {
		m.t.Fatalf("%s %s %s: %v", method, path, body, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(b, &answer); err != nil {
		m.t.Fatalf("%s %s: got %d %q", method, path, res.StatusCode, b)
	}
	return res.StatusCode, answer
}

// want is call with the status that the model expects.
func (m *meshModel) want(status int, auth, method, path, body string) map[string]any {
	m.t.Helper()
	got, answer := m.call(auth, method, path, body)
	if got != status {
		m.t.Fatalf("%s %s %s: got %d %v, want %d", method, path, body, got, answer, status)
	}
	return answer
}

func (m *meshModel) owner() string { return "Bearer " + m.bearer }

// signed is the credential of a member for one request.
func (m *meshModel) signed(id dial.Identity, method, path, body string) string {
	return identity.SignHTTP(id.Key, method, path, id.MeshID, []byte(body), time.Now())
}

// begin makes the mesh.
func (m *meshModel) begin() {
	if time.Now().After(m.end) {
		m.slug = ""
		return
	}
	key, secret := identity.NewKeypair()
	made := m.want(200, m.owner(), http.MethodPost, "/cli/mesh/create", fmt.Sprintf(`{"name":"of %s","pubkey":%q}`, m.name, key))
	m.slug, m.id = made["slug"].(string), made["id"].(string)
	m.members = []dial.Identity{{MeshID: m.id, MemberID: made["member_id"].(string), Key: secret}}
	m.granted = []map[string][]string{{}}
	m.invites = nil
}

// actions are the steps, which do nothing when the time is over.
func (m *meshModel) actions() map[string]func(*rapid.T) {
	steps := map[string]func(){
		"invite": m.invite, "withdraw": m.withdraw, "claim": m.claim, "join": m.join, "grant": m.grant, "read grants": m.readGrants,
		"permit": m.permit, "list": m.list, "rename": m.rename, "profile": m.profile, "delete": m.remove, "intrude": m.intrude, "sign in": m.signIn,
	}
	actions := map[string]func(*rapid.T){"": func(*rapid.T) {}}
	for name, step := range steps {
		actions[name] = func(rt *rapid.T) {
			m.t = rt
			if m.slug != "" && time.Now().Before(m.end) {
				step()
			}
		}
	}
	return actions
}

func (m *meshModel) number(label string, most int) int {
	return rapid.IntRange(0, most).Draw(m.t, label)
}

func (m *meshModel) member() (int, dial.Identity) {
	i := m.number("member", len(m.members)-1)
	return i, m.members[i]
}

func (m *meshModel) invite() {
	uses := m.number("uses", 2) + 1
	made := m.want(200, m.owner(), http.MethodPost, "/cli/mesh/"+m.slug+"/invite", fmt.Sprintf(`{"max_uses":%d}`, uses))
	inv := &inviteModel{id: made["id"].(string), code: made["code"].(string), left: uses}
	inv.token = m.want(200, "", http.MethodGet, "/api/public/invite-code/"+inv.code, "")["token"].(string)
	m.invites = append(m.invites, inv)
}

func (m *meshModel) anInvite() *inviteModel {
	if len(m.invites) == 0 {
		m.invite()
	}
	return m.invites[m.number("invite", len(m.invites)-1)]
}

func (m *meshModel) withdraw() {
	inv := m.anInvite()
	status := 200
	if inv.revoked {
		status = 404
	}
	m.want(status, m.owner(), http.MethodDelete, "/cli/mesh/"+m.slug+"/invites/"+inv.id, "")
	inv.revoked = true
}

// enrolled notes a new member.
func (m *meshModel) enrolled(inv *inviteModel, id dial.Identity) {
	inv.left--
	m.members, m.granted = append(m.members, id), append(m.granted, map[string][]string{})
}

func (m *meshModel) claim() {
	inv := m.anInvite()
	key, secret := identity.NewKeypair()
	var box identity.SealKey
	_, other := identity.NewKeypair()
	copy(box[:], other.Seed())
	p := identity.SignClaim(secret, inv.code, box, time.Now())
	body := fmt.Sprintf(`{"recipient_x25519_pubkey":%q,"peer_pubkey":%q,"timestamp":%s,"signature":%q}`,
		p.RecipientKey, key, p.TimestampToken, p.Signature)
	status := 200
	if inv.revoked || inv.left == 0 {
		status = 410
	}
	answer := m.want(status, "", http.MethodPost, "/invites/"+inv.code+"/claim", body)
	if status == 200 {
		m.enrolled(inv, dial.Identity{MeshID: m.id, MemberID: answer["member_id"].(string), Key: secret})
	}
}

func (m *meshModel) join() {
	inv := m.anInvite()
	payload, err := identity.ParseToken(inv.token)
	if err != nil {
		m.t.Fatal(err)
	}
	key, secret := identity.NewKeypair()
	body, err := json.Marshal(map[string]any{
		"invite_token": inv.token, "invite_payload": payload, "peer_pubkey": key.String(), "display_name": "joined",
	})
	if err != nil {
		m.t.Fatal(err)
	}
	status := 200
	if inv.revoked || inv.left == 0 {
		status = 400
	}
	answer := m.want(status, "", http.MethodPost, "/join", string(body))
	if status == 200 {
		m.enrolled(inv, dial.Identity{MeshID: m.id, MemberID: answer["memberId"].(string), Key: secret})
	}
}

func (m *meshModel) grant() {
	i, by := m.member()
	_, to := m.member()
	key := identity.PublicKey(to.Key).String()
	caps := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"broadcast", "dm", "read"}), rapid.ID[string]).Draw(m.t, "caps")
	slices.Sort(caps)
	list, err := json.Marshal(caps)
	if err != nil {
		m.t.Fatal(err)
	}
	if rapid.Bool().Draw(m.t, "default") {
		list = []byte("null")
		delete(m.granted[i], key)
	} else {
		m.granted[i][key] = caps
	}
	path, body := "/cli/mesh/"+m.slug+"/grants", fmt.Sprintf(`{"grants":{%q:%s}}`, key, list)
	m.sameGrants(i, m.want(200, m.signed(by, http.MethodPost, path, body), http.MethodPost, path, body))
}

func (m *meshModel) readGrants() {
	i, by := m.member()
	path := "/cli/mesh/" + m.id + "/grants"
	m.sameGrants(i, m.want(200, m.signed(by, http.MethodGet, path, ""), http.MethodGet, path, ""))
}

func (m *meshModel) sameGrants(i int, answer map[string]any) {
	got := map[string][]string{}
	for key, caps := range answer["grants"].(map[string]any) {
		got[key] = []string{}
		for _, c := range caps.([]any) {
			got[key] = append(got[key], c.(string))
		}
		slices.Sort(got[key])
	}
	if !maps.EqualFunc(got, m.granted[i], slices.Equal[[]string]) {
		m.t.Fatalf("grants: got %v, want %v", got, m.granted[i])
	}
}

func (m *meshModel) permit() {
	_, to := m.member()
	may := rapid.Bool().Draw(m.t, "may")
	if to.MemberID == m.members[0].MemberID {
		return // the owner may everything
	}
	m.want(200, m.owner(), http.MethodPost, "/cli/mesh/"+m.slug+"/permissions",
		fmt.Sprintf(`{"member_id":%q,"permissions":{"canInvite":%t}}`, to.MemberID, may))
	status, path := 403, "/cli/mesh/"+m.slug+"/invite"
	if may {
		status = 200
	}
	m.want(status, m.signed(to, http.MethodPost, path, "{}"), http.MethodPost, path, "{}")
}

func (m *meshModel) list() {
	_, by := m.member()
	path := "/mesh/" + m.id + "/members"
	answer := m.want(200, m.signed(by, http.MethodGet, path, ""), http.MethodGet, path, "")
	if got := len(answer["members"].([]any)); got != len(m.members) {
		m.t.Fatalf("got %d members, want %d", got, len(m.members))
	}
}

func (m *meshModel) rename() {
	m.want(200, m.owner(), http.MethodPatch, "/api/my/meshes/"+m.slug, `{"name":"again"}`)
}

func (m *meshModel) profile() {
	_, of := m.member()
	path, body := "/mesh/"+m.id+"/member/"+of.MemberID, `{"roleTag":"tester"}`
	answer := m.want(200, m.signed(of, http.MethodPatch, path, body), http.MethodPatch, path, body)
	if row := answer["member"].(map[string]any); row["roleTag"] != "tester" || row["id"] != of.MemberID {
		m.t.Fatalf("got %v", row)
	}
}

// remove deletes the mesh, after which nothing of it answers, and makes another.
func (m *meshModel) remove() {
	_, by := m.member()
	m.want(200, m.owner(), http.MethodDelete, "/cli/mesh/"+m.slug, "")
	m.want(404, m.owner(), http.MethodGet, "/cli/mesh/"+m.id+"/permissions", "")
	path := "/mesh/" + m.id + "/members"
	m.want(401, m.signed(by, http.MethodGet, path, ""), http.MethodGet, path, "")
	for _, inv := range m.invites {
		m.want(404, "", http.MethodGet, "/i/"+inv.code, "")
	}
	m.begin()
}

// intrude tries the mesh as somebody who is not in it.
func (m *meshModel) intrude() {
	for _, at := range []string{"POST invite {}", "GET permissions", "GET grants", "GET invites"} {
		words := append(strings.Fields(at), "")
		m.want(403, "Bearer "+m.stranger, words[0], "/cli/mesh/"+m.slug+"/"+words[1], words[2])
	}
	m.want(403, "Bearer "+m.stranger, http.MethodDelete, "/cli/mesh/"+m.slug, "")
}

// signIn goes through a sign-in and ends the token that it gives.
func (m *meshModel) signIn() {
	begun := m.want(200, "", http.MethodPost, "/cli/device-code", `{}`)
	poll := "/cli/device-code/" + begun["device_code"].(string)
	approve := "/cli/device-code/" + url.PathEscape(begun["user_code"].(string)) + "/approve"
	if got := m.want(200, "", http.MethodGet, poll, "")["status"]; got != "pending" {
		m.t.Fatalf("got %v, want pending", got)
	}
	m.want(200, m.owner(), http.MethodPost, approve, `{}`)
	token := m.want(200, "", http.MethodGet, poll, "")["session_token"].(string)
	if got := m.want(200, "", http.MethodGet, poll, "")["status"]; got != "consumed" {
		m.t.Fatalf("got %v, want consumed", got)
	}
	if got := m.want(200, "Bearer "+token, http.MethodGet, "/api/my/profile", "")["id"]; got != m.name {
		m.t.Fatalf("got %v, want %s", got, m.name)
	}
	m.want(200, "", http.MethodPost, "/cli/session/revoke", fmt.Sprintf(`{"token":%q}`, token))
	m.want(401, "Bearer "+token, http.MethodGet, "/api/my/profile", "")
}
