package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const mcpColumns = `mesh_id, name, member_id, host, presence_id, session_key, description, tools, persistent, registered_at,
	offline_since`

const (
	mcpByName  = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = ? AND name = ?`
	listMcp    = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = ? AND name > ? ORDER BY name LIMIT ?`
	mcpBySess  = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = ? AND presence_id = ? ORDER BY name`
	mcpOfKey   = `SELECT ` + mcpColumns + ` FROM mcp_server WHERE mesh_id = ? AND member_id = ? AND session_key = ? ORDER BY name`
	countMcp   = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM mcp_server WHERE mesh_id = ?1`
	insertMcp  = `INSERT INTO mcp_server (` + mcpColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	replaceMcp = `UPDATE mcp_server SET member_id = ?3, host = ?4, presence_id = ?5, session_key = ?6, description = ?7,
		tools = ?8, persistent = ?9, registered_at = ?10, offline_since = ?11
		WHERE mesh_id = ?1 AND name = ?2 AND member_id = ?12 AND presence_id = ?13`
	deleteMcp = `DELETE FROM mcp_server WHERE mesh_id = ? AND name = ? AND member_id = ?`

	dropMcp    = `DELETE FROM mcp_server WHERE mesh_id = ? AND presence_id = ? AND NOT persistent`
	offlineMcp = `UPDATE mcp_server SET offline_since = ? WHERE mesh_id = ? AND presence_id = ?`
	returnMcp  = `UPDATE mcp_server SET presence_id = ?4, offline_since = NULL WHERE mesh_id = ?1 AND member_id = ?2 AND session_key = ?3`
	pruneMcp   = `DELETE FROM mcp_server WHERE NOT persistent AND registered_at < ? AND NOT EXISTS
		(SELECT 1 FROM presence p WHERE p.id = presence_id AND p.disconnected_at IS NULL)
		OR EXISTS (SELECT 1 FROM member m WHERE m.id = member_id AND m.revoked_at IS NOT NULL)`
)

// McpServer implements [store.McpServers].
func (s *Store) McpServer(ctx context.Context, mesh, name string) (m *store.McpServer, err error) {
	defer wrap(&err, "read tool server")
	return scanMcp(s.read.QueryRowContext(ctx, mcpByName, mesh, name))
}

// ListMcpServers implements [store.McpServers].
func (s *Store) ListMcpServers(ctx context.Context, mesh, after string, limit int) (list []*store.McpServer, err error) {
	defer wrap(&err, "list tool servers")
	rows, err := s.read.QueryContext(ctx, listMcp, mesh, after, max(limit, 0))
	return collect(rows, err, scanMcp)
}

// SetMcpServer implements [store.McpServers].
func (s *Store) SetMcpServer(ctx context.Context, m, over *store.McpServer, room store.Room) (err error) {
	defer wrap(&err, "set tool server")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if over != nil {
			return onlyOne(tx.ExecContext(ctx, replaceMcp, append(mcpArgs(m), over.MemberID, over.PresenceID)...))
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countMcp, m.MeshID, m.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := onlyOne(tx.ExecContext(ctx, insertMcp, mcpArgs(m)...)); err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// DeleteMcpServer implements [store.McpServers].
func (s *Store) DeleteMcpServer(ctx context.Context, mesh, name, memberID string) (err error) {
	defer wrap(&err, "delete tool server")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return onlyOne(tx.ExecContext(ctx, deleteMcp, mesh, name, memberID))
	})
}

// EndMcpServers implements [store.McpServers].
func (s *Store) EndMcpServers(ctx context.Context, mesh, presenceID string, at time.Time) (list []*store.McpServer, err error) {
	defer wrap(&err, "end tool servers")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, mcpBySess, mesh, presenceID)
		if list, err = collect(rows, err, scanMcp); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, dropMcp, mesh, presenceID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, offlineMcp, at.UnixMilli(), mesh, presenceID)
		return err
	})
	return list, err
}

// ReturnMcpServers implements [store.McpServers].
func (s *Store) ReturnMcpServers(ctx context.Context, mesh, memberID string, key sdk.Key, presenceID string) (list []*store.McpServer, err error) {
	defer wrap(&err, "return tool servers")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, returnMcp, mesh, memberID, keyArg(key), presenceID); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, mcpOfKey, mesh, memberID, keyArg(key))
		list, err = collect(rows, err, scanMcp)
		return err
	})
	return list, err
}

// PruneMcpServers implements [store.McpServers].
func (s *Store) PruneMcpServers(ctx context.Context, t time.Time) (n int64, err error) {
	defer wrap(&err, "prune tool servers")
	return s.exec(ctx, pruneMcp, t.UnixMilli())
}

func mcpArgs(m *store.McpServer) []any {
	return []any{
		m.MeshID, m.Name, m.MemberID, m.Host, m.PresenceID, keyArg(m.SessionKey), m.Description, string(m.Tools), m.Persistent,
		m.RegisteredAt.UnixMilli(), timeArg(m.OfflineSince),
	}
}

func scanMcp(row scanner) (*store.McpServer, error) {
	m, tools := new(store.McpServer), ""
	err := row.Scan(&m.MeshID, &m.Name, &m.MemberID, &m.Host, &m.PresenceID, (*key)(&m.SessionKey), &m.Description, &tools,
		&m.Persistent, (*millis)(&m.RegisteredAt), (*millis)(&m.OfflineSince))
	if err != nil {
		return nil, err
	}
	m.Tools = []byte(tools)
	return m, nil
}
