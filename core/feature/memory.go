package feature

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of memories. A mesh has some 600 MB with all of them, and one member a
// quarter of that.
const (
	memoriesPerMesh   = 20_000
	memoriesPerMember = 5_000
	recalled          = 20 // in one answer
)

// MemoryStore keeps memories.
type MemoryStore interface {
	Remember(ctx context.Context, m *store.Memory, room store.Room) (id string, fresh bool, err error)
	Recall(ctx context.Context, mesh, query string, except []string, limit int) ([]*store.Memory, error)
	CountMemories(ctx context.Context, mesh string) (int64, error)
	Memory(ctx context.Context, mesh, id string) (*store.Memory, error)
	ForgetMemory(ctx context.Context, mesh, id string, at time.Time) error
}

// Memory lets the members of a mesh leave each other notes.
func Memory(r *Registry, st MemoryStore, who Roster) {
	m := &memories{store: st, roster: who}
	On(r, m.remember).Needs(store.CanWriteState).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.MemoryStored{Error: worded(why, text)}
	})
	On(r, m.recall).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.MemoryResults{Memories: []wire.MemoryRow{}, Error: worded(why, text)}
	})
	On(r, m.forget).Needs(store.CanWriteState).RefuseWith(refusedForget)
	r.Inform(m.inform)
}

type memories struct {
	store  MemoryStore
	roster Roster
}

// remember writes a memory. What the same member has left already is not written
// again, so that a request may be repeated.
func (m *memories) remember(ctx context.Context, c *Call, req *wire.Remember) (wire.MemoryStored, error) {
	if req.Content == "" {
		return wire.MemoryStored{}, core.Refuse(sdk.ReasonInvalid, "content: want at least one byte")
	}
	by, err := whoAsks(ctx, m.roster, c)
	if err != nil {
		return wire.MemoryStored{}, err
	}
	now := time.Now() // its microseconds lead the id, and keep memories of one millisecond in order
	id, fresh, err := m.store.Remember(ctx, &store.Memory{
		ID: identity.NewMessageID(now), MeshID: c.Env.Mesh, Content: req.Content, Tags: req.Tags,
		MemberID: by.ID, Author: by.DisplayName, CreatedAt: now,
	}, store.Room{Mesh: memoriesPerMesh, Member: memoriesPerMember})
	if err != nil {
		return wire.MemoryStored{}, noRoom(err, "memories", "forget some")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, ofMemory("memory_stored", id))
	}
	return wire.MemoryStored{ID: id, MemoryID: id}, nil
}

// ofMemory is the record of what was done to a memory. The log keeps no content:
// it outlives what is forgotten.
func ofMemory(event, id string) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(audit.String("memoryId", id))}
}

// recall finds memories by their words.
func (m *memories) recall(ctx context.Context, c *Call, req *wire.Recall) (wire.MemoryResults, error) {
	found, err := inSight(ctx, sightOf(c, m.roster), func(row *store.Memory) string { return row.MemberID },
		func(except []string) ([]*store.Memory, error) {
			return m.store.Recall(ctx, c.Env.Mesh, req.Query, except, recalled)
		})
	if err != nil {
		return wire.MemoryResults{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Content, found[row].Author)
		add(found[row].Tags...)
	})]
	result := wire.MemoryResults{Memories: make([]wire.MemoryRow, len(found))}
	for i, row := range found {
		result.Memories[i] = wire.MemoryRow{
			ID: row.ID, Content: row.Content, Tags: row.Tags, RememberedBy: row.Author, RememberedAt: row.CreatedAt,
		}
	}
	return result, nil
}

// forget deletes a memory. Whose id is unknown was forgotten before, as far as
// anybody can tell.
func (m *memories) forget(ctx context.Context, c *Call, req *wire.Forget) (wire.Ack, error) {
	by, err := whoAsks(ctx, m.roster, c)
	if err != nil {
		return wire.Ack{}, err
	}
	done := wire.Ack{ID: jsonText(req.MemoryID), MessageID: req.MemoryID}
	row, err := m.store.Memory(ctx, c.Env.Mesh, req.MemoryID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return done, nil
	case err != nil:
		return wire.Ack{}, core.Unavailable(err)
	case row.MemberID != by.ID && !by.admin():
		return wire.Ack{}, core.Refuse(sdk.ReasonForbidden,
			"only the member that left this memory, the owner of the mesh and its admins may forget it: ask one of them")
	}
	err = m.store.ForgetMemory(ctx, c.Env.Mesh, req.MemoryID, time.Now())
	switch {
	case errors.Is(err, store.ErrNotFound): // somebody else was first
	case err != nil:
		return wire.Ack{}, core.Unavailable(err)
	default:
		c.Env.Records = append(c.Env.Records, ofMemory("memory_forgotten", req.MemoryID))
	}
	return done, nil
}

// refusedForget keeps the shape of the answer, with the id that it would have.
func refusedForget(c *Call, why sdk.Reason, text string) wire.Frame {
	ack := wire.Ack{ID: jsonText(""), Error: worded(why, text)}
	if req, ok := c.Request.(*wire.Forget); ok && req != nil {
		ack.ID = jsonText(req.MemoryID)
	}
	return ack
}

// jsonText returns a text as JSON.
func jsonText(text string) []byte {
	b, _ := json.Marshal(text) // texts are always JSON
	return b
}

// inform tells mesh_info how many memories there are.
func (m *memories) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	n, err := m.store.CountMemories(ctx, c.Env.Mesh)
	if err != nil {
		return core.Unavailable(err)
	}
	info.MemoryCount = n
	return nil
}
