package app_test

import (
	"context"
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestSendReachesAConnectedSession(t *testing.T) {
	r := newRig(t, nil)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{PlainHello: true})
	ack := r.send(ada, bo.Key().String(), sdk.PriorityNext, "hello")
	if !ack.Queued || ack.Error != "" || len(ack.MessageID) != 32 {
		t.Fatalf("ack: got %+v, want queued with an id", ack)
	}
	push := r.wantText(bo, "hello")
	if push.MessageID != ack.MessageID || push.SenderPubkey != wire.OriginOf(ada.Key()) || push.SenderName != "ada" {
		t.Errorf("push: got %+v, want the ack's id %s and the sender ada", push, ack.MessageID)
	}
	eventually(t, "the delivery to be confirmed by a pong", func() bool {
		n, _, err := r.store.QueueDepth(context.Background())
		return err == nil && n == 0
	})
}

func TestSendWaitsForAMemberThatIsAway(t *testing.T) {
	r := newRig(t, nil)
	away := r.member("bo", store.RoleMember)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	for i := range 5 {
		if ack := r.send(ada, away.RoutingKey().String(), sdk.PriorityNext, text(i)); !ack.Queued {
			t.Fatalf("send %d: %+v", i, ack)
		}
	}
	bo := r.dial(session(away), dial.Options{ConfirmPushes: true})
	for i := range 5 {
		r.wantText(bo, text(i))
	}
}

func TestSendToAKeyOfNobodyIsRefused(t *testing.T) {
	r := newRig(t, nil)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	ack := r.send(ada, sdk.Key{1, 2, 3}.String(), sdk.PriorityNext, "hello")
	if ack.Queued || ack.Error == "" {
		t.Fatalf("ack: got %+v, want a refusal", ack)
	}
}
