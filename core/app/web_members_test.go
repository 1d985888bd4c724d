package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// crew is a broker with a mesh of people: ada owns it, gil is an admin, bo a
// member, each with an account of their name; cy joined by an invite and has
// none. Eve is an admin, with an account, of another mesh.
type crew struct {
	*rig
	ids    map[string]dial.Identity
	tokens map[string]string
	other  *store.Mesh
}

func newCrew(t *testing.T, changes ...func(*config.Config)) *crew {
	t.Helper()
	change := func(c *config.Config) {
		for _, f := range append(changes, guessing) {
			f(c)
		}
	}
	c := &crew{rig: newRig(t, change), ids: map[string]dial.Identity{}, tokens: map[string]string{}}
	c.populate()
	return c
}

func (c *crew) populate() {
	c.t.Helper()
	_, err := c.store.ChangeMesh(context.Background(), c.mesh.ID, func(m *store.Mesh) error {
		m.Policy = store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true} // as new meshes have it
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	key, _ := identity.NewKeypair()
	c.other = &store.Mesh{ID: identity.NewID(), Slug: "other", Name: "Other", OwnerKey: key, CreatedAt: time.Now()}
	if err := c.store.CreateMesh(context.Background(), c.other, nil); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"ada", "gil", "bo", "eve", "zoe"} {
		c.tokens[name] = c.account(name)
	}
	c.enrol("ada", c.mesh, store.RoleAdmin, "ada")
	c.enrol("gil", c.mesh, store.RoleAdmin, "gil")
	c.enrol("bo", c.mesh, store.RoleMember, "bo")
	c.enrol("cy", c.mesh, store.RoleMember, "")
	c.enrol("eve", c.other, store.RoleAdmin, "eve")
}

// enrol makes a member. Ada holds the owner's key.
func (c *crew) enrol(name string, mesh *store.Mesh, role store.Role, account string) {
	c.t.Helper()
	key, secret := identity.NewKeypair()
	if name == "ada" {
		key, secret = c.mesh.OwnerKey, c.owner
	}
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh.ID, Key: key, DisplayName: name, Role: role, MessageMode: "push",
		AccountID: account, JoinedAt: time.Now(),
	}
	if err := c.store.AddMember(context.Background(), m); err != nil {
		c.t.Fatal(err)
	}
	c.ids[name] = dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: secret}
}

// id returns a member's id.
func (c *crew) id(name string) string { return c.ids[name].MemberID }

