package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestMessagesCrossNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	boID := session(a.member("bo", store.RoleMember))
	boID.Groups = []wire.Group{{Name: "crew/night"}}
	bo := b.dial(boID, dial.Options{ConfirmPushes: true})
	n.wantMeets(2)
	for _, target := range []string{bo.Key().String(), identity.PublicKey(boID.Key).String(), "*", "@crew", "@all"} {
		ack := a.send(ada, target, sdk.PriorityNext, "to "+target)
		if push := b.wantText(bo, "to "+target); !ack.Queued || push.MessageID != ack.MessageID {
			t.Errorf("%s: got %+v, want it queued as %s", target, ack, push.MessageID)
		}
	}
	// What may not disturb waits for its time.
	for _, step := range []struct{ status, sends, gets string }{
		{"dnd", "held", ""}, {"idle", "", "held"},
	} {
		if err := bo.Tell(wire.SetStatus{Status: step.status}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the status to cross", func() bool {
			views := a.app.Views(a.mesh.ID)
			return len(views) == 2 && string(views[1].Status) == step.status
		})
		if step.sends != "" {
			a.send(ada, bo.Key().String(), sdk.PriorityNext, step.sends)
			a.send(ada, bo.Key().String(), sdk.PriorityNow, "urgent")
			b.wantText(bo, "urgent")
		}
		if step.gets != "" {
			b.wantText(bo, step.gets)
		}
	}
}

