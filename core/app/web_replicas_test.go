package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// SignalsAfter fails while the store is cut.
func (s *cutStore) SignalsAfter(ctx context.Context, id int64, limit int) ([]*store.Signal, error) {
	if s.cut.Load() {
		return nil, store.ErrUnavailable
	}
	return s.Store.SignalsAfter(ctx, id, limit)
}

// replicas are two nodes with a mesh that ada made over HTTP, and in which bo is
// a member.
type replicas struct {
	*nodes
	a, b   *rig
	tokens map[string]string
	slug   string
	id     string
	ids    map[string]dial.Identity
}

func newReplicas(t *testing.T, change func(*config.Config)) *replicas {
	t.Helper()
	n := newNodes(t, 2, change)
	x := &replicas{nodes: n, tokens: map[string]string{}, ids: map[string]dial.Identity{}}
	x.a, x.b = n.both()
	for _, name := range []string{"ada", "bo"} {
		x.tokens[name] = x.a.account(name)
	}
	key, secret := identity.NewKeypair()
	x.slug, x.id = x.a.created(x.tokens["ada"], "team", key.String())
	founder, err := x.a.store.Member(t.Context(), x.id, key)
	if err != nil {
		t.Fatal(err)
	}
	x.ids["ada"] = dial.Identity{MeshID: x.id, MemberID: founder.ID, Key: secret}
	x.ids["bo"] = x.a.enrolIn(x.id, "bo", store.RoleMember)
	return x
}

// connect connects a session of a member to a node, and waits until both nodes
// know of so many.
func (x *replicas) connect(r *rig, name string, online int) *dial.Peer {
	r.t.Helper()
	id := session(x.ids[name])
	id.Cwd = "/src/" + name
	p := r.dial(id, dial.Options{ConfirmPushes: true})
	for _, node := range x.list {
		eventually(r.t, "the session to be known", func() bool { return len(node.app.Views(x.id)) == online })
	}
	return p
}

func (x *replicas) key(name string) string { return identity.PublicKey(x.ids[name].Key).String() }

// wantRefused sends until a send is refused, which has to come soon.
func (x *replicas) wantRefused(r *rig, from *dial.Peer, to sdk.Key, words string) {
	r.t.Helper()
	var ack wire.Ack
	eventually(r.t, "a send to be refused", func() bool {
		ack = r.send(from, to.String(), sdk.PriorityNow, "x")
		return !ack.Queued
	})
	if !strings.Contains(ack.Error, words) {
		r.t.Errorf("got %+v, want %q", ack, words)
	}
}

func TestGrantsCrossNodes(t *testing.T) {
	x := newReplicas(t, nil)
	ada, bo := x.connect(x.b, "ada", 1), x.connect(x.b, "bo", 2)
	path := "/cli/mesh/" + x.slug + "/grants"
	x.b.send(bo, ada.Key().String(), sdk.PriorityNow, "before")
	x.b.wantText(ada, "before")
	x.a.wantOK(http.MethodPost, path, x.tokens["ada"], fmt.Sprintf(`{"grants":{%q:[]}}`, x.key("bo")))
	// What is asked of a node is read from the store; sends go by what it remembers.
	got := x.b.wantOK(http.MethodGet, path, x.tokens["ada"], "")
	if list, ok := got["grants"].(map[string]any)[x.key("bo")].([]any); !ok || len(list) != 0 {
		t.Errorf("got %v, want bo blocked", got)
	}
	x.wantRefused(x.b, bo, ada.Key(), "blocked by recipient grants")
	x.a.wantOK(http.MethodPost, path, x.tokens["ada"], fmt.Sprintf(`{"grants":{%q:null}}`, x.key("bo")))
	eventually(t, "bo to be heard again", func() bool {
		return x.b.send(bo, ada.Key().String(), sdk.PriorityNow, "after").Queued
	})
}

