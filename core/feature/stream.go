package feature

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"time"
	"unicode"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of streams. Names are never deleted, and a stream does not need to be
// created, so that a mesh that is full loses its list and nothing else.
const (
	streamsPerMesh   = 500
	streamsPerMember = 100

	// What one member may publish, with all its sessions on this node. Each costs a
	// write to the socket of every subscriber.
	publishRate  = 30 // a second
	publishBurst = 120
	publishers   = 1 << 16 // members that are remembered
)

// StreamStore keeps the names of streams.
type StreamStore interface {
	CreateStream(ctx context.Context, st *store.Stream, room store.Room) (id string, fresh bool, err error)
	ListStreams(ctx context.Context, mesh string, limit int) ([]*store.Stream, error)
}

// Caster tells sessions, wherever they are connected, what nothing keeps. It
// returns at once. What it tells on other nodes may be lost, and comes in the order
// in which it was said. Methods may be called concurrently.
type Caster interface {
	// Cast tells the sessions of a mesh.
	Cast(ctx context.Context, n Notice)

	// Stream tells those that subscribe to a stream.
	Stream(ctx context.Context, stream string, n Notice)
}

// TellStream writes the notice to the sessions on this node that subscribe to a
// stream.
func (n *Notice) TellStream(ctx context.Context, dir *presence.Directory, who Roster, stream string) {
	dir.TellStream(n.Mesh, stream, []byte(n.Frame), n.From.Presence, func(s *presence.Session) bool {
		return n.concerns(ctx, s, who)
	})
}

// Streams lets sessions publish to those that subscribe.
func Streams(r *Registry, dir *presence.Directory, st StreamStore, who Roster, cast Caster) {
	s := &streams{dir: dir, store: st, roster: who, cast: cast, rates: bucket.New[memberID](bucket.Size{
		Count: publishRate, Per: time.Second, Burst: publishBurst, Most: publishers,
	}, time.Now())}
	On(r, s.create).Needs(store.CanWriteState).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.StreamCreated{Error: worded(why, text)}
	})
	On(r, s.subscribe).RefuseWith(refusedSubscribe)
	On(r, s.unsubscribe).RefuseWith(refusedPresence)
	On(r, s.publish).Needs(store.CanWriteState).RefuseWith(refusedPresence)
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.StreamList{Streams: []wire.StreamRow{}, Error: worded(why, text)}
	})
	r.Inform(s.inform)
}

type streams struct {
	dir    *presence.Directory
	store  StreamStore
	roster Roster
	cast   Caster
	rates  *bucket.Set[memberID]
}

// memberID is the id of a member whose requests are counted.
type memberID string

// Hash implements [bucket.Key].
func (m memberID) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, string(m)) }

// Keep implements [bucket.Key].
func (m memberID) Keep() memberID { return memberID(strings.Clone(string(m))) }

// checkName refuses names that people cannot tell apart, or not see.
func checkName(field, name string) error {
	if name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return core.Refuse(sdk.ReasonInvalid, field+": want a name without blanks at its ends and without control characters")
	}
	return nil
}

// create puts a name on the list.
func (s *streams) create(ctx context.Context, c *Call, m *wire.CreateStream) (wire.StreamCreated, error) {
	if err := checkName("name", m.Name); err != nil {
		return wire.StreamCreated{}, err
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return wire.StreamCreated{}, err
	}
	id, fresh, err := s.store.CreateStream(ctx, &store.Stream{
		ID: identity.NewID(), MeshID: c.Env.Mesh, Name: m.Name, MemberID: by.ID, Author: by.DisplayName, CreatedAt: time.Now(),
	}, store.Room{Mesh: streamsPerMesh, Member: streamsPerMember})
	if err != nil {
		return wire.StreamCreated{}, noRoom(err, "streams", "publish to the name as it is, a stream needs no creation")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, sdk.Record{Event: "stream_created", Payload: audit.Object(audit.String("streamId", id))})
	}
	return wire.StreamCreated{ID: id, Name: m.Name}, nil
}

