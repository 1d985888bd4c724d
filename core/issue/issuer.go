package issue

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Store is what an Issuer reads and writes. The methods are those of
// [store.Meshes] and [store.Invites].
type Store interface {
	CreateMesh(ctx context.Context, m *store.Mesh, members []*store.Member) error
	FindMesh(ctx context.Context, idOrSlug string) (*store.Mesh, error)
	ListMeshes(ctx context.Context) ([]store.MeshSummary, error)
	CreateInvite(ctx context.Context, inv *store.Invite) error
}

// Issuer makes meshes and invites. All methods may be called concurrently. See
// [New].
type Issuer struct {
	store Store
	keys  *identity.AtRest
	url   func() string
	now   func() time.Time
}

// New returns what makes meshes and invites in st. keys seals and opens what the
// store must not show; without it (nil) whatever needs a secret is refused. url
// returns the WebSocket URL that invites carry, which is the broker's own word
// and never a request's; it is asked for each invite, and for nothing else.
func New(st Store, keys *identity.AtRest, url func() string) *Issuer {
	return &Issuer{store: st, keys: keys, url: url, now: time.Now}
}

// moment is the time to the millisecond, which is what stores keep.
func (i *Issuer) moment() time.Time { return i.now().UTC().Truncate(time.Millisecond) }

func invalid(text string) error { return core.Refuse(sdk.ReasonInvalidArguments, text) }
