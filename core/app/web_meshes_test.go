package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestMeshCreate(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	key, secret := identity.NewKeypair()
	body := fmt.Sprintf(`{"name":" Dev Team! ","pubkey":%q,"template":"t","description":"d"}`, strings.ToUpper(key.String()))
	got := r.wantOK(http.MethodPost, "/cli/mesh/create", ada, body)
	mesh, err := r.store.FindMesh(t.Context(), "dev-team")
	if err != nil {
		t.Fatal(err)
	}
	member, err := r.store.Member(t.Context(), mesh.ID, key)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": mesh.ID, "slug": "dev-team", "name": "Dev Team!", "member_id": member.ID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if mesh.OwnerAccount != "ada" || member.AccountID != "ada" || member.Role != store.RoleAdmin || member.DisplayName != "Dev Team!-owner" {
		t.Errorf("got %+v and %+v, want both to be ada's", mesh, member)
	}
	r.dial(session(dial.Identity{MeshID: mesh.ID, MemberID: member.ID, Key: secret}), dial.Options{})
	r.wantRecord(mesh.ID, "mesh_created", member.ID)

	// A slug that is taken gets a number, one that is wished for too.
	if slug, _ := r.created(ada, "dev team", freshKey()); slug != "dev-team-2" {
		t.Errorf("got the slug %s", slug)
	}
	again := r.wantOK(http.MethodPost, "/cli/mesh/create", ada, fmt.Sprintf(`{"name":"X","slug":"dev-team","pubkey":%q}`, freshKey()))
	if again["slug"] != "dev-team-3" {
		t.Errorf("got %v", again)
	}
}

// wantRecord waits for an event in a mesh's audit log, by one actor.
func (r *rig) wantRecord(mesh, event, actor string) {
	r.t.Helper()
	eventually(r.t, event+" in the audit log", func() bool {
		page, _, err := r.store.AuditPage(context.Background(), mesh, store.AuditMatch{Event: event}, 10, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page {
			if e.ActorMemberID == actor {
				return true
			}
		}
		return false
	})
}

// Flaw 36: nothing is written before everything is checked.
func TestMeshCreateRefusals(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	const path = "/cli/mesh/create"
	before, err := r.store.ListMeshes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	post := func(name, body string, status int, text string) asked {
		return asked{name, http.MethodPost, path, ada, body, status, text}
	}
	good := fmt.Sprintf(`{"name":"a","pubkey":%q}`, freshKey())
	r.wantRefusals(t, append(append(credentials(http.MethodPost, path, good), bodies(http.MethodPost, path, ada, "Invalid body")...),
		post("no name", `{"pubkey":"x"}`, 400, "name required"),
		post("a name of null", `{"name":null}`, 400, "name required"),
		post("an empty name", `{"name":"  "}`, 400, "name required"),
		post("a name that is a number", `{"name":5}`, 400, "name"),
		post("a name that is too long", fmt.Sprintf(`{"name":%q}`, strings.Repeat("n", 129)), 400, "name"),
		post("a name with control characters", `{"name":"a\u0007"}`, 400, "name"),
		post("a name with a NUL", `{"name":"a\u0000"}`, 400, ""),
		post("no key", `{"name":"a"}`, 400, "pubkey required (64 hex chars)"),
		post("a key that is none", `{"name":"a","pubkey":"zz"}`, 400, "pubkey required (64 hex chars)"),
		post("a key of small order", fmt.Sprintf(`{"name":"a","pubkey":%q}`, smallOrder[1]), 400, "a member's key"),
		post("a slug that is a path", fmt.Sprintf(`{"name":"a","slug":"../we ird/Slug","pubkey":%q}`, freshKey()), 400, "a slug has"),
		asked{"GET", http.MethodGet, path, ada, "", 405, "this path answers"},
	))
	after, err := r.store.ListMeshes(t.Context())
	if err != nil || len(after) != len(before) {
		t.Errorf("got %d meshes, %v, want %d as before", len(after), err, len(before))
	}
}

func TestMeshCreateByNobody(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.HTTP.CreateMeshes = config.Nobody })
	status, answer, _ := r.ask(http.MethodPost, "/cli/mesh/create", r.account("ada"), fmt.Sprintf(`{"name":"a","pubkey":%q}`, freshKey()))
	if text, _ := answer["error"].(string); status != 403 || !strings.Contains(text, "broker mesh create") {
		t.Errorf("got %d %v, want 403 and what to do", status, answer)
	}
}

