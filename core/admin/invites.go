package admin

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// Bounds of invites.
const (
	maxInviteUses = 1_000_000
	minInviteTTL  = time.Second
	maxInviteTTL  = 10 * 365 * 24 * time.Hour
)

// inviteTries is how many expiry times are tried for a token that is not taken.
const inviteTries = 24

// CreateInvite implements [Ops].
func (l *Local) CreateInvite(ctx context.Context, mesh string, o InviteOptions) (*Invite, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, err
	}
	return l.invite(ctx, m, o)
}

// invite makes an invite to a mesh.
func (l *Local) invite(ctx context.Context, m *store.Mesh, o InviteOptions) (*Invite, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	now := l.now()
	row := &store.Invite{
		ID: identity.NewID(), MeshID: m.ID, MaxUses: o.Uses, Role: store.Role(o.Role), CreatedAt: now,
		ExpiresAt: now.Add(o.TTL).UTC().Truncate(time.Second),
	}
	url := l.hooks.URL()
	if err := l.storeInvite(ctx, m, row, url); err != nil {
		return nil, err
	}
	return &Invite{
		ID: row.ID, MeshID: m.ID, Slug: m.Slug, Token: row.Token, Link: identity.InviteLink(row.Token),
		Role: o.Role, Uses: o.Uses, BrokerURL: url, ExpiresAt: row.ExpiresAt,
	}, nil
}

// storeInvite signs the row's token and writes the row.
//
// Nothing in a token is random, so two invites of one second that allow the
// same would have the same token. The later one holds a little longer instead:
// by a random number of seconds, out of twice as many at each try.
func (l *Local) storeInvite(ctx context.Context, m *store.Mesh, row *store.Invite, url string) error {
	for try := range inviteTries {
		token, err := l.sign(m, identity.InviteV1{
			MeshID: m.ID, MeshSlug: m.Slug, BrokerURL: url, ExpiresAt: row.ExpiresAt.Unix(), Role: string(row.Role),
		})
		if err != nil {
			return err
		}
		row.Token = token
		if err = l.store.CreateInvite(ctx, row); err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return core.Unavailable(err)
		}
		more := 1 + rand.Int64N(1<<min(try, 12))
		row.ExpiresAt = row.ExpiresAt.Add(time.Duration(more) * time.Second)
	}
	return core.Refuse("conflict", "too many equal invites were made in this second: try again in a moment")
}

// complete fills in the defaults, and refuses what makes no sense.
func (o InviteOptions) complete() (InviteOptions, error) {
	if o.Role == "" {
		o.Role = identity.RoleMember
	}
	if o.Uses == 0 {
		o.Uses = 1
	}
	if o.TTL == 0 {
		o.TTL = firstInviteTTL
	}
	switch {
	case o.Role != identity.RoleAdmin && o.Role != identity.RoleMember:
		return o, invalid("an invite makes an admin or a member, not " + quote(o.Role))
	case o.Uses < 1 || o.Uses > maxInviteUses:
		return o, invalid(fmt.Sprintf("an invite is good for 1 to %d uses", maxInviteUses))
	case o.TTL < minInviteTTL || o.TTL > maxInviteTTL:
		return o, invalid("an invite holds from one second to ten years")
	}
	return o, nil
}
