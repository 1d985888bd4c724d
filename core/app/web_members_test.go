package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

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

// A new name reaches sessions on every node.
func TestMemberUpdateReachesOtherNodes(t *testing.T) {
	n := newNodes(t, 2, guessing)
	a, b := n.both()
	c := newCrewOn(t, a)
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

// A change is told to each session once, also to those on the node that made it.
func TestMemberUpdateIsToldOnce(t *testing.T) {
	n := newNodes(t, 2, guessing)
	a, b := n.both()
	c := newCrewOn(t, a)
	here, there := a.dial(session(c.ids["bo"]), dial.Options{}), b.dial(session(c.ids["bo"]), dial.Options{})
	n.wantMeets(2)
	for i := range 5 {
		name := fmt.Sprint("Bo ", i)
		c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], fmt.Sprintf(`{"displayName":%q}`, name))
		for _, p := range []*dial.Peer{here, there} {
			c.wantProfile(p, map[string]any{"displayName": name})
		}
	}
}