// row returns a member as the store has it.
func (c *crew) row(name string) *store.Member {
	c.t.Helper()
	m, err := c.store.MemberByID(context.Background(), c.id(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// edit changes a member's row behind the broker's back.
func (c *crew) edit(name string, change func(*store.Member)) {
	c.t.Helper()
	_, err := c.store.ChangeMember(context.Background(), c.id(name), func(m *store.Member) error { change(m); return nil })
	if err != nil {
		c.t.Fatal(err)
	}
	c.app.Forget(c.id(name))
}

// sign asks with the signature of a member's key.
func (c *crew) sign(name, method, path, body string) (status int, answer map[string]any) {
	c.t.Helper()
	id := c.ids[name]
	proof := identity.SignHTTP(id.Key, method, path, id.MeshID, []byte(body), time.Now())
	status, answer, _ = c.askWith(method, path, http.Header{"Authorization": {proof}}, body)
	return status, answer
}

// records returns the payloads of an event in the mesh's audit log, newest
// first, once there are so many.
func (c *crew) records(event string, count int) []map[string]any {
	c.t.Helper()
	var list []map[string]any
	eventually(c.t, fmt.Sprintf("%d times %s in the audit log", count, event), func() bool {
		page, _, err := c.store.AuditPage(context.Background(), c.mesh.ID, store.AuditMatch{Event: event}, 50, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		list = nil
		for _, e := range page {
			var payload map[string]any
			if err := json.Unmarshal(e.Payload, &payload); err != nil {
				c.t.Fatal(err)
			}
			list = append(list, payload)
		}
		return len(list) >= count
	})
	if len(list) != count {
		c.t.Errorf("got %v, want %d", list, count)
	}
	return list
}

func (c *crew) membersPath() string { return "/mesh/" + c.mesh.ID + "/members" }

func (c *crew) memberPath(name string) string { return "/mesh/" + c.mesh.ID + "/member/" + c.id(name) }

func (c *crew) settingsPath() string { return "/mesh/" + c.mesh.ID + "/settings" }

// listed returns the members that a list has, by their id's name.
func (c *crew) listed(answer map[string]any) map[string]map[string]any {
	c.t.Helper()
	found := map[string]map[string]any{}
	for _, m := range answer["members"].([]any) {
		row := m.(map[string]any)
		for name, id := range c.ids {
			if row["id"] == id.MemberID || row["member_id"] == id.MemberID {
				found[name] = row
			}
		}
	}
	return found
}

// Flaw 3: who is not in the mesh sees nothing, and who is in it sees no account
// but its own.
func TestMemberList(t *testing.T) {
	c := newCrew(t)
	c.edit("bo", func(m *store.Member) {
		m.RoleTag, m.DefaultGroups = "night", []store.Group{{Name: "ops", Role: "lead"}}
	})
	bo := c.dial(session(c.ids["bo"]), dial.Options{})
	c.dial(session(c.ids["bo"]), dial.Options{})
	if _, err := dial.Ask[wire.Ack](t.Context(), bo, wire.SetVisible{}); err != nil {
		t.Fatal(err)
	}
	answer := c.wantOK(http.MethodGet, c.membersPath(), c.tokens["gil"], "")
	if len(answer) != 2 || answer["ok"] != true || len(answer["members"].([]any)) != 4 {
		t.Errorf("got %v", answer)
	}
	got := c.listed(answer)["bo"]
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", got["lastSeenAt"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "lastSeenAt")
	want := map[string]any{
		"id": c.id("bo"), "displayName": "bo", "roleTag": "night", "groups": []any{map[string]any{"name": "ops", "role": "lead"}},
		"messageMode": "push", "permission": "member", "dashboardUserId": "bo",
		"joinedAt": c.row("bo").JoinedAt.Format("2006-01-02T15:04:05.000Z"), "online": true, "sessionCount": 1.0,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if cy := c.listed(answer)["cy"]; cy["online"] != false || cy["sessionCount"] != 0.0 || cy["roleTag"] != nil || cy["lastSeenAt"] != nil || cy["dashboardUserId"] != nil {
		t.Errorf("got %v", cy)
	}

	_, answer = c.sign("cy", http.MethodGet, c.membersPath(), "")
	for name, row := range c.listed(answer) {
		if row["dashboardUserId"] != nil {
			t.Errorf("a member without an account learns %s's", name)
		}
	}
	own := c.listed(c.wantOK(http.MethodGet, "/mesh/home/members", c.tokens["bo"], ""))
	if own["bo"]["dashboardUserId"] != "bo" || own["bo"]["sessionCount"] != 2.0 || own["gil"]["dashboardUserId"] != nil {
		t.Errorf("bo sees %v", own)
	}

	if err := c.store.SetRevoked(t.Context(), c.id("cy"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, there := c.listed(c.wantOK(http.MethodGet, c.membersPath(), c.tokens["ada"], ""))["cy"]; there {
		t.Error("a revoked member is listed")
	}
}

// Flaw 43: what is not there is 404, and a body that cannot be read 400.
func TestMemberRefusals(t *testing.T) {
	c := newCrew(t)
	members, bo, settings := c.membersPath(), c.memberPath("bo"), c.settingsPath()
	nowhere := "/mesh/nowhere"
	const rename, policy = `{"displayName":"x"}`, `{"selfEditable":{"groups":false}}`
	cases := []asked{
		{"a stranger the list", "GET", members, c.tokens["zoe"], "", 403, "caller not a member of this mesh"},
		{"an admin of another mesh the list", "GET", members, c.tokens["eve"], "", 403, "caller not a member of this mesh"},
		{"the list of no mesh", "GET", nowhere + "/members", c.tokens["ada"], "", 404, "mesh not found"},
		{"another method", "POST", members, c.tokens["ada"], "{}", 405, "this path answers GET, HEAD, OPTIONS only"},
		{"a stranger a change", "PATCH", bo, c.tokens["zoe"], rename, 403, "caller not a member of this mesh"},
		{"an admin of another mesh a change", "PATCH", bo, c.tokens["eve"], rename, 403, "caller not a member of this mesh"},
		{"a change in no mesh", "PATCH", nowhere + "/member/x", c.tokens["ada"], rename, 404, "mesh not found"},
		{"a change of nobody", "PATCH", c.memberPath("bo") + "x", c.tokens["ada"], rename, 404, "member not found after update"},
		{"a member to learn of nobody", "PATCH", c.memberPath("bo") + "x", c.tokens["bo"], rename, 403, "not authorized — only admins or self can edit"},
		{"a member to change another", "PATCH", c.memberPath("cy"), c.tokens["bo"], rename, 403, "not authorized — only admins or self can edit"},
		{"a change of nothing", "PATCH", bo, c.tokens["bo"], `{"colour":"red","groups":null}`, 400, "no fields to update"},
		{"a member to promote itself", "PATCH", bo, c.tokens["bo"], `{"permission":"admin","displayName":"x"}`, 403, "admin-managed fields: permission"},
		{"a name that is none", "PATCH", bo, c.tokens["ada"], `{"displayName":"  "}`, 400, "displayName: want a name"},
		{"a name of two lines", "PATCH", bo, c.tokens["ada"], `{"displayName":"a\nb"}`, 400, "displayName: want a name"},
		{"a name of a NUL", "PATCH", bo, c.tokens["ada"], `{"displayName":"a\u0000"}`, 400, "a text holds"},
		{"a name that is too long", "PATCH", bo, c.tokens["ada"], `{"displayName":"` + strings.Repeat("x", 257) + `"}`, 400, "displayName: at most 256 bytes"},
		{"a number for a name", "PATCH", bo, c.tokens["ada"], `{"displayName":7}`, 400, "displayName: want a string"},
		{"a role tag that is too long", "PATCH", bo, c.tokens["ada"], `{"roleTag":"` + strings.Repeat("x", 257) + `"}`, 400, "roleTag: at most 256 bytes"},
		{"a role tag of two lines", "PATCH", bo, c.tokens["ada"], `{"roleTag":"a\tb"}`, 400, "roleTag: want a text"},
		{"an unknown mode", "PATCH", bo, c.tokens["ada"], `{"messageMode":"loud"}`, 400, `messageMode: want "push", "inbox" or "off"`},
		{"an empty mode", "PATCH", bo, c.tokens["ada"], `{"messageMode":""}`, 400, `messageMode: want "push"`},
		{"an unknown role", "PATCH", bo, c.tokens["ada"], `{"permission":"owner"}`, 400, `permission: want "admin" or "member"`},
		{"an empty role", "PATCH", bo, c.tokens["ada"], `{"permission":""}`, 400, `permission: want "admin"`},
		{"a group that cannot be reached", "PATCH", bo, c.tokens["ada"], `{"groups":[{"name":"all"}]}`, 400, "groups[0].name: "},
		{"groups that are texts", "PATCH", bo, c.tokens["ada"], `{"groups":["ops"]}`, 400, "groups[0]: want an object"},
		{"a group that comes twice", "PATCH", bo, c.tokens["ada"], `{"groups":[{"name":"a"},{"name":"a"}]}`, 400, "groups: a group comes twice"},
		{"too many groups", "PATCH", bo, c.tokens["ada"], `{"groups":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a"},`, 65), ",") + `]}`, 400, "groups: at most 64 entries"},
		{"another method for a member", "GET", bo, c.tokens["ada"], "", 405, "this path answers PATCH, OPTIONS only"},
		{"settings of a member", "PATCH", settings, c.tokens["bo"], policy, 403, "admin access required"},
		{"settings of a stranger", "PATCH", settings, c.tokens["zoe"], policy, 403, "caller not a member of this mesh"},
		{"settings of no mesh", "PATCH", nowhere + "/settings", c.tokens["ada"], policy, 404, "mesh not found"},
		{"settings that are none", "PATCH", settings, c.tokens["ada"], `{}`, 400, "no settings to update"},
		{"settings that are null", "PATCH", settings, c.tokens["ada"], `{"selfEditable":null}`, 400, "no settings to update"},
		{"settings that nobody knows", "PATCH", settings, c.tokens["ada"], `{"selfEditable":{"colour":true}}`, 400, "no settings to update"},
		{"settings of a wrong type", "PATCH", settings, c.tokens["ada"], `{"selfEditable":{"groups":"no"}}`, 400, "selfEditable.groups: want true or false"},
		{"settings by another method", "POST", settings, c.tokens["ada"], policy, 405, "this path answers PATCH, OPTIONS only"},
	}
	c.wantRefusals(t, cases)
	c.wantRefusals(t, credentials("GET", members, ""))
	c.wantRefusals(t, credentials("PATCH", bo, rename))
	c.wantRefusals(t, credentials("PATCH", settings, policy))
	c.wantRefusals(t, bodies("PATCH", bo, c.tokens["ada"], ""))
	c.wantRefusals(t, bodies("PATCH", settings, c.tokens["ada"], ""))
	if row := c.row("bo"); row.DisplayName != "bo" || row.Role != store.RoleMember || row.DefaultGroups != nil {
		t.Errorf("a refusal changed something: %+v", row)
	}
}

// Flaw 4: who is asked for is no proof. Flaw 5: an admin of one mesh is nobody
// in another.
func TestMemberProofs(t *testing.T) {
	c := newCrew(t)
	rename := `{"displayName":"mallory"}`
	status, answer, _ := c.askWith(http.MethodPatch, c.memberPath("bo"), http.Header{"X-Member-Id": {c.id("ada")}}, rename)
	if status != 401 || answer["error"] != "missing_bearer_token" {
		t.Errorf("a member's id alone: got %d %v", status, answer)
	}
	status, answer, _ = c.askWith(http.MethodPatch, c.settingsPath(), http.Header{"X-Member-Id": {c.id("ada")}}, `{"selfEditable":{}}`)
	if status != 401 {
		t.Errorf("a member's id alone: got %d %v", status, answer)
	}
	h := http.Header{"X-Member-Id": {c.id("ada")}, "Authorization": {"Bearer " + c.tokens["bo"]}}
	if status, answer, _ := c.askWith(http.MethodPatch, c.memberPath("cy"), h, rename); status != 403 {
		t.Errorf("a member with an admin's id: got %d %v", status, answer)
	}
	across := "/mesh/" + c.other.ID + "/member/" + c.id("bo")
	for _, body := range []string{rename, `{"permission":"admin"}`} {
		if status, answer, _ := c.ask(http.MethodPatch, across, c.tokens["eve"], body); status != 404 {
			t.Errorf("another mesh's member: got %d %v", status, answer)
		}
	}
	if status, answer := c.sign("eve", http.MethodPatch, c.memberPath("bo"), rename); status != 403 {
		t.Errorf("another mesh's signature: got %d %v", status, answer)
	}
	if row := c.row("bo"); row.DisplayName != "bo" || row.Role != store.RoleMember {
		t.Errorf("got %+v", row)
	}
	if status, answer := c.sign("cy", http.MethodPatch, c.memberPath("cy"), `{"displayName":"Cy"}`); status != 200 {
		t.Errorf("one's own signature: got %d %v", status, answer)
	}
}

func TestMemberUpdate(t *testing.T) {
	c := newCrew(t)
	id := session(c.ids["bo"])
	bo := c.dial(id, dial.Options{})
	named := session(c.ids["bo"])
	named.DisplayName = "reviewer"
	reviewer := c.dial(named, dial.Options{})
	gil := c.dial(session(c.ids["gil"]), dial.Options{ConfirmPushes: true})

	answer := c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"],
		`{"displayName":" Bo B. ","roleTag":"night","groups":[{"name":"ops","role":"lead"}],"messageMode":"inbox","user_id":"x"}`)
	changes := map[string]any{
		"displayName": "Bo B.", "roleTag": "night", "groups": []any{map[string]any{"name": "ops", "role": "lead"}}, "messageMode": "inbox",
	}
	if d := cmp.Diff(changes, answer["changes"]); d != "" || answer["ok"] != true {
		t.Error(d)
	}
	member := answer["member"].(map[string]any)
	for field, want := range changes {
		if !cmp.Equal(member[field], want) {
			t.Errorf("%s: got %v, want %v", field, member[field], want)
		}
	}
	if member["id"] != c.id("bo") || member["permission"] != "member" || member["dashboardUserId"] != "bo" {
		t.Errorf("got %v", member)
	}
	row := c.row("bo")
	if row.DisplayName != "Bo B." || row.RoleTag != "night" || row.MessageMode != "inbox" || !slices.Equal(row.DefaultGroups, []store.Group{{Name: "ops", Role: "lead"}}) {
		t.Errorf("got %+v", row)
	}

	// Both its sessions are told, and the one that went by the old name is renamed.
	for _, p := range []*dial.Peer{bo, reviewer} {
		c.wantProfile(p, changes)
	}
	c.send(bo, gil.Key().String(), sdk.PriorityNow, "hello")
	if push := c.wantText(gil, "hello"); push.SenderName != "Bo B." {
		t.Errorf("its messages are from %q", push.SenderName)
	}
	names := []string{}
	for _, v := range c.app.Views(c.mesh.ID) {
		names = append(names, v.Name)
	}
	if want := []string{"Bo B.", "reviewer", "gil"}; !slices.Equal(names, want) {
		t.Errorf("its sessions are %v, want %v", names, want)
	}
	got := c.records("member_updated", 1)[0]
	want := map[string]any{"member": c.id("bo"), "pubkey": row.Key.String(), "displayName": "Bo B.", "roleTag": "night", "messageMode": "inbox", "groups": []any{"ops"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// What is not there stays; null clears.
	answer = c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["gil"], `{"roleTag":null,"groups":[],"messageMode":null}`)
	if d := cmp.Diff(map[string]any{"roleTag": nil, "groups": []any{}}, answer["changes"]); d != "" {
		t.Error(d)
	}
	if row := c.row("bo"); row.RoleTag != "" || len(row.DefaultGroups) > 0 || row.DisplayName != "Bo B." || row.MessageMode != "inbox" {
		t.Errorf("got %+v", row)
	}
	if ack := c.dial(session(c.ids["bo"]), dial.Options{}).HelloAck(); ack.MemberDisplayName != "Bo B." || ack.MemberProfile.RoleTag != nil {
		t.Errorf("the next hello is answered by %+v", ack)
	}
}

// wantProfile waits for the event that a profile has changed.
func (c *crew) wantProfile(p *dial.Peer, changes map[string]any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		push, err := p.Recv(ctx)
		if err != nil {
			c.t.Fatalf("no profile_updated: %v", err)
		}
		if push.Event != wire.EventProfileUpdated {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal(push.EventData, &data); err != nil {
			c.t.Fatal(err)
		}
		if d := cmp.Diff(changes, data); d != "" || push.MeshID != c.mesh.ID || push.Subtype != "system" {
			c.t.Errorf("got %+v: %s", push, d)
		}
		return
	}
}

func TestMemberRoles(t *testing.T) {
	type step struct {
		by, of, role string
		status       int
		error        string
	}
	tests := []struct {
		name  string
		edit  func(*crew)
		steps []step
	}{
		{"an admin promotes and demotes", nil, []step{
			{"gil", "bo", "admin", 200, ""}, {"bo", "cy", "admin", 200, ""}, {"bo", "gil", "member", 200, ""},
			{"gil", "bo", "member", 403, "not authorized"},
		}},
		{"the owner stays what it is", nil, []step{
			{"gil", "ada", "member", 403, "permission: nobody changes the role of the owner"},
			{"ada", "ada", "member", 403, "permission: nobody changes the role of the owner"},
			{"gil", "ada", "admin", 200, ""},
		}},
		{"an admin that does not manage permissions changes no role", func(c *crew) {
			c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanManagePermissions: false} })
		}, []step{{"gil", "bo", "admin", 403, "You don't have permission to manage permissions"}}},
		{"an admin gives no role that has more than itself", func(c *crew) {
			c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanInvite: false} })
		}, []step{{"gil", "bo", "admin", 403, "you cannot give canInvite"}, {"ada", "bo", "admin", 200, ""}}},
		{"the last admin stays one", func(c *crew) {
			if err := c.store.SetRevoked(context.Background(), c.id("ada"), time.Now()); err != nil {
				c.t.Fatal(err)
			}
		}, []step{
			{"gil", "gil", "member", 403, "permission: the mesh would be left without an admin"},
			{"gil", "bo", "member", 200, ""}, {"gil", "bo", "admin", 200, ""}, {"gil", "gil", "member", 200, ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrew(t)
			if tt.edit != nil {
				tt.edit(c)
			}
			for _, s := range tt.steps {
				before := c.row(s.of).Role
				status, answer, _ := c.ask(http.MethodPatch, c.memberPath(s.of), c.tokens[s.by], `{"permission":"`+s.role+`"}`)
				text, _ := answer["error"].(string)
				if status != s.status || !strings.HasPrefix(text, s.error) {
					t.Errorf("%s makes %s %s: got %d %v", s.by, s.of, s.role, status, answer)
				}
				want := before
				if status == 200 {
					want = store.Role(s.role)
					if changes, _ := answer["changes"].(map[string]any); len(changes) > 0 {
						t.Errorf("a role is no part of the profile: %v", changes)
					}
				}
				if got := c.row(s.of).Role; got != want {
					t.Errorf("%s is %s, want %s", s.of, got, want)
				}
			}
		})
	}
}

