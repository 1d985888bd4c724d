package issue

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// defaultTTL is how long an invite holds when nobody says.
const defaultTTL = 7 * 24 * time.Hour

// Bounds of invites.
const (
	maxUses = 1_000_000
	minTTL  = time.Second
	maxTTL  = 10 * 365 * 24 * time.Hour
)

// inviteTries is how many expiry times are tried for a token that is not taken.
const inviteTries = 24

// InviteOptions say what an invite allows. Zero fields take the default.
type InviteOptions struct {
	Role      store.Role    // member (default) or admin
	Uses      int           // how many may join with it, up to a million; default 1
	TTL       time.Duration // how long it holds, up to ten years, whole seconds; default 7 days
	CreatedBy string        // member or account that asked; "" for the operator
}

// Invite is an invite that was just made: its row, and the v1 token that the row
// has the hash of, and sealed.
type Invite struct {
	*store.Invite

	Token string
}

// Invite makes an invite to a mesh: a v1 token, which carries the mesh's root
// key, and a short code with what the owner signed of the row, for those who
// claim it. Both name the row as it is returned. The caller sees to it that the
// mesh is live.
//
// Nothing in a token is random, so two invites of one second that allow the
// same would have the same token. The later one holds a little longer instead:
// by a random number of seconds, out of twice as many at each try. The store
// does not say whether the token or the code was taken, so both are renewed.
func (i *Issuer) Invite(ctx context.Context, m *store.Mesh, o InviteOptions) (*Invite, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	row := &store.Invite{
		ID: identity.NewID(), MeshID: m.ID, MaxUses: o.Uses, Role: o.Role, CreatedBy: o.CreatedBy, CreatedAt: i.moment(),
	}
	row.ExpiresAt = row.CreatedAt.Add(o.TTL).Truncate(time.Second)
	url := i.url()
	for try := range inviteTries {
		row.Code = identity.NewInviteCode()
		token, err := i.sign(m, row, url)
		if err != nil {
			return nil, err
		}
		err = i.store.CreateInvite(ctx, row)
		if err == nil {
			return &Invite{row, token}, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, core.Unavailable(err)
		}
		more := 1 + rand.Int64N(1<<min(try, 12))
		row.ExpiresAt = row.ExpiresAt.Add(time.Duration(more) * time.Second)
	}
	return nil, core.Refuse("conflict", "too many equal invites were made in this second: try again in a moment")
}

// sign returns a token for the row, and gives the row what it keeps of it, and
// its capability. The mesh's secrets are in the clear only meanwhile.
func (i *Issuer) sign(m *store.Mesh, row *store.Invite, url string) (token string, err error) {
	root, err := i.rootKey(m)
	if err != nil {
		return "", err
	}
	defer clear(root)
	owner, err := i.owner(m)
	if err != nil {
		return "", err
	}
	defer clear(owner)
	v1 := identity.InviteV1{
		MeshID: m.ID, MeshSlug: m.Slug, BrokerURL: url, ExpiresAt: row.ExpiresAt.Unix(),
		MeshRootKey: base64.RawURLEncoding.EncodeToString(root), Role: string(row.Role),
	}
	if err := v1.Sign(owner); err != nil {
		return "", err
	}
	if token, err = v1.Token(); err != nil {
		return "", err
	}
	row.TokenHash = store.HashInvite(token)
	if row.SealedToken, err = i.seal(identity.InviteAtRest, row.ID, []byte(token)); err != nil {
		return "", err
	}
	row.Capability, err = InviteV2(m, row).Capability(owner)
	return token, err
}

// InviteV2 returns what a mesh's owner signs of an invite's row.
func InviteV2(m *store.Mesh, row *store.Invite) identity.InviteV2 {
	return identity.InviteV2{
		MeshID: m.ID, InviteID: row.ID, ExpiresAt: row.ExpiresAt.Unix(), Role: string(row.Role),
		OwnerPubkey: m.OwnerKey.String(),
	}
}

// ShortLink returns the link with a short code in it, which the web pages at app
// answer, and "" when there are no such pages.
func ShortLink(app, code string) string {
	if app == "" {
		return ""
	}
	return strings.TrimSuffix(app, "/") + "/i/" + code
}

// complete fills in the defaults, and refuses what makes no sense.
func (o InviteOptions) complete() (InviteOptions, error) {
	if o.Role == "" {
		o.Role = store.RoleMember
	}
	if o.Uses == 0 {
		o.Uses = 1
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	switch {
	case o.Role != store.RoleAdmin && o.Role != store.RoleMember:
		return o, invalid("an invite makes an admin or a member, and nothing else")
	case o.Uses < 1 || o.Uses > maxUses:
		return o, invalid(fmt.Sprintf("an invite is good for 1 to %d uses", maxUses))
	case o.TTL < minTTL || o.TTL > maxTTL:
		return o, invalid("an invite holds from one second to ten years")
	}
	return o, nil
}
