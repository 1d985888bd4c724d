package feature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// contextKeys begins the keys of state_change that tell of contexts.
const contextKeys = "_context:"

// valueDepth is how deep a value may nest, so that a list of values does not nest
// deeper than frames may.
const valueDepth = wire.MaxDepth - 4

// stateTries is how often a change is tried that others got in the way of.
const stateTries = 16

// checkState returns the value without spaces, nil when the key is to be deleted.
func checkState(m *wire.SetState) ([]byte, error) {
	switch {
	case m.Key == "":
		return nil, core.Refuse(sdk.ReasonInvalid, "key: want at least one byte")
	case strings.HasPrefix(m.Key, contextKeys):
		return nil, core.Refuse(sdk.ReasonInvalid, "key: those that begin with "+contextKeys+" are the broker's, for share_context")
	case m.Value == nil:
		return nil, core.Refuse(sdk.ReasonInvalid, "value: is required: any JSON, or null to delete the key")
	case m.Value.Kind() == jsontext.KindNull:
		return nil, nil
	case wire.Depth(m.Value) > valueDepth:
		return nil, core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("value: want at most %d levels of objects and lists", valueDepth))
	}
	if err := m.Value.Compact(); err != nil {
		return nil, core.Refuse(sdk.ReasonInvalid, "value: want JSON")
	}
	return m.Value, nil
}

// stateWrite is one change.
type stateWrite struct {
	*states
	by      asker
	session sdk.Key     // of who asks
	value   store.Value // JSON is nil to delete it
	changed bool
}

// write implements [Write]. Who may write depends on who wrote before, so the
// change is only made over what was looked at.
func (w *stateWrite) write(ctx context.Context, sig *store.Signal) (changed bool, err error) {
	for range stateTries {
		old, err := w.store.Value(ctx, w.value.MeshID, w.value.Key)
		if errors.Is(err, store.ErrNotFound) {
			old, err = nil, nil
		}
		if err != nil {
			return false, err
		}
		if err := w.mayReplace(ctx, old); err != nil {
			return false, err
		}
		w.changed, err = w.replace(ctx, old, sig)
		if !errors.Is(err, store.ErrConflict) {
			return w.changed, err
		}
	}
	return false, core.Refuse(sdk.ReasonUnavailable, "many set this key at once: try again in a moment")
}

// replace writes over a value, nil for none.
func (w *stateWrite) replace(ctx context.Context, old *store.Value, sig *store.Signal) (changed bool, err error) {
	v := &w.value
	switch {
	case v.JSON == nil && old == nil:
		return false, nil
	case v.JSON == nil:
		err = w.store.DeleteValue(ctx, v.MeshID, v.Key, old.MemberID, sig)
	case old == nil:
		err = w.store.SetValue(ctx, v, nil, store.Room{Mesh: valuesPerMesh, Member: valuesPerMember}, sig)
	default:
		err = w.store.SetValue(ctx, v, &old.MemberID, store.Room{}, sig)
	}
	return err == nil, err
}

// mayReplace reports why a value may not be written over. A member that has said
// what it allows the sender, and not state-write, keeps its values; the owner of
// the mesh and its admins keep order.
func (w *stateWrite) mayReplace(ctx context.Context, old *store.Value) error {
	if old == nil || old.MemberID == "" || old.MemberID == w.by.ID || w.by.admin() {
		return nil
	}
	writer, err := w.roster.MemberByID(ctx, old.MemberID)
	if err != nil {
		return err
	}
	said, ok := writer.Grants.Entry(w.by.Key, w.session)
	if ok && writer.Live() && !slices.Contains(said, store.CapStateWrite) {
		return core.Refuse(sdk.ReasonForbidden,
			"the member that set this key does not grant you state-write: ask it, or use another key")
	}
	return nil
}

// record says what was done. The log keeps no value: anybody who may read the
// log could read what was deleted long ago.
func (w *stateWrite) record() sdk.Record {
	key := audit.String("key", w.value.Key)
	if w.value.JSON == nil {
		return sdk.Record{Event: "state_deleted", Payload: audit.Object(key)}
	}
	sum := sha256.Sum256(w.value.JSON)
	return sdk.Record{Event: "state_set", Payload: audit.Object(key, audit.String("valueSha256", hex.EncodeToString(sum[:])))}
}
