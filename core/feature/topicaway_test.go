package feature

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// awayTopics is a store that fails at one of its methods.
type awayTopics struct {
	*sqlite.Store
	at string
}

func (s awayTopics) fails(at string) error {
	if s.at == at {
		return errAway
	}
	return nil
}

func (s awayTopics) FindTopic(ctx context.Context, mesh, name string) (*store.Topic, error) {
	if err := s.fails("FindTopic"); err != nil {
		return nil, err
	}
	return s.Store.FindTopic(ctx, mesh, name)
}

func (s awayTopics) CreateTopic(ctx context.Context, t *store.Topic, seat *store.Seat, k *store.TopicKey, room store.Room) (*store.Topic, bool, error) {
	if err := s.fails("CreateTopic"); err != nil {
		return nil, false, err
	}
	return s.Store.CreateTopic(ctx, t, seat, k, room)
}

func (s awayTopics) ListTopics(ctx context.Context, mesh, member string, limit int) ([]*store.TopicRow, error) {
	if err := s.fails("ListTopics"); err != nil {
		return nil, err
	}
	return s.Store.ListTopics(ctx, mesh, member, limit)
}

func (s awayTopics) Seat(ctx context.Context, t *store.Topic, member string) (*store.Seat, error) {
	if err := s.fails("Seat"); err != nil {
		return nil, err
	}
	return s.Store.Seat(ctx, t, member)
}

func (s awayTopics) Seats(ctx context.Context, t *store.Topic) ([]*store.Seat, error) {
	if err := s.fails("Seats"); err != nil {
		return nil, err
	}
	return s.Store.Seats(ctx, t)
}

func (s awayTopics) ChangeSeat(ctx context.Context, t *store.Topic, member string, change func(*store.Seat) error) (*store.Seat, error) {
	if err := s.fails("ChangeSeat"); err != nil {
		return nil, err
	}
	return s.Store.ChangeSeat(ctx, t, member, change)
}

func (s awayTopics) ReadTopic(ctx context.Context, t *store.Topic, member string, at time.Time) error {
	if err := s.fails("ReadTopic"); err != nil {
		return err
	}
	return s.Store.ReadTopic(ctx, t, member, at)
}

func (s awayTopics) TopicHistory(ctx context.Context, q store.TopicQuery) ([]*store.TopicMessage, error) {
	if err := s.fails("TopicHistory"); err != nil {
		return nil, err
	}
	return s.Store.TopicHistory(ctx, q)
}

// Requests about topics that the store does not answer are refused as unavailable,
// in the type that clients wait for.
func TestTopicsOfAStoreThatIsAway(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.topic("deploys", "public")
	bo.topicsSeen()
	for frame, at := range map[string][]string{
		`{"type":"topic_create","name":"new"}`:            {"FindTopic", "CreateTopic"},
		`{"type":"topic_list"}`:                           {"ListTopics"},
		`{"type":"topic_join","topic":"general"}`:         {"FindTopic", "Seat", "ChangeSeat"},
		`{"type":"topic_leave","topic":"deploys"}`:        {"FindTopic", "Seat", "ChangeSeat"},
		`{"type":"topic_members","topic":"deploys"}`:      {"FindTopic", "Seat", "Seats"},
		`{"type":"topic_history","topic":"deploys"}`:      {"FindTopic", "Seat", "TopicHistory"},
		`{"type":"topic_mark_read","topic":"deploys"}`:    {"FindTopic", "Seat", "ReadTopic"},
		`{"type":"topic_join","topic":"x","member":"y"}`:  {"FindTopic"},
		`{"type":"topic_leave","topic":"x","member":"y"}`: {"FindTopic"},
	} {
		for _, method := range at {
			reg := NewRegistry()
			reg.roster = r.roster
			Topics(reg, NewTopicBook(awayTopics{r.store, method}, r.roster))
			got, records := bo.askOf(reg, frame)
			if !strings.Contains(got, `"error":"unavailable: the broker cannot reach its store`) || strings.HasPrefix(got, `{"type":"error"`) {
				t.Errorf("%s without %s: got %s", frame, method, got)
			}
			wantList(t, "records", recorded(records), nil)
		}
	}
}