func TestMessagesCrossNodesInOrder(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	bo := b.dial(session(b.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	n.wantMeets(2)
	const count = 300
	acks := make(chan wire.Ack, count)
	for i := range count {
		err := ada.SendAsync(bo.Key().String(), sdk.PriorityNext, "", text(i), dial.SendOptions{}, func(ack wire.Ack, err error) {
			if err != nil {
				t.Error(err)
			}
			acks <- ack
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		b.wantText(bo, text(i))
		if ack := <-acks; !ack.Queued {
			t.Fatalf("send %d: %+v", i, ack)
		}
	}
}

func TestPresenceCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, grace(time.Hour))
	a, b := n.both()
	w := a.watch()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	bo := b.dial(session(b.member("bo", store.RoleMember)), dial.Options{})
	a.wantHeard(w, "peer_joined ada", "peer_joined bo")
	n.wantMeets(3)
	for _, frame := range []any{
		wire.SetSummary{Summary: "at work"}, wire.SetStatus{Status: "working"}, wire.JoinGroup{Name: "crew"},
	} {
		if err := bo.Tell(frame); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the changes to cross", func() bool {
		list, err := ada.Request(t.Context(), wire.ListPeers{})
		if err != nil {
			t.Fatal(err)
		}
		text := string(list)
		return strings.Contains(text, `"summary":"at work"`) && strings.Contains(text, `"status":"working"`) && strings.Contains(text, `"name":"crew"`)
	})
	// A session of the other node in its grace time still counts.
	bo.Abort()
	a.wantOnline(2)
	if list := a.app.Views(a.mesh.ID); len(list) != 3 {
		t.Errorf("got %d sessions, want 3", len(list))
	}
	again := b.dial(session(b.member("cy", store.RoleMember)), dial.Options{})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	a.wantHeard(w, "peer_joined ada", "peer_joined bo", "peer_joined cy", "peer_left cy")
}

// A session that comes back to another node goes on there, and nobody notices.
func TestSessionMovesToAnotherNode(t *testing.T) {
	n := newNodes(t, 2, grace(time.Hour))
	a, b := n.both()
	w := a.watch()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	id := session(a.member("bo", store.RoleMember))
	first := a.dial(id, dial.Options{})
	a.wantHeard(w, "peer_joined ada", "peer_joined bo")
	n.wantMeets(3)
	a.send(ada, first.Key().String(), sdk.PriorityNow, "not confirmed")
	moved := b.dial(id, dial.Options{ConfirmPushes: true})
	if got, want := moved.HelloAck().PresenceID, first.HelloAck().PresenceID; got != want {
		t.Errorf("presence: got %s, want %s as before", got, want)
	}
	var closed *dial.CloseError
	if err := a.ended(first); !errors.As(err, &closed) || closed.Reason != "session_replaced" {
		t.Errorf("the older connection ended with %v, want session_replaced", err)
	}
	a.wantLeft(2, 2)
	b.wantText(moved, "not confirmed")
	a.send(ada, moved.Key().String(), sdk.PriorityNow, "there")
	b.wantText(moved, "there")
	back := a.dial(id, dial.Options{ConfirmPushes: true})
	b.ended(moved)
	a.send(ada, back.Key().String(), sdk.PriorityNow, "here again")
	repeats := map[string]int{"not confirmed": 1, "there": 1} // at most: their marks may be on the way to the disk
	for push := a.recv(back); push.Ciphertext != "here again"; push = a.recv(back) {
		if repeats[push.Ciphertext]--; repeats[push.Ciphertext] < 0 {
			t.Fatalf("got %q, want %q", push.Ciphertext, "here again")
		}
	}
	n.wantMeets(3)
	a.wantHeard(w, "peer_joined ada", "peer_joined bo")
}

func TestModerationCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	boss := a.dial(session(a.member("boss", store.RoleAdmin)), dial.Options{})
	id := session(a.member("bo", store.RoleMember))
	steps := []struct {
		frame any
		code  int
		want  string
	}{
		{wire.Disconnect{Target: "bo"}, 1000, `"affected":["bo"]`},
		{wire.Kick{Target: "bo"}, 4001, `"affected":["bo"]`},
		{wire.Ban{Target: "bo"}, 4002, `"banned":"bo"`},
	}
	for _, step := range steps {
		bo := b.dial(id, dial.Options{})
		n.wantMeets(2)
		reply, err := boss.Request(t.Context(), step.frame)
		if err != nil || !strings.Contains(string(reply), step.want) {
			t.Fatalf("%T: got %s, %v, want %s", step.frame, reply, err, step.want)
		}
		var closed *dial.CloseError
		if err := b.ended(bo); !errors.As(err, &closed) || int(closed.Code) != step.code {
			t.Errorf("%T: bo's connection ended with %v, want %d", step.frame, err, step.code)
		}
		eventually(t, "the session to be gone everywhere", func() bool { return a.online()+b.online() == 2 })
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := dial.Dial(ctx, b.url, id, dial.Options{}); err == nil {
		t.Error("a banned member was let in on the other node")
	}
	if _, err := boss.Request(ctx, wire.Unban{Target: "bo"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the member to be let in again", func() bool {
		p, err := dial.Dial(ctx, b.url, id, dial.Options{})
		if err == nil {
			t.Cleanup(p.Abort)
		}
		return err == nil
	})
	n.wantMeets(2)
	a.revoke(id) // by the operator
	b.wantLeft(0, 0)
}

// Whose a session key is, which hello was used, and how many there may be, all
// nodes agree on.
func TestNodesAgreeOnWhoMayCome(t *testing.T) {
	n := newNodes(t, 2, func(c *config.Config) { c.Limits.ConnectionsPerMesh = 2 })
	a, b := n.both()
	ada := session(a.member("ada", store.RoleMember))
	hello := a.vouched(ada, time.Now())
	a.greet(hello, socketOptions{})
	n.wantMeets(1)

	replayed := open(t, b.url, socketOptions{})
	replayed.write(hello.String())
	replayed.wantError("replayed")

	thief := session(b.member("eve", store.RoleMember))
	thief.SessionKey = ada.SessionKey
	taken := open(t, b.url, socketOptions{})
	taken.write(b.vouched(thief, time.Now()).String())
	taken.wantError("session_key_taken")

	b.dial(session(b.member("bo", store.RoleMember)), dial.Options{})
	n.wantMeets(2)
	full := open(t, a.url, socketOptions{})
	full.write(a.vouched(session(a.member("cy", store.RoleMember)), time.Now()).String())
	full.wantError("capacity")
	b.dial(ada, dial.Options{}) // who comes back needs no place
	a.wantLeft(0, 0)
}

// What the bus loses is found in the store.
func TestNodesNeedNoBus(t *testing.T) {
	n := newNodes(t, 2, nil)
	n.net.DropIf(func(string, []byte) bool { return true })
	a, b := n.both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	bo := b.dial(session(b.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	a.send(ada, bo.Key().String(), sdk.PriorityNext, "late, not lost")
	b.wantText(bo, "late, not lost")
	n.wantMeets(2)
	a.revoke(bo2(b, bo))
	b.wantLeft(0, 0)
}

// bo2 names the member behind a peer.
func bo2(r *rig, p *dial.Peer) dial.Identity {
	for _, v := range r.app.Views(r.mesh.ID) {
		if v.Routing() == p.Key() {
			return dial.Identity{MemberID: v.MemberID}
		}
	}
	return dial.Identity{}
}

// A node whose lease is over pushes nothing, and goes on when it has it again.
// Others take its sessions for away meanwhile.
func TestNodeWithoutItsLeasePushesNothing(t *testing.T) {
	n := newNodes(t, 2, grace(time.Hour))
	a, b := n.both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	boID, cyID := session(b.member("bo", store.RoleMember)), session(b.member("cy", store.RoleMember))
	bo, cy := b.dial(boID, dial.Options{}), b.dial(cyID, dial.Options{})
	n.wantMeets(3)
	n.db[1].cut.Store(true)
	a.wantOnline(1)
	if status, text, _ := b.request("GET", "/health/ready", ""); status != 503 || !strings.Contains(text, "lease_lost") {
		t.Errorf("ready: got %d %s, want 503 lease_lost", status, text)
	}
	eventually(t, "the metrics to show it", func() bool {
		return b.metric("broker_lease_held") == "0" && b.metric("broker_lease_lost_total") == "1"
	})
	b.wantUnready(server.LeaseLost)
	if status, _, _ := b.request("GET", "/health", ""); status != 200 {
		t.Errorf("health: got %d, want 200", status)
	}
	a.send(ada, bo.Key().String(), sdk.PriorityNow, "for bo")
	a.send(ada, cy.Key().String(), sdk.PriorityNow, "for cy")
	moved := a.dial(boID, dial.Options{ConfirmPushes: true})
	a.wantText(moved, "for bo")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // two polls
	defer cancel()
	if push, err := cy.RecvMessage(ctx); err == nil {
		t.Fatalf("a node without its lease pushed %s", push.Ciphertext)
	}
	n.db[1].cut.Store(false)
	b.wantText(cy, "for cy")
	if err := b.ended(bo); err == nil {
		t.Error("the connection whose session lives elsewhere is still open")
	}
	n.wantMeets(3)
	if push, err := bo.Recv(t.Context()); err == nil && push.Event == "" {
		t.Errorf("the old connection got %s", push.Ciphertext)
	}
}

// A session whose node stops goes on elsewhere; one that does not come back
// leaves when its grace time is over.
func TestNodeThatStopsLeavesItsSessionsToOthers(t *testing.T) {
	n := newNodes(t, 2, grace(3*time.Second))
	a, b := n.both()
	w := a.watch()
	id, gone := session(b.member("bo", store.RoleMember)), session(b.member("cy", store.RoleMember))
	bo := b.dial(id, dial.Options{})
	b.dial(gone, dial.Options{})
	a.wantHeard(w, "peer_joined bo", "peer_joined cy")
	b.stop()
	back := a.dial(id, dial.Options{})
	if got, want := back.HelloAck().PresenceID, bo.HelloAck().PresenceID; got != want {
		t.Errorf("presence: got %s, want %s as before", got, want)
	}
	a.wantHeard(w, "peer_joined bo", "peer_joined cy", "peer_left cy")
}

// The same client_message_id is the same message, whichever node it comes to.
func TestRepeatedSendFindsTheFirstOnAnotherNode(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	bo := a.dial(session(a.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	id := session(a.member("ada", store.RoleMember))
	o := dial.SendOptions{ClientMessageID: "m-1", Fingerprint: "f"}
	var first string
	for i, r := range []*rig{a, b, a} {
		ack, err := r.dial(id, dial.Options{}).Send(t.Context(), bo.Key().String(), sdk.PriorityNext, "", "once", o)
		if err != nil || !ack.Queued {
			t.Fatalf("send %d: %+v, %v", i, ack, err)
		}
		if first == "" {
			first = ack.MessageID
		}
		if ack.MessageID != first {
			t.Errorf("send %d: got %s, want %s", i, ack.MessageID, first)
		}
	}
	a.wantText(bo, "once")
}

// A ban reaches sessions that only another node knows of.
func TestBanReachesSessionsThatAreNotKnownHere(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	boss := a.dial(session(a.member("boss", store.RoleAdmin)), dial.Options{})
	n.net.DropIf(func(subject string, _ []byte) bool { return subject == "presence" })
	id := session(a.member("bo", store.RoleMember))
	bo := b.dial(id, dial.Options{})
	reply, err := boss.Request(t.Context(), wire.Ban{Target: identity.PublicKey(id.Key).String()})
	if err != nil || !strings.Contains(string(reply), `"banned":"bo"`) {
		t.Fatalf("got %s, %v", reply, err)
	}
	var closed *dial.CloseError
	if err := b.ended(bo); !errors.As(err, &closed) || closed.Code != 4002 {
		t.Errorf("bo's connection ended with %v, want 4002", err)
	}
}

// What is addressed to a member is its daemon's too, wherever that is connected,
// and only the daemon can say that it has it.
func TestDaemonElsewhereGetsItsMembersMessages(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
	member := a.member("bo", store.RoleMember)
	here := a.dial(session(member), dial.Options{ConfirmPushes: true})
	control := b.dial(daemon(member, "host-1"), dial.Options{PlainHello: true})
	n.wantMeets(3)
	key := identity.PublicKey(member.Key).String()
	for i := range 20 {
		ack := a.send(ada, key, sdk.PriorityNow, text(i))
		if push := a.wantText(here, text(i)); push.MessageID != ack.MessageID {
			t.Errorf("got %s, want %s", push.MessageID, ack.MessageID)
		}
		push := b.wantText(control, text(i))
		if push.MessageID != ack.MessageID {
			t.Errorf("the daemon got %s, want %s", push.MessageID, ack.MessageID)
		}
		if err := control.Confirm(push); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the queue to be empty", func() bool {
		waiting, _, err := a.store.QueueDepth(t.Context())
		return err == nil && waiting == 0
	})
	if push, err := a.next(here); err == nil {
		t.Errorf("the session got %s twice", push)
	}
}

// next returns the text of the next message, if one comes within a poll.
func (r *rig) next(p *dial.Peer) (string, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2500*time.Millisecond)
	defer cancel()
	push, err := p.RecvMessage(ctx)
	if err != nil {
		return "", err
	}
	return push.Ciphertext, nil
}

// A hook may reach any node; the session's own node takes its word.
func TestHooksWordCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	b.dial(session(b.member("bo", store.RoleMember)), dial.Options{})
	n.wantMeets(1)
	a.app.SetStatus(a.app.Views(a.mesh.ID)[0].Session, presence.Working, presence.Hook)
	for _, r := range n.list {
		eventually(t, "the status to be known", func() bool {
			v := r.app.Views(r.mesh.ID)[0]
			return v.Status == presence.Working && v.Source == presence.Hook
		})
	}
}