// refusedSubscribe refuses a subscribe in its own shape.
func refusedSubscribe(c *Call, why sdk.Reason, text string) wire.Frame {
	refused := wire.Subscribed{Error: worded(why, text)}
	if m, ok := c.Request.(*wire.Subscribe); ok && m != nil {
		refused.Stream = m.Stream
	}
	return refused
}

func (s *streams) subscribe(_ context.Context, c *Call, m *wire.Subscribe) (wire.Subscribed, error) {
	if err := checkName("stream", m.Stream); err != nil {
		return wire.Subscribed{}, err
	}
	if err := s.dir.Subscribe(c.Session, m.Stream); err != nil {
		return wire.Subscribed{}, core.Refuse(sdk.ReasonCapacity, err.Error())
	}
	return wire.Subscribed{Stream: m.Stream}, nil
}

func (s *streams) unsubscribe(_ context.Context, c *Call, m *wire.Unsubscribe) (Silent, error) {
	s.dir.Unsubscribe(c.Session, m.Stream)
	return Silent{}, nil
}

// publish tells the subscribers.
func (s *streams) publish(ctx context.Context, c *Call, m *wire.Publish) (Silent, error) {
	if err := checkName("stream", m.Stream); err != nil {
		return Silent{}, err
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return Silent{}, err
	}
	if wait, ok := s.rates.Take(memberID(by.ID), time.Now()); !ok {
		return Silent{}, &core.Error{
			Code: sdk.ReasonRateLimit, RetryAfter: wait,
			Message: fmt.Sprintf("rate_limit: a member may publish %d times/s (burst %d)", publishRate, publishBurst),
		}
	}
	number, err := s.dir.Published(c.Session, m.Stream)
	if err != nil {
		return Silent{}, core.Refuse(sdk.ReasonCapacity, err.Error())
	}
	frame, err := wire.Append(nil, wire.StreamData{
		Stream: m.Stream, Data: m.Data, PublishedBy: by.DisplayName, PublisherKey: c.Session.Routing(), Seq: int64(number),
		PublishedAt: c.Env.Arrived,
	})
	if err != nil {
		return Silent{}, err
	}
	s.cast.Stream(ctx, m.Stream, Notice{Mesh: c.Env.Mesh, From: From(c), Needs: store.CapStateRead, Frame: string(frame)})
	return Silent{}, nil
}

// list returns the streams that were created.
func (s *streams) list(ctx context.Context, c *Call, _ *wire.ListStreams) (wire.StreamList, error) {
	list, err := s.seen(ctx, c)
	if err != nil {
		return wire.StreamList{}, err
	}
	subscribers := s.dir.Subscribers(c.Env.Mesh)
	answer := wire.StreamList{Streams: make([]wire.StreamRow, len(list))}
	for i, st := range list {
		answer.Streams[i] = wire.StreamRow{
			ID: st.ID, Name: st.Name, CreatedBy: st.Author, CreatedAt: st.CreatedAt, SubscriberCount: int64(subscribers[st.Name]),
		}
	}
	return answer, nil
}

// seen returns the streams whose creator lets the asker read.
func (s *streams) seen(ctx context.Context, c *Call) ([]*store.Stream, error) {
	all, err := s.store.ListStreams(ctx, c.Env.Mesh, streamsPerMesh)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	sees := sightOf(c, s.roster)
	list := all[:0]
	for _, st := range all {
		shown, err := sees(ctx, st.MemberID)
		if err != nil {
			return nil, err
		}
		if shown {
			list = append(list, st)
		}
	}
	return list, nil
}

// inform tells mesh_info which streams there are.
func (s *streams) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	list, err := s.seen(ctx, c)
	if err != nil {
		return err
	}
	for _, st := range list {
		info.Streams = append(info.Streams, st.Name)
	}
	return nil
}
