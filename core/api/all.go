package api

import (
	"context"
	"log/slog"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/sse"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// Deps are what the handlers work with.
type Deps struct {
	Store     Store
	Issuer    *issue.Issuer
	Tokens    *token.Keys // nil without an encryption key: nobody can sign in
	Directory *presence.Directory
	Members   HookMembers // remembers what it has read
	Nodes     Nodes
	Config    config.HTTP
	URL       func() string // WebSocket URL that others reach this broker by
	Links     func() string // base of links that people open, without a slash at the end
	Poster    feature.Poster
	Inbox     Inbox
	Encode    delivery.Encode // writes a message as the frame of its push
	Streams   *sse.Streams
	Topics    *feature.TopicBook
	StillGood func(ctx context.Context, c *feature.Call) error // whether what proved a caller still does
	Log       *slog.Logger
	Roster    feature.Roster
	Keys      *identity.AtRest // nil without an encryption key
	Files     *feature.FileBook
	Bytes     *files.Files // nil where Files has none
	Webhooks  *telemetry.Tally

	// Record adds an entry to the audit log of any mesh, and returns when it is on
	// disk. Events that the config leaves out are none.
	Record func(ctx context.Context, e *audit.Entry) error
}

// Store is what the handlers read and write.
type Store interface {
	store.Meshes
	store.Members
	store.Invites
	store.Accounts
	store.Tokens
	store.SignIns
	store.Webhooks
}

// Nodes carries what a handler changed to every node of the broker, this one
// too.
type Nodes interface {
	// Forget drops what is remembered of a member whose row has changed.
	Forget(memberID string)

	// ForgetMesh drops what is remembered of a mesh whose row has changed, and
	// ends its sessions if it was archived.
	ForgetMesh(meshID string)

	// SetStatus writes what a hook says of a session, wherever that is connected.
	SetStatus(s *presence.Session, status presence.Status, source presence.Source)

	// Tell pushes a frame to every session of a member.
	Tell(mesh, memberID string, frame []byte)

	// Rename gives the sessions of a member that go by its old display name its
	// new one.
	Rename(mesh, memberID, from, to string)
}

// All adds every route, in the order of the documentation.
func All(r *feature.Registry, d Deps) *Table {
	t := NewTable(r)
	Joins(t, d.Store)
	Claims(t, d)
	Sync(t, d)
	ShortCodes(t, d)
	Meshes(t, d)
	MeshCreation(t, d)
	MeshDeletion(t, d)
	MeshInvites(t, d)
	InviteLists(t, d)
	Hook(t, d)
	Webhooks(t, WebhookDoor{Store: d.Store, Members: d.Roster, Keys: d.Keys, Poster: d.Poster, Taken: d.Webhooks})
	SignIns(t, d)
	Tokens(t, d)
	Profile(t, d)
	Members(t, d)
	Grants(t, d)
	Permissions(t, d)
	Settings(t, d)
	Uploads(t, d)
	Downloads(t, d)
	Gateway(t, d)
	return t
}

// place returns the mesh that a request names and the caller's member in it.
func place(c *feature.Call) (*store.Mesh, *store.Member, error) { return placeOf(c, c.Member) }

// managed is place for what an owner without a member may do too.
func managed(c *feature.Call) (*store.Mesh, *store.Member, error) { return placeOf(c, manager(c)) }

func placeOf(c *feature.Call, by *store.Member) (*store.Mesh, *store.Member, error) {
	switch {
	case c.HTTP.Mesh == nil:
		return nil, nil, core.Refuse(sdk.ReasonUnknownMesh, "Mesh not found")
	case by == nil:
		return nil, nil, core.Refuse(sdk.ReasonForbidden, "Not a member of this mesh")
	}
	return c.HTTP.Mesh, by, nil
}
