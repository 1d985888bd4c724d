package postgres

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const stateColumns = `mesh_id, member_id, session_key, groups, profile, visible, summary, status, status_source,
	status_updated_at, stats, last_seen_at, kept`

const (
	// The member's own row, whose session_key is empty, sorts behind the session's.
	readState = `SELECT ` + stateColumns + ` FROM peer_state
		WHERE mesh_id = $1 AND member_id = $2 AND session_key IN ($3, '') ORDER BY session_key DESC LIMIT 1`

	// A node that is believed to be gone and comes back finds a version above
	// its own, and does not open the presence again by writing what it knew.
	closePresences = `UPDATE presence p SET disconnected_at = $1, version = version + 1
		WHERE disconnected_at IS NULL AND NOT EXISTS
			(SELECT 1 FROM node n WHERE n.id = p.node AND n.expires_at > clock_timestamp())`

	prunePresences = `DELETE FROM presence WHERE disconnected_at < $1`
)

// State implements [store.States].
func (s *Store) State(ctx context.Context, mesh, memberID string, session sdk.Key) (st *store.State, err error) {
	defer wrap(&err, "read state")
	return one(ctx, s, scanState, readState, mesh, memberID, stateKey(session))
}

// CloseOpenPresences implements [store.States].
func (s *Store) CloseOpenPresences(ctx context.Context, at time.Time) (n int64, err error) {
	defer wrap(&err, "close presences")
	return s.exec(ctx, closePresences, whole(at))
}

// PrunePresences implements [store.States].
func (s *Store) PrunePresences(ctx context.Context, t time.Time) (n int64, err error) {
	defer wrap(&err, "prune presences")
	return s.exec(ctx, prunePresences, whole(t))
}

// stateKey has no bytes where there is no session key: unlike NULL that can be
// part of a primary key.
func stateKey(session sdk.Key) []byte {
	if session.IsZero() {
		return []byte{}
	}
	return session[:]
}

func scanState(row scanner) (*store.State, error) {
	st := new(store.State)
	err := row.Scan(&st.MeshID, &st.MemberID, (*key)(&st.SessionKey), inJSON{&st.Groups}, inJSON{&st.Profile},
		&st.Visible, &st.Summary, &st.Status, &st.StatusSource, (*stamp)(&st.StatusUpdatedAt), inJSON{&st.Stats},
		(*stamp)(&st.LastSeenAt), inJSON{&st.Kept})
	if err != nil {
		return nil, err
	}
	return st, nil
}
