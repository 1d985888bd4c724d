package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// emptyOnce finds nothing the first time, and takes until it is let go.
type emptyOnce struct {
	*sqlite.Store
	asked, release chan struct{}
}

func (q *emptyOnce) Pending(ctx context.Context, d store.Drain) ([]store.Waiting, error) {
	select {
	case <-q.release:
		return q.Store.Pending(ctx, d)
	default:
	}
	close(q.asked)
	<-q.release
	return nil, nil
}

// A message that a drain kept from being pushed, and that is not on disk yet
// when the drain ends, must not be overtaken by the next one.
func TestNothingOvertakesWhatADrainKeptBack(t *testing.T) {
	for name, ends := range map[string]error{"it is written": nil, "it fails": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			q := &emptyOnce{openStore(t), make(chan struct{}), make(chan struct{})}
			committer := newCommitter(q)
			engine, dir := newEngine(t, q, committer, nil, time.Hour)
			p := newPeer(engine, dir, false)
			accept := func(number int) *delivery.Acceptance {
				return engine.Accept(&store.Message{
					ID: fmt.Sprint("message ", number), MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: recipient.String(),
				}, []sdk.Recipient{{MemberID: "bo", Member: recipient}}, nil, time.Now())
			}

			p.box.Connect(p.conn)
			<-q.asked
			first := accept(1)
			close(q.release)
			engine.Idle() // the drain has ended
			second := accept(2)
			if second.Pushed > 0 {
				t.Error("the second message overtook the first")
			}
			want := []string{"message 1", "message 2"}
			if ends != nil {
				first.Done(ends)
				want = want[1:]
			} else {
				committer.Submit(work{first, make(chan error, 1)})
			}
			done := make(chan error, 1)
			committer.Submit(work{second, done})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			engine.Idle()
			if third := accept(3); third.Pushed != 1 {
				t.Error("with nothing left in the store, the third message was not pushed at once")
			}
			engine.Close()
			if err := committer.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := p.first[:len(want)]; !slices.Equal(got, want) {
				t.Errorf("got %q first, want %q", got, want)
			}
		})
	}
}