// Flaw 42: meshes that are made at once get slugs of their own.
func TestMeshesOfOneName(t *testing.T) {
	r := newRig(t, nil)
	ada := r.account("ada")
	var mu sync.Mutex
	slugs := map[string]bool{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			slug, _ := r.created(ada, "same", freshKey())
			mu.Lock()
			defer mu.Unlock()
			slugs[slug] = true
		})
	}
	wg.Wait()
	if len(slugs) != 6 {
		t.Errorf("got %v, want six slugs", slugs)
	}
}

func TestMeshList(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.account("ada"), r.account("bo")
	key, secret := identity.NewKeypair()
	slug, id := r.created(ada, "one", key.String())
	r.created(bo, "other", freshKey())
	second := r.enrolIn(id, "ada", store.RoleMember) // flaw: two members of one account in a mesh
	r.enrolIn(r.mesh.ID, "ada", store.RoleMember)
	gone := r.enrolIn(r.mesh.ID, "bo", store.RoleMember)
	if err := r.store.SetRevoked(t.Context(), gone.MemberID, time.Now()); err != nil {
		t.Fatal(err)
	}
	founder, err := r.store.Member(t.Context(), id, key)
	if err != nil {
		t.Fatal(err)
	}
	r.dial(session(dial.Identity{MeshID: id, MemberID: founder.ID, Key: secret}), dial.Options{})
	r.dial(session(second), dial.Options{})

	// Flaw 23: the Host header is not reflected.
	h := http.Header{"Authorization": {"Bearer " + ada}, "X-Forwarded-Host": {"evil.example"}}
	status, answer, _ := r.askWith(http.MethodGet, "/cli/meshes?user_id=bo", h, "")
	list, _ := answer["meshes"].([]any)
	if status != 200 || len(list) != 2 {
		t.Fatalf("got %d %v, want two meshes", status, answer)
	}
	home, _ := list[0].(map[string]any)
	if home["slug"] != "home" || home["role"] != "member" || home["is_owner"] != false || home["member_count"] != 1.0 {
		t.Errorf("got %v, want home as a member sees it", home)
	}
	got, _ := list[1].(map[string]any)
	want := map[string]any{
		"id": id, "slug": slug, "name": "one", "role": "admin", "is_owner": true, "member_count": 2.0, "active_peers": 2.0,
		"joined_at": founder.JoinedAt.UTC().Format("2006-01-02T15:04:05.000Z"), "broker_url": r.url,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the mesh (-want +got):\n%s", diff)
	}

	status, text, _ := r.requestWith(ada, "/api/my/meshes")
	var mine []map[string]any
	if err := json.Unmarshal([]byte(text), &mine); err != nil || status != 200 || len(mine) != 2 {
		t.Fatalf("got %d %s, want an array of two", status, text)
	}
	if diff := cmp.Diff(map[string]any{"id": id, "slug": slug, "name": "one", "role": "owner", "member_count": 2.0}, mine[1]); diff != "" {
		t.Errorf("my mesh (-want +got):\n%s", diff)
	}
	if _, text, _ := r.requestWith(r.account("cy"), "/api/my/meshes"); text != "[]" {
		t.Errorf("got %s for somebody without meshes, want []", text)
	}
	r.wantRefusals(t, append(credentials(http.MethodGet, "/cli/meshes", ""), credentials(http.MethodGet, "/api/my/meshes", "")...))
}

// requestWith is a GET with a bearer token, whose answer may be any JSON.
func (r *rig) requestWith(bearer, path string) (status int, text string, header http.Header) {
	r.t.Helper()
	return r.fetch(path, http.Header{"Authorization": {"Bearer " + bearer}})
}