// Two admins that demote each other at once leave one.
func TestMemberRolesAtOnce(t *testing.T) {
	c := newCrew(t)
	if err := c.store.SetRevoked(t.Context(), c.id("ada"), time.Now()); err != nil {
		t.Fatal(err)
	}
	c.edit("bo", func(m *store.Member) { m.Role = store.RoleAdmin })
	done := make(chan int, 2)
	for by, of := range map[string]string{"gil": "bo", "bo": "gil"} {
		path := c.memberPath(of)
		go func() {
			status, _, _ := c.ask(http.MethodPatch, path, c.tokens[by], `{"permission":"member"}`)
			done <- status
		}()
	}
	if a, b := <-done, <-done; a+b != 200+403 {
		t.Errorf("got %d and %d, want one of them refused", a, b)
	}
}

// A role that is taken away is gone from the sessions that are here.
func TestMemberRoleReachesSessions(t *testing.T) {
	c := newCrew(t)
	gil := c.dial(session(c.ids["gil"]), dial.Options{})
	c.wantOK(http.MethodPatch, c.memberPath("gil"), c.tokens["ada"], `{"permission":"member"}`)
	reply, err := gil.Request(t.Context(), wire.Ban{Target: "bo"})
	if err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("got %s, %v", reply, err)
	}
	got := c.records("permission_changed", 1)[0]
	if got["role"] != "member" || got["member"] != c.id("gil") {
		t.Errorf("got %v", got)
	}
}

