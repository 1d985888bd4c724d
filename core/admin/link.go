package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

// eventLinked is the audit event of a member that was made an account's, whoever
// did it.
const eventLinked = "member_linked"

// errStays ends the change of a member that stays whose it is.
var errStays = errors.New("the member stays whose it is")

// LinkMember implements [Ops]. The account that the member had, perhaps one that
// was made for its signature, keeps its tokens: they reach this member no more.
func (l *Local) LinkMember(ctx context.Context, mesh, ref, account string, move bool) (*MemberLink, error) {
	a, err := l.account(ctx, account)
	if err != nil {
		return nil, err
	}
	m, row, err := l.member(ctx, mesh, ref)
	switch {
	case err != nil:
		return nil, err
	case !row.Live():
		return nil, core.Refuse("conflict", row.DisplayName+" was revoked and can do nothing, whoever it belongs to")
	}
	before := ""
	changed, err := l.store.ChangeMember(ctx, row.ID, func(m *store.Member) error {
		if before = m.AccountID; before == a.ID || before != "" && !move {
			return errStays
		}
		m.AccountID = a.ID
		return nil
	})
	switch {
	case err == nil:
	case !errors.Is(err, errStays):
		return nil, core.Unavailable(err)
	case before != a.ID:
		return nil, core.Refuse("conflict", row.DisplayName+" belongs to account "+before+": --force moves it to "+a.ID)
	default:
		return &MemberLink{Member: memberOf(row), Before: before}, nil
	}
	if l.hooks.MemberChanged != nil {
		l.hooks.MemberChanged(changed.ID)
	}
	return &MemberLink{Member: memberOf(changed), Before: before}, l.recordLinked(ctx, m, changed, before)
}

// recordLinked writes to the audit log what has happened by now.
func (l *Local) recordLinked(ctx context.Context, mesh *store.Mesh, m *store.Member, before string) error {
	if l.hooks.Record == nil {
		return nil
	}
	err := l.hooks.Record(ctx, &audit.Entry{
		MeshID: mesh.ID, EventType: eventLinked, CreatedAt: l.now().UTC().Truncate(time.Millisecond),
		Payload: audit.Object(audit.String("pubkey", m.Key.String()), audit.String("account", m.AccountID),
			audit.String("before", before), audit.String("by", "operator")),
	})
	if err != nil {
		return fmt.Errorf("%s is %s's now, the audit log does not have it: %w", m.DisplayName, m.AccountID, err)
	}
	return nil
}
