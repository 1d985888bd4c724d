package feature

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// countedTopics counts how often the store is asked for topics and their members.
type countedTopics struct {
	*sqlite.Store
	reads int
}

func (s *countedTopics) FindTopic(ctx context.Context, mesh, name string) (*store.Topic, error) {
	s.reads++
	return s.Store.FindTopic(ctx, mesh, name)
}

func (s *countedTopics) Seats(ctx context.Context, t *store.Topic) ([]*store.Seat, error) {
	s.reads++
	return s.Store.Seats(ctx, t)
}

// Who sends to topics without end has the store read a limited number of times, also
// where the chain finds out whom a message is for before it limits the rate.
func TestTopicAudienceIsLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada, bo := r.join("ada"), r.join("bo")
	counted := &countedTopics{Store: r.store}
	a := NewTopicAudience(NewTopicBook(counted, r.roster), r.dir)
	a.looks = newTopicLooks(2)
	at := time.Now()
	resolve := func(by *peer, at time.Time) []sdk.Recipient {
		t.Helper()
		env := &sdk.Envelope{
			Kind: sdk.KindSend, Mesh: r.mesh.ID, Arrived: at, Sender: sdk.Sender{MemberID: by.member.ID, Member: by.member.Key},
			Target: sdk.Target{Kind: sdk.TargetTopic, Name: generalTopic},
		}
		list, err := a.Resolve(t.Context(), env, nil)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for n := range 100 {
		if got := len(resolve(ada, at)); (got > 0) != (n < 2) {
			t.Errorf("message %d is for %d", n, got)
		}
	}
	if counted.reads > 4 {
		t.Errorf("100 messages read the store %d times", counted.reads)
	}
	if len(resolve(bo, at)) == 0 {
		t.Error("another member is held to ada's limit")
	}
	if len(resolve(ada, at.Add(time.Second))) == 0 {
		t.Error("a second later nobody is there")
	}
	var send *topicSend
	for range 3 { // of a burst of two
		var err error
		send, err = a.look(t.Context(), &sdk.Envelope{Mesh: r.mesh.ID, Arrived: at, Sender: sdk.Sender{MemberID: "cy"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if send.refused.Code != sdk.ReasonRateLimit || send.refused.RetryAfter <= 0 {
		t.Errorf("got %+v, want a refusal that says how long to wait", send.refused)
	}
}