func TestMeshSettings(t *testing.T) {
	c := newCrew(t)
	set := func(by, policy string, want store.Policy) {
		t.Helper()
		answer := c.wantOK(http.MethodPatch, c.settingsPath(), c.tokens[by], `{"selfEditable":`+policy+`}`)
		m, err := c.store.Mesh(t.Context(), c.mesh.ID)
		if err != nil || m.Policy != want || answer["ok"] != true {
			t.Errorf("got %v and %+v, %v", answer, m.Policy, err)
		}
	}
	set("gil", `{"displayName":true,"roleTag":true,"groups":true,"messageMode":true}`, store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true})
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], `{"displayName":"Bo"}`)

	// A partial object changes what it names.
	set("ada", `{"displayName":false,"groups":false}`, store.Policy{RoleTag: true, MessageMode: true})
	c.wantRefusals(t, []asked{
		{"fields that the mesh keeps", "PATCH", c.memberPath("bo"), c.tokens["bo"], `{"displayName":"B","roleTag":"r","groups":[],"permission":"admin"}`, 403, "admin-managed fields: displayName, groups, permission"},
	})
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], `{"roleTag":"r"}`)
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["gil"], `{"displayName":"B"}`)
	if ack := c.dial(session(c.ids["bo"]), dial.Options{}).HelloAck(); ack.MeshPolicy.SelfEditable != (wire.SelfEditable{RoleTag: true, MessageMode: true}) {
		t.Errorf("the next hello is told %+v", ack.MeshPolicy)
	}
	got := c.records("mesh_settings_changed", 2)[0]
	want := map[string]any{"selfEditable": map[string]any{"displayName": false, "roleTag": true, "groups": false, "messageMode": true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// An archived mesh has no settings, no members and no grants.
	_, err := c.store.ChangeMesh(t.Context(), c.mesh.ID, func(m *store.Mesh) error { m.ArchivedAt = time.Now(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.wantRefusals(t, []asked{
		{"settings of an archived mesh", "PATCH", c.settingsPath(), c.tokens["ada"], `{"selfEditable":{"groups":true}}`, 404, "mesh not found"},
		{"members of an archived mesh", "GET", c.membersPath(), c.tokens["ada"], "", 404, "mesh not found"},
		{"a change in an archived mesh", "PATCH", c.memberPath("bo"), c.tokens["bo"], `{"roleTag":"r"}`, 404, "mesh not found"},
		{"grants in an archived mesh", "POST", c.grantsPath(), c.tokens["bo"], `{"grants":{}}`, 404, "Mesh not found"},
		{"permissions in an archived mesh", "GET", c.permissionsPath(), c.tokens["bo"], "", 404, "Mesh not found"},
	})
}

// A new name reaches sessions on every node.
func TestMemberUpdateReachesOtherNodes(t *testing.T) {
	n := newNodes(t, 2, guessing)
	a, b := n.both()
	c := &crew{rig: a, ids: map[string]dial.Identity{}, tokens: map[string]string{}}
	c.populate()
	bo := b.dial(session(c.ids["bo"]), dial.Options{})
	gil := b.dial(session(c.ids["gil"]), dial.Options{ConfirmPushes: true})
	n.wantMeets(2)
	answer := c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], `{"displayName":"Bo B."}`)
	if member := answer["member"].(map[string]any); member["online"] != true || member["sessionCount"] != 1.0 {
		t.Errorf("got %v", member)
	}
	c.wantProfile(bo, map[string]any{"displayName": "Bo B."})
	for _, r := range []*rig{a, b} {
		eventually(t, "the new name on every node", func() bool { return r.app.Views(c.mesh.ID)[0].Name == "Bo B." })
	}
	b.send(bo, gil.Key().String(), sdk.PriorityNow, "hello")
	if push := b.wantText(gil, "hello"); push.SenderName != "Bo B." {
		t.Errorf("its messages are from %q", push.SenderName)
	}

	// What it allows, too.
	grants := fmt.Sprintf(`{"grants":{"%s":[]}}`, identity.PublicKey(c.ids["bo"].Key))
	c.wantOK(http.MethodPost, c.grantsPath(), c.tokens["gil"], grants)
	eventually(t, "the block on the other node", func() bool {
		ack := b.send(bo, gil.Key().String(), sdk.PriorityNow, "x")
		return strings.HasPrefix(ack.Error, "blocked")
	})
}
