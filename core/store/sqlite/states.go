package sqlite

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const (
	presenceColumns = `id, mesh_id, member_id, session_key, session_id, display_name, role, pid, cwd, connected_at,
		disconnected_at`
	stateColumns = `mesh_id, member_id, session_key, groups, profile, visible, summary, status, status_source,
		status_updated_at, stats, last_seen_at, kept`
)

const (
	// The member's own row, whose session_key is '', sorts behind the session's.
	readState = `SELECT ` + stateColumns + ` FROM peer_state
		WHERE mesh_id = ? AND member_id = ? AND session_key IN (?, '') ORDER BY session_key DESC LIMIT 1`
	closePresences = `UPDATE presence SET disconnected_at = ? WHERE disconnected_at IS NULL`
	prunePresences = `DELETE FROM presence WHERE disconnected_at < ?`
)

// State implements [store.States].
func (s *Store) State(ctx context.Context, mesh, memberID string, session sdk.Key) (st *store.State, err error) {
	defer wrap(&err, "read state")
	return scanState(s.prepare.state.QueryRowContext(ctx, mesh, memberID, stateKey(session)))
}

// CloseOpenPresences implements [store.States].
func (s *Store) CloseOpenPresences(ctx context.Context, at time.Time) (n int64, err error) {
	defer wrap(&err, "close presences")
	return s.exec(ctx, closePresences, at.UnixMilli())
}

// PrunePresences implements [store.States].
func (s *Store) PrunePresences(ctx context.Context, t time.Time) (n int64, err error) {
	defer wrap(&err, "prune presences")
	return s.exec(ctx, prunePresences, t.UnixMilli())
}

func presenceArgs(args []any, p *store.Presence) []any {
	return append(args, p.ID, p.MeshID, p.MemberID, keyArg(p.SessionKey), p.SessionID, p.DisplayName, p.Role, p.Pid,
		p.Cwd, p.ConnectedAt.UnixMilli(), timeArg(p.DisconnectedAt))
}

func stateArgs(args []any, st *store.State) []any {
	return append(args, st.MeshID, st.MemberID, stateKey(st.SessionKey), inJSON{&st.Groups}, inJSON{&st.Profile},
		st.Visible, st.Summary, st.Status, st.StatusSource, timeArg(st.StatusUpdatedAt), inJSON{&st.Stats},
		timeArg(st.LastSeenAt), inJSON{&st.Kept})
}

// stateKey is ” where there is no session key: unlike NULL it can be part of
// a primary key.
func stateKey(session sdk.Key) string {
	if session.IsZero() {
		return ""
	}
	return session.String()
}

func scanState(row scanner) (*store.State, error) {
	st := new(store.State)
	err := row.Scan(&st.MeshID, &st.MemberID, (*key)(&st.SessionKey), inJSON{&st.Groups}, inJSON{&st.Profile},
		&st.Visible, &st.Summary, &st.Status, &st.StatusSource, (*millis)(&st.StatusUpdatedAt), inJSON{&st.Stats},
		(*millis)(&st.LastSeenAt), inJSON{&st.Kept})
	if err != nil {
		return nil, err
	}
	return st, nil
}
