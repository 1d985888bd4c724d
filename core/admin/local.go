package admin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// Store is what Local reads and writes.
type Store interface {
	store.Meshes
	store.Members
	store.Accounts
	store.Tokens
	store.SignIns
	CreateInvite(ctx context.Context, inv *store.Invite) error
	VerifyAudit(ctx context.Context, mesh string) (audit.Result, error)
}

// Hooks are what Local needs from whoever runs it. Any but URL may be nil: a
// nil function that tells of something is left out, and one that is asked for
// something makes its operation fail with a [core.Error].
type Hooks struct {
	// URL returns the WebSocket URL that invites carry.
	URL func() string

	// AppURL returns the URL of the web pages that short links lead to; ""
	// where there are none, as without the hook.
	AppURL func() string

	// TokenTTL is how long the tokens are good for which nothing else is said; 0
	// is 30 days.
	TokenTTL time.Duration

	// Revoked is told of every revocation, when it is in the store.
	Revoked func(memberID string)

	// MemberChanged is told of every member whose row has changed and who was not
	// revoked, when it has.
	MemberChanged func(memberID string)

	// MeshChanged is told of every mesh whose row has changed, when it has.
	MeshChanged func(meshID string)

	// Record appends to the audit log.
	Record func(ctx context.Context, e *audit.Entry) error

	Migrations func(ctx context.Context) ([]Migration, error)
	Migrate    func(ctx context.Context) ([]Migration, error)

	// Chain returns the chain, and whether it runs.
	Chain func() (d chain.Description, running bool, err error)

	// Loaded says what the chain that runs was made of.
	Loaded func() Loaded
	Reload func(ctx context.Context, o ReloadOptions) (*Reload, error)

	// Plugins returns what runs the links with plugins, and ResumePlugin starts
	// one again that was given up.
	Plugins      func() []pluginhost.Status
	ResumePlugin func(link string) error

	// Refusals is what was refused lately, and Level what the log has: those of a
	// broker that runs.
	Refusals *refusals.Ring
	Level    *logging.Level
}

// Local works on a store. See [New].
type Local struct {
	store  Store
	issuer *issue.Issuer
	tokens *token.Keys // nil without a key
	hooks  Hooks
	now    func() time.Time
}

var _ Ops = (*Local)(nil)

// New returns the operations on st. keys seals and opens what the store must
// not show; without it (nil) nothing can be signed, and making meshes, invites
// and tokens fails.
func New(st Store, keys *identity.AtRest, h Hooks) *Local {
	l := &Local{store: st, issuer: issue.New(st, keys, h.URL), hooks: h, now: time.Now}
	if keys != nil {
		l.tokens = token.NewKeys(keys.Key())
	}
	if l.hooks.TokenTTL == 0 {
		l.hooks.TokenTTL = defaultTokenTTL
	}
	return l
}

// CheckKey is [issue.Issuer.CheckKey].
func (l *Local) CheckKey(ctx context.Context) ([]issue.Unopened, error) {
	return l.issuer.CheckKey(ctx)
}

// VerifyAudit implements [Ops].
func (l *Local) VerifyAudit(ctx context.Context, mesh string) (*Verification, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, err
	}
	r, err := l.store.VerifyAudit(ctx, m.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return &Verification{
		MeshID: m.ID, Slug: m.Slug, Valid: r.Valid, Entries: r.Entries, BrokenAt: r.BrokenAt, Why: r.Why,
	}, nil
}

// Migrations implements [Ops].
func (l *Local) Migrations(ctx context.Context) ([]Migration, error) {
	if l.hooks.Migrations == nil {
		return nil, unsupported("this store does not list its migrations")
	}
	return l.hooks.Migrations(ctx)
}

// Migrate implements [Ops].
func (l *Local) Migrate(ctx context.Context) ([]Migration, error) {
	if l.hooks.Migrate == nil {
		return nil, unsupported("migrations are applied while no broker runs on this store: stop it, then say migrate up again")
	}
	return l.hooks.Migrate(ctx)
}

// Chain implements [Ops].
func (l *Local) Chain(context.Context) (*Chain, error) {
	if l.hooks.Chain == nil {
		return nil, unsupported("nothing here has a chain")
	}
	d, running, err := l.hooks.Chain()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := d.WriteText(&text); err != nil {
		return nil, err
	}
	c := &Chain{Running: running, Description: d, Text: text.String()}
	if running && l.hooks.Loaded != nil {
		loaded := l.hooks.Loaded()
		c.Loaded = &loaded
	}
	return c, nil
}

// Reload implements [Ops].
func (l *Local) Reload(ctx context.Context, o ReloadOptions) (*Reload, error) {
	if l.hooks.Reload == nil {
		return nil, core.Refuse("not_running", "no broker runs on this store (--config and --data-dir say which one): "+
			"a config is read when it starts, and broker config check tries it out")
	}
	return l.hooks.Reload(ctx, o)
}

// mesh finds a live mesh.
func (l *Local) mesh(ctx context.Context, idOrSlug string) (*store.Mesh, error) {
	m, err := l.store.FindMesh(ctx, idOrSlug)
	if errors.Is(err, store.ErrNotFound) {
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "no mesh is called "+quote(idOrSlug)+": broker mesh list shows them all")
	}
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return m, nil
}

func unsupported(text string) error { return core.Refuse("unsupported", text) }

func invalid(text string) error { return core.Refuse(sdk.ReasonInvalidArguments, text) }