// fetch is a GET whose answer may be anything.
func (r *rig) fetch(path string, h http.Header) (status int, text string, header http.Header) {
	r.t.Helper()
	url := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + path
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = h
	res, err := web.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// enrolIn makes a member of an account, "" for none, in a mesh.
func (r *rig) enrolIn(mesh, account string, role store.Role) dial.Identity {
	r.t.Helper()
	key, secret := identity.NewKeypair()
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh, Key: key, DisplayName: "m-" + account, Role: role, MessageMode: "push",
		AccountID: account, JoinedAt: time.Now().Truncate(time.Millisecond),
	}
	if err := r.store.AddMember(context.Background(), m); err != nil {
		r.t.Fatal(err)
	}
	return dial.Identity{MeshID: mesh, MemberID: m.ID, Key: secret}
}

// An owner whose member was revoked still has the mesh.
func TestOwnerWithoutMember(t *testing.T) {
	r := newRig(t, nil)
	ada := r.account("ada")
	key, _ := identity.NewKeypair()
	slug, id := r.created(ada, "one", key.String())
	member, err := r.store.Member(t.Context(), id, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.SetRevoked(t.Context(), member.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	answer := r.wantOK(http.MethodGet, "/cli/meshes", ada, "")
	list, _ := answer["meshes"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["is_owner"] != true || list[0].(map[string]any)["role"] != "admin" {
		t.Errorf("got %v, want the mesh, as its owner", answer)
	}
	r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, "{}")
	r.wantOK(http.MethodDelete, "/cli/mesh/"+slug, ada, "")
}

func TestMeshRename(t *testing.T) {
	r := newRig(t, guessing)
	ada, bo, eve := r.account("ada"), r.account("bo"), r.account("eve")
	slug, id := r.created(ada, "one", freshKey())
	r.enrolIn(id, "bo", store.RoleAdmin)
	path := "/api/my/meshes/" + slug
	got := r.wantOK(http.MethodPatch, path, ada, `{"name":" New  name "}`)
	if diff := cmp.Diff(map[string]any{"slug": slug, "name": "New  name"}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	mesh, err := r.store.FindMesh(t.Context(), slug)
	if err != nil || mesh.Name != "New  name" || mesh.Slug != slug {
		t.Errorf("got %+v, %v", mesh, err)
	}
	patch := func(name, path, bearer, body string, status int, text string) asked {
		return asked{name, http.MethodPatch, path, bearer, body, status, text}
	}
	r.wantRefusals(t, append(append(credentials(http.MethodPatch, path, `{"name":"x"}`), bodies(http.MethodPatch, path, ada, "Invalid body")...),
		patch("an admin", path, bo, `{"name":"x"}`, 403, "Only the mesh owner can rename it"),
		patch("a stranger", path, eve, `{"name":"x"}`, 403, "Only the mesh owner can rename it"),
		patch("a mesh that is none", "/api/my/meshes/none", ada, `{"name":"x"}`, 404, "Mesh not found"),
		patch("no name", path, ada, `{}`, 400, "name required"),
		patch("a blank name", path, ada, `{"name":" "}`, 400, "name required"),
		patch("a name that is a list", path, ada, `{"name":[]}`, 400, "name"),
		patch("a name that is too long", path, ada, fmt.Sprintf(`{"name":%q}`, strings.Repeat("n", 129)), 400, "name"),
		patch("a name with control characters", path, ada, `{"name":"a\u001b"}`, 400, "name"),
	))
}

func TestMeshDelete(t *testing.T) {
	r := newRig(t, guessing)
	ada := r.account("ada")
	key, secret := identity.NewKeypair()
	slug, id := r.created(ada, "one", key.String())
	founder, err := r.store.Member(t.Context(), id, key)
	if err != nil {
		t.Fatal(err)
	}
	invite := r.wantOK(http.MethodPost, "/cli/mesh/"+slug+"/invite", ada, "{}")
	code := invite["code"].(string)
	token := r.wantOK(http.MethodGet, "/api/public/invite-code/"+code, "", "")["token"].(string)
	me := session(dial.Identity{MeshID: id, MemberID: founder.ID, Key: secret})
	peer := r.dial(me, dial.Options{})
	other := r.dial(session(r.member("home", store.RoleMember)), dial.Options{})

	got := r.wantOK(http.MethodDelete, "/cli/mesh/"+slug, ada, `{}`)
	if diff := cmp.Diff(map[string]any{"ok": true, "deleted": slug}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	// Flaw 30: who is connected is sent away, and cannot come back.
	var closed *dial.CloseError
	if err := r.ended(peer); !errors.As(err, &closed) || closed.Code != 4002 || closed.Reason != "mesh_archived" {
		t.Errorf("got %v, want 4002 mesh_archived", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if p, err := dial.Dial(ctx, r.url, session(me), dial.Options{}); err == nil {
		p.Abort()
		t.Error("a member of a deleted mesh can connect")
	}
	// The invite is good for nothing.
	if status, answer, _ := r.ask(http.MethodGet, "/api/public/invite-code/"+code, "", ""); status != 404 || answer["found"] != false {
		t.Errorf("the code: got %d %v", status, answer)
	}
	payload, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	if status, reply := r.join(invitation{payload: payload, token: token}.body(freshKey(), "x")); status != 400 || reply.Error != "mesh_not_found" {
		t.Errorf("join: got %d %+v", status, reply)
	}
	if list := r.wantOK(http.MethodGet, "/cli/meshes", ada, "")["meshes"].([]any); len(list) != 0 {
		t.Errorf("got %v, want no mesh", list)
	}
	r.wantRecord(id, "mesh_archived", founder.ID)
	if ack := r.send(other, identityKey(r.member("friend", store.RoleMember)), sdk.PriorityNow, "x"); ack.Error != "" {
		t.Errorf("another mesh: got %+v", ack)
	}

	// Flaw 38: a mesh of the same name is another one.
	again, newID := r.created(ada, "one", freshKey())
	if newID == id {
		t.Error("the same mesh again")
	}
	r.wantRefusals(t, []asked{{"a second time", http.MethodDelete, "/cli/mesh/" + slug, ada, "", 404, "Mesh not found"}})
	r.wantOK(http.MethodDelete, "/cli/mesh/"+again, ada, "")
}

func TestMeshDeleteRefusals(t *testing.T) {
	r := newRig(t, guessing)
	ada, bo, eve := r.account("ada"), r.account("bo"), r.account("eve")
	slug, id := r.created(ada, "one", freshKey())
	admin := r.enrolIn(id, "bo", store.RoleAdmin)
	path := "/cli/mesh/" + slug
	r.wantRefusals(t, append(credentials(http.MethodDelete, path, `{}`),
		asked{"an admin", http.MethodDelete, path, bo, "", 403, "Only the mesh owner can delete it"},
		asked{"a stranger", http.MethodDelete, path, eve, "", 403, "Only the mesh owner can delete it"},
		asked{"a mesh that is none", http.MethodDelete, "/cli/mesh/none", ada, "", 404, "Mesh not found"},
		asked{"a body that is no JSON", http.MethodDelete, path, ada, "{", 400, "Invalid body"},
		asked{"one byte too many", http.MethodDelete, path, ada, padded(65537), 413, "payload too large"},
		asked{"another method", http.MethodPut, path, ada, "", 405, "this path answers"},
		asked{"a slash behind", http.MethodDelete, path + "/", ada, "", 404, "not found"},
	))

	// The permission may be given by name.
	_, err := r.store.ChangeMember(t.Context(), admin.MemberID, func(m *store.Member) error {
		m.Permissions = store.Permissions{store.CanDeleteMesh: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.wantOK(http.MethodDelete, path, bo, "")
}

// One delete of many at once wins.
func TestMeshDeletedOnce(t *testing.T) {
	r := newRig(t, nil)
	ada := r.account("ada")
	slug, _ := r.created(ada, "one", freshKey())
	var statuses [4]int
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() { statuses[i], _, _ = r.ask(http.MethodDelete, "/cli/mesh/"+slug, ada, "") })
	}
	wg.Wait()
	counts := map[int]int{}
	for _, s := range statuses {
		counts[s]++
	}
	if counts[200] != 1 || counts[404] != len(statuses)-1 {
		t.Errorf("got %v, want one 200 and the others 404", counts)
	}
}
