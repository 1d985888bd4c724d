package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const mcpColumns = `mesh_id, name, member_id, host, presence_id, session_key, description, tools, persistent, registered_at,
	offline_since`

const (
	mcpByName = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = $1 AND name = $2`
	listMcp   = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = $1 AND name > $2 ORDER BY name LIMIT $3`
	mcpBySess = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = $1 AND presence_id = $2 ORDER BY name FOR UPDATE`
	mcpOfKey  = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = $1 AND member_id = $2 AND session_key = $3 ORDER BY name`

	// Who adds a server waits for its turn, so that no two are the last that fits.
	mcpTurn    = `SELECT pg_advisory_xact_lock($1)`
	countMcp   = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM mcp_server WHERE mesh_id = $1`
	insertMcp  = `INSERT INTO mcp_server (` + mcpColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`
	replaceMcp = `UPDATE mcp_server SET member_id = $3, host = $4, presence_id = $5, session_key = $6, description = $7,
		tools = $8, persistent = $9, registered_at = $10, offline_since = $11
		WHERE mesh_id = $1 AND name = $2 AND member_id = $12 AND presence_id = $13`
	deleteMcp = `DELETE FROM mcp_server WHERE mesh_id = $1 AND name = $2 AND member_id = $3`

	dropMcp    = `DELETE FROM mcp_server WHERE mesh_id = $1 AND presence_id = $2 AND NOT persistent`
	offlineMcp = `UPDATE mcp_server SET offline_since = $1 WHERE mesh_id = $2 AND presence_id = $3`
	returnMcp  = `UPDATE mcp_server SET presence_id = $4, offline_since = NULL
		WHERE mesh_id = $1 AND member_id = $2 AND session_key = $3`
	pruneMcp = `DELETE FROM mcp_server m WHERE NOT persistent AND registered_at < $1 AND NOT EXISTS
		(SELECT 1 FROM presence p WHERE p.id = m.presence_id AND p.disconnected_at IS NULL)
		OR EXISTS (SELECT 1 FROM member b WHERE b.id = m.member_id AND b.revoked_at IS NOT NULL)`
)

// McpServer implements [store.McpServers].
func (s *Store) McpServer(ctx context.Context, mesh, name string) (m *store.McpServer, err error) {
	defer wrap(&err, "read tool server")
	return one(ctx, s, scanMcp, mcpByName, mesh, name)
}

// ListMcpServers implements [store.McpServers].
func (s *Store) ListMcpServers(ctx context.Context, mesh, after string, limit int) (list []*store.McpServer, err error) {
	defer wrap(&err, "list tool servers")
	return all(ctx, s, scanMcp, listMcp, mesh, after, max(limit, 0))
}

// SetMcpServer implements [store.McpServers].
func (s *Store) SetMcpServer(ctx context.Context, m, over *store.McpServer, room store.Room) (err error) {
	defer wrap(&err, "set tool server")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if over != nil {
			return onlyOne(tx.Exec(ctx, replaceMcp, append(mcpArgs(m), over.MemberID, over.PresenceID)...))
		}
		if _, err := tx.Exec(ctx, mcpTurn, lockKey("tool servers of "+m.MeshID)); err != nil {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countMcp, m.MeshID, m.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := onlyOne(tx.Exec(ctx, insertMcp, mcpArgs(m)...)); err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// DeleteMcpServer implements [store.McpServers].
func (s *Store) DeleteMcpServer(ctx context.Context, mesh, name, memberID string) (err error) {
	defer wrap(&err, "delete tool server")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return onlyOne(tx.Exec(ctx, deleteMcp, mesh, name, memberID))
	})
}

// EndMcpServers implements [store.McpServers].
func (s *Store) EndMcpServers(ctx context.Context, mesh, presenceID string, at time.Time) (list []*store.McpServer, err error) {
	defer wrap(&err, "end tool servers")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, mcpBySess, mesh, presenceID)
		if list, err = collect(rows, err, scanMcp); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, dropMcp, mesh, presenceID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, offlineMcp, whole(at), mesh, presenceID)
		return err
	})
	return list, err
}

// ReturnMcpServers implements [store.McpServers].
func (s *Store) ReturnMcpServers(ctx context.Context, mesh, memberID string, key sdk.Key, presenceID string) (list []*store.McpServer, err error) {
	defer wrap(&err, "return tool servers")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, returnMcp, mesh, memberID, keyArg(key), presenceID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, mcpOfKey, mesh, memberID, keyArg(key))
		list, err = collect(rows, err, scanMcp)
		return err
	})
	return list, err
}

// PruneMcpServers implements [store.McpServers].
func (s *Store) PruneMcpServers(ctx context.Context, t time.Time) (n int64, err error) {
	defer wrap(&err, "prune tool servers")
	return s.exec(ctx, pruneMcp, whole(t))
}

func mcpArgs(m *store.McpServer) []any {
	return []any{
		m.MeshID, m.Name, m.MemberID, m.Host, m.PresenceID, keyArg(m.SessionKey), m.Description, string(m.Tools), m.Persistent,
		whole(m.RegisteredAt), timeArg(m.OfflineSince),
	}
}

func scanMcp(row scanner) (*store.McpServer, error) {
	m := new(store.McpServer)
	err := row.Scan(&m.MeshID, &m.Name, &m.MemberID, &m.Host, &m.PresenceID, (*key)(&m.SessionKey), &m.Description,
		(*opaqueText)(&m.Tools), &m.Persistent, (*stamp)(&m.RegisteredAt), (*stamp)(&m.OfflineSince))
	if err != nil {
		return nil, err
	}
	return m, nil
}
