package delivery_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
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
	log := slog.New(slog.DiscardHandler)
	committer := commit.New(st, store.NewPatience(0, log), log)
	engine, err := delivery.NewEngine(t.Context(), delivery.Options{
		ExpireAfter: time.Hour, KeepDelivered: time.Hour, AckTimeout: time.Hour, UnconfirmedBytes: 1 << 20, DrainBatch: 8,
	}, st, committer, func(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) }, log)
	if err != nil {
		t.Fatal(err)
	}
	dir := &directory{boxes: map[sdk.Key][]*delivery.Mailbox{}}
	engine.Use(dir)
	to := sdk.Key{1}
	box := engine.NewMailbox(delivery.Identity{Mesh: "mesh", Member: to})
	dir.add(to, box, false)
	for _, p := range []sdk.Priority{sdk.PriorityLow, sdk.PriorityNow} {
		m := &store.Message{
			ID: identity.NewID(), MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: to.String(), Priority: p,
		}
		done := make(chan error, 1)
		committer.Submit(work{engine.Accept(m, []sdk.Recipient{{MemberID: "bo", Member: to}}, nil, time.Now()), done})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	p := &peer{box: box, confirmed: map[string]bool{}}
	p.conn = &conn{peer: p}
	box.Connect(p.conn)
	<-st.asked
	box.Idle(false)
	close(st.release)
	engine.Close()
	if err := committer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(p.first); got != 1 {
		t.Errorf("got %d messages, want only the urgent one", got)
	}
}
