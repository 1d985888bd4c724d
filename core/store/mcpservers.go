package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// McpServer is a server of tools that a session offers to its mesh.
type McpServer struct {
	MeshID       string
	Name         string
	MemberID     string  // whose it is
	Host         string  // name of the session that offers it
	PresenceID   string  // that session
	SessionKey   sdk.Key // its key, zero when it has none
	Description  string
	Tools        []byte // JSON; comes back byte by byte
	Persistent   bool   // it outlives its session
	RegisteredAt time.Time
	OfflineSince time.Time // when the session ended; zero until then
}

// McpServers keeps what sessions offer.
type McpServers interface {
	// McpServer returns one server of a mesh. ErrNotFound.
	McpServer(ctx context.Context, mesh, name string) (*McpServer, error)

	// ListMcpServers returns at most limit servers of a mesh, by name, those with
	// a greater name than after.
	ListMcpServers(ctx context.Context, mesh, after string, limit int) ([]*McpServer, error)

	// SetMcpServer writes a server in place of over, or, where over is nil, as a
	// new one. ErrConflict, and nothing is written, when another session's, or
	// another one than over, is there by now; a [*FullError] when there is no room
	// for a new one.
	SetMcpServer(ctx context.Context, m, over *McpServer, room Room) error

	// DeleteMcpServer deletes a server of a member. ErrConflict when no such
	// server is there.
	DeleteMcpServer(ctx context.Context, mesh, name, memberID string) error

	// EndMcpServers deletes the servers of a session that is over, but for those
	// that are persistent, which are offline since at. It returns all of them as
	// they were, by name.
	EndMcpServers(ctx context.Context, mesh, presenceID string, at time.Time) ([]*McpServer, error)

	// ReturnMcpServers gives the servers of a member's session key to the session
	// that has the key now, and returns them by name.
	ReturnMcpServers(ctx context.Context, mesh, memberID string, key sdk.Key, presenceID string) ([]*McpServer, error)

	// PruneMcpServers deletes servers that are not persistent, were registered
	// before t, and whose session is not open, and all servers of members that were
	// revoked. It returns how many there were.
	PruneMcpServers(ctx context.Context, t time.Time) (int64, error)
}
