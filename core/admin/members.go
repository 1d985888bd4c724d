package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// minKeyPrefix is how many digits of a key name a member at least. Eight are 32
// bits: enough among the members of one mesh, and short enough to type.
const minKeyPrefix = 8

// eventRevoked is the audit event of a revocation, whoever ordered it.
const eventRevoked = "member_banned"

// ListMembers implements [Ops].
func (l *Local) ListMembers(ctx context.Context, mesh string) ([]Member, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, err
	}
	rows, err := l.store.ListMembers(ctx, m.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]Member, len(rows))
	for i, row := range rows {
		list[i] = memberOf(row)
	}
	return list, nil
}

func memberOf(m *store.Member) Member {
	return Member{
		ID: m.ID, DisplayName: m.DisplayName, Role: string(m.Role), RoleTag: m.RoleTag, Key: m.Key,
		Account: m.AccountID, JoinedAt: m.JoinedAt, RevokedAt: m.RevokedAt,
	}
}

// RevokeMember implements [Ops]. The hook runs for a member that was revoked
// before, too: the sessions of one revoked behind a running broker's back are
// closed by revoking it again.
func (l *Local) RevokeMember(ctx context.Context, mesh, ref string) (*Revocation, error) {
	m, row, err := l.member(ctx, mesh, ref)
	if err != nil {
		return nil, err
	}
	r := &Revocation{Member: memberOf(row), Already: !row.Live()}
	if !r.Already {
		r.RevokedAt = l.now().UTC().Truncate(time.Millisecond)
		if err := l.store.SetRevoked(ctx, row.ID, r.RevokedAt); err != nil {
			return nil, core.Unavailable(err)
		}
	}
	if l.hooks.Revoked != nil {
		l.hooks.Revoked(row.ID)
	}
	if r.Already {
		return r, nil
	}
	return r, l.recordRevoked(ctx, m, r)
}

// recordRevoked writes the revocation, which has happened by now, to the audit
// log. The operator is no member, so the entry has no actor.
func (l *Local) recordRevoked(ctx context.Context, mesh *store.Mesh, r *Revocation) error {
	if l.hooks.Record == nil {
		return nil
	}
	err := l.hooks.Record(ctx, &audit.Entry{
		MeshID: mesh.ID, EventType: eventRevoked, CreatedAt: r.RevokedAt,
		Payload: audit.Object(audit.String("target", r.DisplayName), audit.String("targetPubkey", r.Key.String()),
			audit.String("by", "operator")),
	})
	if err != nil {
		return fmt.Errorf("%s was revoked, the audit log does not have it: %w", r.DisplayName, err)
	}
	return nil
}

// member finds a member of a live mesh, revoked ones too.
func (l *Local) member(ctx context.Context, mesh, ref string) (*store.Mesh, *store.Member, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, nil, err
	}
	rows, err := l.store.ListMembers(ctx, m.ID)
	if err != nil {
		return nil, nil, core.Unavailable(err)
	}
	row, err := find(rows, ref)
	return m, row, err
}

// find returns the member that ref names. Revoked members are found only where
// no live one answers.
func find(members []*store.Member, ref string) (*store.Member, error) {
	var live, revoked []*store.Member
	for _, m := range members {
		switch {
		case m.ID == ref || strings.EqualFold(m.Key.String(), ref):
			return m, nil
		case !names(m, ref):
		case m.Live():
			live = append(live, m)
		default:
			revoked = append(revoked, m)
		}
	}
	matches := live
	if len(live) == 0 {
		matches = revoked
	}
	switch len(matches) {
	case 0:
		return nil, core.Refuse(sdk.ReasonNotFound, "no member is called "+quote(ref)+
			": give a name, an id, a key, or 8 digits or more of a key; broker member list shows them")
	case 1:
		return matches[0], nil
	default:
		return nil, core.Refuse("ambiguous", ambiguous(matches, ref))
	}
}

// names reports whether ref is the member's name or the beginning of its key.
func names(m *store.Member, ref string) bool {
	if m.DisplayName == ref {
		return true
	}
	return len(ref) >= minKeyPrefix && strings.HasPrefix(m.Key.String(), strings.ToLower(ref))
}

// ambiguous says who answers to ref, and how to tell them apart.
func ambiguous(matches []*store.Member, ref string) string {
	const shown = 5
	var list []string
	for _, m := range matches[:min(len(matches), shown)] {
		list = append(list, m.DisplayName+" "+m.Key.String()[:2*minKeyPrefix])
	}
	if len(matches) > shown {
		list = append(list, "…")
	}
	return fmt.Sprintf("%d members answer to %s (%s): give more of the key", len(matches), quote(ref), strings.Join(list, ", "))
}
