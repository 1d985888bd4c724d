package feature

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of shared state. With all of them a mesh has some 32 MB, and a member
// half of that, so that nobody takes the last place from all others.
const (
	valuesPerMesh   = 1000
	valuesPerMember = 500
)

// Limits of one list of values.
const (
	listedValues = valuesPerMesh // most; who does not know of pages gets all there can be
	listedBytes  = 512 << 10     // of JSON, beyond which the answer ends
	listedAtOnce = 32            // read in one query
)

// StateStore keeps shared state.
type StateStore interface {
	Value(ctx context.Context, mesh, key string) (*store.Value, error)
	ListValues(ctx context.Context, mesh, after string, limit int) ([]*store.Value, error)
	ValueKeys(ctx context.Context, mesh string) ([]*store.Value, error)
	SetValue(ctx context.Context, v *store.Value, over *string, room store.Room, sig *store.Signal) error
	DeleteValue(ctx context.Context, mesh, key, over string, sig *store.Signal) error
}

// State lets the members of a mesh share values.
func State(r *Registry, st StateStore, who Roster, a Announcer) {
	s := &states{store: st, roster: who, announcer: a}
	On(r, s.set).Needs(store.CanWriteState).RefuseWith(refusedPresence)
	On(r, s.get).RefuseWith(refusedState)
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.StateList{Entries: []wire.StateRow{}, Error: worded(why, text)}
	})
	r.Inform(s.inform)
}

type states struct {
	store     StateStore
	roster    Roster
	announcer Announcer
}

// set writes or deletes a value.
func (s *states) set(ctx context.Context, c *Call, m *wire.SetState) (Silent, error) {
	value, err := checkState(m)
	if err != nil {
		return Silent{}, err
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return Silent{}, err
	}
	w := &stateWrite{states: s, by: by, session: c.Env.Sender.Session, value: store.Value{
		MeshID: c.Env.Mesh, Key: m.Key, MemberID: by.ID, Author: by.DisplayName, At: time.Now(), JSON: value,
	}}
	frame, err := wire.Append(nil, wire.StateChange{Key: m.Key, Value: value, UpdatedBy: by.DisplayName, UpdatedAt: w.value.At})
	if err != nil {
		return Silent{}, err
	}
	n := Notice{Mesh: c.Env.Mesh, From: From(c), Needs: store.CapStateRead, Frame: string(frame)}
	if err := s.announcer.Announce(ctx, n, w.write); err != nil {
		if refused, ok := errors.AsType[*core.Error](err); ok {
			return Silent{}, refused
		}
		return Silent{}, noRoom(err, "values of the state", "delete some with null")
	}
	if w.changed {
		c.Env.Records = append(c.Env.Records, w.record())
	}
	return Silent{}, nil
}

// refusedState refuses a get_state in its own shape, so that clients that take
// answers by their type do not end another request.
func refusedState(c *Call, why sdk.Reason, text string) wire.Frame {
	refused := wire.StateResult{Error: worded(why, text)}
	if m, ok := c.Request.(*wire.GetState); ok && m != nil {
		refused.Key = m.Key
	}
	return refused
}

// get returns one value.
func (s *states) get(ctx context.Context, c *Call, m *wire.GetState) (wire.StateResult, error) {
	none := wire.StateResult{Key: m.Key}
	v, err := s.store.Value(ctx, c.Env.Mesh, m.Key)
	if errors.Is(err, store.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, core.Unavailable(err)
	}
	shown, err := sightOf(c, s.roster)(ctx, v.MemberID)
	if err != nil || !shown {
		return none, err
	}
	row := stateRow(v)
	return wire.StateResult{Key: row.Key, Value: row.Value, UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt}, nil
}

// list returns a page of values.
func (s *states) list(ctx context.Context, c *Call, m *wire.ListState) (wire.StateList, error) {
	most := listedValues
	if m.Limit != nil {
		most = int(min(max(*m.Limit, 1), listedValues))
	}
	list, size, after := wire.StateList{Entries: []wire.StateRow{}}, 0, m.Cursor
	sees := sightOf(c, s.roster)
	for {
		page, err := s.store.ListValues(ctx, c.Env.Mesh, after, listedAtOnce)
		if err != nil {
			return wire.StateList{}, core.Unavailable(err)
		}
		for _, v := range page {
			shown, err := sees(ctx, v.MemberID)
			switch {
			case err != nil:
				return wire.StateList{}, err
			case !shown:
			case len(list.Entries) == most, len(list.Entries) > 0 && size+len(v.JSON) > listedBytes:
				list.Next = after
				return list, nil
			default:
				list.Entries, size = append(list.Entries, stateRow(v)), size+len(v.JSON)
			}
			after = v.Key
		}
		if len(page) < listedAtOnce {
			return list, nil
		}
	}
}

// inform tells mesh_info which keys there are.
func (s *states) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	list, err := s.store.ValueKeys(ctx, c.Env.Mesh)
	if err != nil {
		return core.Unavailable(err)
	}
	sees := sightOf(c, s.roster)
	for _, v := range list {
		shown, err := sees(ctx, v.MemberID)
		if err != nil {
			return err
		}
		if shown {
			info.StateKeys = append(info.StateKeys, v.Key)
		}
	}
	return nil
}

func stateRow(v *store.Value) wire.StateRow {
	return wire.StateRow{Key: v.Key, Value: v.JSON, UpdatedBy: v.Author, UpdatedAt: string(wire.AppendTime(nil, v.At))}
}
