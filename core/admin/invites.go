package admin

import (
	"context"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// CreateInvite implements [Ops].
func (l *Local) CreateInvite(ctx context.Context, mesh string, o InviteOptions) (*Invite, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, err
	}
	row, err := l.issuer.Invite(ctx, m, issue.InviteOptions{Role: store.Role(o.Role), Uses: o.Uses, TTL: o.TTL})
	if err != nil {
		return nil, err
	}
	return &Invite{
		ID: row.ID, MeshID: m.ID, Slug: m.Slug, Token: row.Token, Link: identity.InviteLink(row.Token),
		Code: row.Code, URL: issue.ShortLink(l.appURL(), row.Code),
		Role: string(row.Role), Uses: row.MaxUses, BrokerURL: l.hooks.URL(), ExpiresAt: row.ExpiresAt,
	}, nil
}

func (l *Local) appURL() string {
	if l.hooks.AppURL == nil {
		return ""
	}
	return l.hooks.AppURL()
}
