package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// slowQueue holds an answer back until it is let go.
type slowQueue struct {
	*sqlite.Store
	asked, release chan struct{}
}

func (q *slowQueue) Pending(ctx context.Context, d store.Drain) ([]store.Waiting, error) {
	rows, err := q.Store.Pending(ctx, d)
	if len(rows) > 0 {
		close(q.asked)
		<-q.release
	}
	return rows, err
}

// A drain that read the store before its recipient became busy must not
// disturb it after.
func TestDrainNoticesThatItsRecipientBecameBusy(t *testing.T) {
	st := &slowQueue{openStore(t), make(chan struct{}), make(chan struct{})}
	committer := newCommitter(st)
	engine, dir := newEngine(t, st, committer, nil, time.Hour)
	p := newPeer(engine, dir, false)
	for _, priority := range []sdk.Priority{sdk.PriorityLow, sdk.PriorityNow} {
		m := &store.Message{
			ID: identity.NewID(), MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: recipient.String(), Priority: priority,
		}
		done := make(chan error, 1)
		committer.Submit(work{engine.Accept(m, []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now()), done})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	p.box.Connect(p.conn)
	<-st.asked
	p.box.Idle(false)
	close(st.release)
	engine.Close()
	if err := committer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(p.first); got != 1 {
		t.Errorf("got %d messages, want only the urgent one", got)
	}
}