// Edits of one row over two nodes lose nothing.
func TestGrantsMergeAcrossNodes(t *testing.T) {
	x := newReplicas(t, nil)
	const each = 10
	var wg sync.WaitGroup
	for i, r := range x.list {
		for j := range each {
			wg.Go(func() {
				body := fmt.Sprintf(`{"grants":{"%064x":["dm"]}}`, i*each+j+1)
				if status, answer, _ := r.ask(http.MethodPost, "/cli/mesh/"+x.slug+"/grants", x.tokens["ada"], body); status != 200 {
					t.Errorf("got %d %v", status, answer)
				}
			})
		}
	}
	wg.Wait()
	for _, r := range x.list {
		got := r.wantOK(http.MethodGet, "/cli/mesh/"+x.slug+"/grants", x.tokens["ada"], "")
		if n := len(got["grants"].(map[string]any)); n != 2*each {
			t.Errorf("got %d entries, want %d", n, 2*each)
		}
	}
}

func TestMeshDeletedOnAnotherNode(t *testing.T) {
	x := newReplicas(t, nil)
	ada, bo := x.connect(x.a, "ada", 1), x.connect(x.b, "bo", 2)
	x.a.wantOK(http.MethodDelete, "/cli/mesh/"+x.slug, x.tokens["ada"], "")
	for _, p := range []*dial.Peer{ada, bo} {
		wantArchived(t, x.a.ended(p))
	}
	for _, r := range x.list {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if p, err := dial.Dial(ctx, r.url, session(x.ids["bo"]), dial.Options{}); err == nil {
			p.Abort()
			t.Error("a member of a deleted mesh was let in")
		}
		if list := r.wantOK(http.MethodGet, "/cli/meshes", x.tokens["ada"], "")["meshes"].([]any); len(list) != 0 {
			t.Errorf("got %v, want no mesh", list)
		}
		eventually(t, "the sessions to be gone", func() bool { return len(r.app.Views(x.id)) == 0 })
	}
}

func wantArchived(t *testing.T, err error) {
	t.Helper()
	var closed *dial.CloseError
	if !errors.As(err, &closed) || closed.Code != 4002 || closed.Reason != "mesh_archived" {
		t.Errorf("the connection ended with %v, want 4002 mesh_archived", err)
	}
}

