package app_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Messages that a replica held back, which is gone when their time comes, are
// released by the others, in order and each once, to a session on any of them.
func TestReplicasReleaseWhatAnotherHeldBack(t *testing.T) {
	const (
		count = 300 // more than one transaction releases
		hold  = 4 * time.Second
	)
	all := newNodes(t, 2, nil)
	a, b := all.both()
	bo := b.dial(session(a.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	all.wantMeets(1)
	due := time.Now().Add(hold).Truncate(time.Millisecond)
	var batch store.Batch
	for i := range count {
		m := &store.Message{
			Seq: store.SeqAt(time.Now()) + int64(i)*store.MaxNodes, ID: identity.NewMessageID(time.Now()), MeshID: a.mesh.ID,
			SenderMemberID: "ada", SenderMember: sdk.Key{1}, TargetSpec: bo.Key().String(), Ciphertext: text(i),
			CreatedAt: time.Now(), ExpiresAt: due.Add(time.Hour), NotBefore: due,
		}
		batch.Messages = append(batch.Messages, m)
		batch.Held = append(batch.Held, store.Delivery{Seq: m.Seq, Recipient: bo.Key(), MemberID: "bo"})
	}
	if err := a.store.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if early := time.Until(due); early <= 2*time.Second {
		t.Skipf("this machine is too slow: %v are left", early)
	}
	b.wantText(bo, text(0))
	if late := time.Since(due); late < 0 || late > 3*time.Second {
		t.Errorf("the first came %v after its time", late)
	}
	for i := 1; i < count; i++ {
		b.wantText(bo, text(i))
	}
	eventually(t, "all to be confirmed", func() bool {
		n, _, err := a.store.QueueDepth(t.Context())
		return err == nil && n == 0
	})
}
