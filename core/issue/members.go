package issue

import (
	"fmt"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// NewMember is a member that a mesh is made with. The rest of its row is the
// Issuer's to fill in.
type NewMember struct {
	Key         sdk.Key
	DisplayName string
	Role        store.Role
	AccountID   string // of the person behind it; "" when unknown
}

// Founder returns the member of the person who makes a mesh of a name: an admin
// called after the mesh. The key is 64 hex digits in either case.
func Founder(mesh, pubkey, account string) (NewMember, error) {
	key, err := sdk.ParseKey(pubkey)
	if err != nil {
		return NewMember{}, invalid("pubkey required (64 hex chars)")
	}
	m := NewMember{Key: key, DisplayName: strings.TrimSpace(mesh) + "-owner", Role: store.RoleAdmin, AccountID: account}
	return m, m.checkKey()
}

// checkMembers refuses members that could not be written, or never used.
func checkMembers(members []NewMember) error {
	seen := make(map[sdk.Key]bool, len(members))
	for _, m := range members {
		if err := m.check(); err != nil {
			return err
		}
		if seen[m.Key] {
			return invalid("two members cannot have one key")
		}
		seen[m.Key] = true
	}
	return nil
}

func (m NewMember) check() error {
	switch {
	case m.DisplayName == "" || len(m.DisplayName) > maxDisplayName || !plain(m.DisplayName):
		return invalid(fmt.Sprintf("a member's name is plain text of 1 to %d bytes", maxDisplayName))
	case m.Role != store.RoleAdmin && m.Role != store.RoleMember:
		return invalid("a member is an admin or a member")
	}
	return m.checkKey()
}

// checkKey refuses keys that anybody could sign for.
func (m NewMember) checkKey() error {
	if identity.SmallOrder(m.Key) {
		return invalid("a member's key must be an ed25519 key that can sign")
	}
	return nil
}

// rows makes the rows of a mesh's first members. They join a millisecond after
// one another, the last one as the mesh is made, so that lists keep their order.
func rows(mesh *store.Mesh, members []NewMember) []*store.Member {
	list := make([]*store.Member, len(members))
	for i, m := range members {
		list[i] = &store.Member{
			ID: identity.NewID(), MeshID: mesh.ID, Key: m.Key, DisplayName: m.DisplayName, Role: m.Role,
			MessageMode: "push", AccountID: m.AccountID,
			JoinedAt: mesh.CreatedAt.Add(time.Duration(i+1-len(members)) * time.Millisecond),
		}
	}
	return list
}