// A node that was away, and for which nobody kept the signals, finds out by
// itself what it missed.
func TestNodeThatWasAwayEndsSessionsOfDeletedMeshes(t *testing.T) {
	x := newReplicas(t, grace(time.Hour))
	bo := x.connect(x.b, "bo", 1)
	other := x.b.dial(session(x.a.member("cy", store.RoleMember)), dial.Options{ConfirmPushes: true}) // of another mesh
	x.db[1].cut.Store(true)
	eventually(t, "the lease to be over", func() bool { return x.b.metric("broker_lease_held") == "0" })
	x.a.wantOK(http.MethodDelete, "/cli/mesh/"+x.slug, x.tokens["ada"], "")
	eventually(t, "the signals to be written", func() bool {
		list, err := x.db[0].SignalsAfter(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range list {
			if s.Kind == store.SignalMesh && string(s.Payload) == `"`+x.id+`"` {
				n++
			}
		}
		return n >= 2 // by the row's transaction, and by the node
	})
	if _, err := x.db[0].PruneSignals(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-bo.Done():
		t.Fatalf("the connection ended before its node was back: %v", bo.Err())
	default:
	}
	x.db[1].cut.Store(false)
	wantArchived(t, x.b.ended(bo))
	eventually(t, "the node to be back", func() bool { return x.b.metric("broker_lease_held") == "1" })
	x.b.send(other, other.Key().String(), sdk.PriorityNow, "still here")
	if err := other.Err(); err != nil {
		t.Errorf("a session of another mesh ended with %v", err)
	}
}

func TestProfileCrossesNodes(t *testing.T) {
	x := newReplicas(t, nil)
	ada, bo := x.connect(x.a, "ada", 1), x.connect(x.b, "bo", 2)
	x.a.wantOK(http.MethodPatch, "/mesh/"+x.id+"/member/"+x.ids["bo"].MemberID, x.tokens["ada"], `{"displayName":"bob","roleTag":"tester"}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		push, err := bo.Recv(ctx)
		if err != nil {
			t.Fatalf("no profile_updated: %v", err)
		}
		if push.Event != "profile_updated" {
			continue
		}
		if data := string(push.EventData); !strings.Contains(data, `"displayName":"bob"`) || !strings.Contains(data, `"roleTag":"tester"`) {
			t.Errorf("got %s", data)
		}
		break
	}
	for _, p := range []*dial.Peer{ada, bo} {
		eventually(t, "the new name to be listed", func() bool {
			list, err := p.Request(ctx, wire.ListPeers{})
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(string(list), `"displayName":"bob"`)
		})
	}
}

func TestPermissionCrossesNodes(t *testing.T) {
	x := newReplicas(t, nil)
	ada, bo := x.connect(x.b, "ada", 1), x.connect(x.b, "bo", 2)
	x.b.send(bo, ada.Key().String(), sdk.PriorityNow, "before")
	x.b.wantText(ada, "before")
	set := func(value string) {
		t.Helper()
		x.a.wantOK(http.MethodPost, "/cli/mesh/"+x.slug+"/permissions", x.tokens["ada"],
			fmt.Sprintf(`{"member_id":%q,"permissions":{"canSend":%s}}`, x.ids["bo"].MemberID, value))
	}
	set("false")
	x.wantRefused(x.b, bo, ada.Key(), "canSend")
	set("null")
	eventually(t, "bo to be heard again", func() bool {
		return x.b.send(bo, ada.Key().String(), sdk.PriorityNow, "after").Queued
	})
}

func TestTokensCrossNodes(t *testing.T) {
	x := newReplicas(t, nil)
	x.b.wantOK(http.MethodGet, "/api/my/profile", x.tokens["bo"], "")
	body := fmt.Sprintf(`{"token":%q}`, x.tokens["bo"])
	if got := x.a.wantOK(http.MethodPost, "/cli/session/revoke", "", body); got["found"] != true {
		t.Fatalf("got %v", got)
	}
	for _, r := range x.list {
		if status, answer, _ := r.ask(http.MethodGet, "/api/my/profile", x.tokens["bo"], ""); status != 401 || answer["error"] != "invalid_or_revoked_token" {
			t.Errorf("got %d %v", status, answer)
		}
	}
	if got := x.b.wantOK(http.MethodPost, "/cli/session/revoke", "", body); got["found"] != false {
		t.Errorf("got %v", got)
	}
}

func TestSignInCrossesNodes(t *testing.T) {
	x := newReplicas(t, nil)
	begun := x.a.begin()
	if got := x.b.poll(begun); got["status"] != "pending" {
		t.Errorf("got %v", got)
	}
	x.b.approve(begun, x.tokens["bo"])
	if status, answer, _ := x.a.ask(http.MethodPost, "/cli/device-code/"+begun.id+"/approve", x.tokens["ada"], ""); status != 409 {
		t.Errorf("a second approval: got %d %v", status, answer)
	}
	got := x.a.poll(begun)
	bearer, _ := got["session_token"].(string)
	if got["status"] != "approved" || bearer == "" {
		t.Fatalf("got %v", got)
	}
	if again := x.b.poll(begun); again["status"] != "consumed" {
		t.Errorf("got %v", again)
	}
	if me := x.b.wantOK(http.MethodGet, "/api/my/profile", bearer, ""); me["id"] != "bo" {
		t.Errorf("got %v", me)
	}
}

// A request that was signed for is taken once, whichever node it comes to, and a
// one-time code is spent once.
func TestProofsAreUsedOnceOverNodes(t *testing.T) {
	x := newReplicas(t, nil)
	path, body := "/cli/mesh/"+x.id+"/grants", `{"grants":{}}`
	h := http.Header{"Authorization": {identity.SignHTTP(x.ids["bo"].Key, http.MethodPost, path, x.id, []byte(body), time.Now())}}
	if status, answer, _ := x.a.askWith(http.MethodPost, path, h, body); status != 200 {
		t.Fatalf("got %d %v", status, answer)
	}
	for _, r := range []*rig{x.b, x.a} {
		if status, answer, _ := r.askWith(http.MethodPost, path, h, body); status != 401 || answer["code"] != "replayed" {
			t.Errorf("got %d %v, want replayed", status, answer)
		}
	}
	h.Set("Authorization", identity.SignHTTP(x.ids["bo"].Key, http.MethodPost, path, x.id, []byte(body), time.Now()))
	if statuses := x.atOnce(func(r *rig) int {
		status, _, _ := r.askWith(http.MethodPost, path, h, body)
		return status
	}); statuses[200] != 1 || statuses[401] != 7 {
		t.Errorf("got %v, want one 200", statuses)
	}

	code := identity.NewCode()
	if err := x.a.store.CreateCode(t.Context(), identity.HashCode(code), "bo", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if statuses := x.atOnce(func(r *rig) int {
		status, _, _ := r.ask(http.MethodPost, "/cli/token", "", fmt.Sprintf(`{"code":%q}`, code))
		return status
	}); statuses[200] != 1 || statuses[401] != 7 {
		t.Errorf("got %v, want one 200", statuses)
	}
}

// atOnce does the same eight times, four on each node, and counts the statuses.
func (x *replicas) atOnce(f func(*rig) int) map[int]int {
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			status := f(x.list[i%2])
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	wg.Wait()
	return statuses
}

// The status hook reaches a session on another node.
func TestStatusHookCrossesNodes(t *testing.T) {
	x := newReplicas(t, nil)
	x.connect(x.b, "bo", 1)
	got := x.a.wantOK(http.MethodPost, "/hook/set-status", x.tokens["bo"], `{"cwd":"/src/bo","status":"working"}`)
	if views := x.b.app.Views(x.id); got["presence_id"] != views[0].ID {
		t.Errorf("got %v, want %s", got, views[0].ID)
	}
	for _, r := range x.list {
		eventually(t, "the status to be known", func() bool {
			v := r.app.Views(x.id)[0]
			return v.Status == presence.Working && v.Source == presence.Hook
		})
	}
}

// A use of an invite is spent once over all nodes.
func TestInviteIsUsedOnceOverNodes(t *testing.T) {
	x := newReplicas(t, guessing)
	code := x.a.wantOK(http.MethodPost, "/cli/mesh/"+x.slug+"/invite", x.tokens["ada"], "{}")["code"].(string)
	token := x.b.wantOK(http.MethodGet, "/api/public/invite-code/"+code, "", "")["token"].(string)
	payload, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	words := make(chan string, 8)
	statuses := x.atOnce(func(r *rig) int {
		status, text, _ := r.request(http.MethodPost, "/join", invitation{payload: payload, token: token}.body(freshKey(), "x"))
		var reply joined
		if err := json.Unmarshal([]byte(text), &reply); err != nil {
			t.Errorf("got %d %q: %v", status, text, err)
		}
		words <- reply.Error
		return status
	})
	if statuses[200] != 1 || statuses[400] != 7 {
		t.Errorf("got %v, want one 200", statuses)
	}
	for range 8 {
		if word := <-words; word != "" && word != "invite_exhausted" {
			t.Errorf("got %s", word)
		}
	}
}

// Two admins make members of each other at once, each on another node: one of
// them stays an admin.
func TestReplicasKeepAnAdmin(t *testing.T) {
	t.Parallel()
	x := newReplicas(t, nil)
	_, err := x.a.store.ChangeMesh(t.Context(), x.id, func(m *store.Mesh) error { m.OwnerAccount = ""; return nil })
	if err != nil {
		t.Fatal(err)
	}
	proof := func(r *rig, by, target string) int {
		path, body := "/mesh/"+x.id+"/member/"+x.ids[target].MemberID, `{"permission":"member"}`
		auth := identity.SignHTTP(x.ids[by].Key, http.MethodPatch, path, x.id, []byte(body), time.Now())
		status, _, _ := r.askWith(http.MethodPatch, path, http.Header{"Authorization": {auth}}, body)
		return status
	}
	for range 5 {
		for _, name := range []string{"ada", "bo"} {
			_, err := x.a.store.ChangeMember(t.Context(), x.ids[name].MemberID, func(m *store.Member) error { m.Role = store.RoleAdmin; return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		var statuses [2]int
		var both sync.WaitGroup
		both.Go(func() { statuses[0] = proof(x.a, "ada", "bo") })
		both.Go(func() { statuses[1] = proof(x.b, "bo", "ada") })
		both.Wait()
		admins := 0
		rows, err := x.a.store.ListMembers(t.Context(), x.id)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range rows {
			if m.Role == store.RoleAdmin {
				admins++
			}
		}
		if admins != 1 {
			t.Fatalf("%d admins are left; the answers were %v", admins, statuses)
		}
	}
}
