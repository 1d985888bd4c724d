package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// ResolveCode is GET /api/public/invite-code/{code}.
type ResolveCode struct {
	Code string `path:"code" json:"-" doc:"short code of the invite, in either case"`
}

// OpenLink is GET /i/{code}.
type OpenLink struct {
	Code string `path:"code" json:"-" doc:"short code of the invite, in either case"`
}

// CodeResolved answers a [ResolveCode] and an [OpenLink].
type CodeResolved struct {
	Found bool   `json:"found" doc:"true"`
	Token string `json:"token" doc:"the invite's v1 token, to join with"`
}

// ShortCodes adds the routes that know an invite by its short code. The second
// one is the link that is handed out; browsers get a page there instead.
func ShortCodes(t *Table, d Deps) {
	s := &shortCodes{d.Store, d.Issuer}
	route := Route{
		Method: http.MethodGet, Group: groupInvites, Access: feature.Anyone, Body: BodyNone, Guessable: true,
		Finds: true, Refusals: []sdk.Reason{sdk.ReasonNotFound},
	}
	route.Path, route.Kind = "/api/public/invite-code/{code}", "http.invite.resolve"
	route.Summary = "finds the token of a short code"
	On(t, route, func(ctx context.Context, c *feature.Call, m *ResolveCode) (*CodeResolved, error) {
		return s.resolve(ctx, c, m.Code)
	})
	route.Path, route.Kind = "/i/{code}", "http.invite.open"
	route.Summary = "finds the token of a short link; browsers get a page that says how to join"
	On(t, route, func(ctx context.Context, c *feature.Call, m *OpenLink) (*CodeResolved, error) {
		return s.resolve(ctx, c, m.Code)
	})
}

type shortCodes struct {
	store  Store
	issuer *issue.Issuer // opens tokens
}

// resolve finds an invite that somebody could join with now. All others look
// alike, so that guesses learn nothing.
func (s *shortCodes) resolve(ctx context.Context, c *feature.Call, code string) (*CodeResolved, error) {
	inv, err := s.store.InviteByCode(ctx, identity.NormalizeCode(code))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !usable(inv, c.Env.Arrived):
		return nil, noSuchCode()
	case err != nil:
		return nil, core.Unavailable(err)
	}
	mesh, err := s.store.Mesh(ctx, inv.MeshID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !mesh.ArchivedAt.IsZero():
		return nil, noSuchCode()
	case err != nil:
		return nil, core.Unavailable(err)
	}
	if ok, err := upheld(ctx, s.store, mesh, inv); err != nil {
		return nil, err
	} else if !ok {
		return nil, noSuchCode()
	}
	token, err := s.issuer.Token(inv)
	if err != nil {
		return nil, issued(err, "")
	}
	return &CodeResolved{Found: true, Token: token}, nil
}

// usable reports whether an invite holds and has a use left.
func usable(inv *store.Invite, now time.Time) bool {
	return inv.RevokedAt.IsZero() && inv.UsedCount < inv.MaxUses && !inv.ExpiresAt.Before(now)
}

func noSuchCode() error {
	return core.Refuse(sdk.ReasonNotFound, "no invite that can still be used has this code: check it, or ask for another one")
}
