package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// MakeToken is the body of POST /cli/token.
type MakeToken struct {
	UserID   string `json:"user_id,omitempty" max:"256" doc:"the caller's own account; may be left out, and no other's is taken"`
	Email    string `json:"email,omitempty" doc:"accepted and ignored: the account has its own"`
	Name     string `json:"name,omitempty" doc:"accepted and ignored: the account has its own"`
	Hostname string `json:"hostname,omitempty" max:"256" doc:"name of the machine that the token is for; paste-token when left out"`
	Platform string `json:"platform,omitempty" max:"64" doc:"its operating system; unknown when left out"`
	Arch     string `json:"arch,omitempty" max:"64" doc:"its processor; unknown when left out"`
	Code     string `json:"code,omitempty" max:"64" doc:"one-time code of an account, in place of a bearer token"`
}

// MadeToken answers a [MakeToken].
type MadeToken struct {
	Token     string `json:"token" doc:"bearer token, shown this once"`
	ExpiresAt string `json:"expires_at" doc:"until when it is good"`
}

// ListSessions is GET /cli/sessions.
type ListSessions struct {
	UserID string `query:"user_id" json:"-" doc:"the caller's own account; may be left out, and no other's is shown"`
}

// Sessions answers a [ListSessions].
type Sessions struct {
	Sessions []CLISession `json:"sessions" doc:"the caller's good tokens, oldest first"`
}

// CLISession is a bearer token as its account sees it.
type CLISession struct {
	ID         string `json:"id" doc:"id of the token, by which it is revoked"`
	Hostname   string `json:"hostname" doc:"machine that it was made for"`
	Platform   string `json:"platform" doc:"its operating system"`
	Arch       string `json:"arch" doc:"its processor"`
	LastSeenAt string `json:"last_seen_at" doc:"when it was used, to the minute"`
	CreatedAt  string `json:"created_at" doc:"when it was made"`
	ExpiresAt  string `json:"expires_at" doc:"until when it is good"`
	Current    bool   `json:"current" doc:"true for the token that this request came with"`
}

// RevokeSession is the body of POST /cli/session/revoke.
type RevokeSession struct {
	Token string `json:"token" required:"true" doc:"the token to end, which is its own proof"`
}

// SessionRevoked answers a [RevokeSession].
type SessionRevoked struct {
	OK    bool `json:"ok" doc:"true"`
	Found bool `json:"found" doc:"false when there was no such good token"`
}

// EndSession is DELETE /cli/session/{id}.
type EndSession struct {
	ID string `path:"id" json:"-" doc:"id of one of the caller's tokens"`
}

// Tokens adds the routes by which an account makes, lists and ends its bearer
// tokens.
func Tokens(t *Table, d Deps) {
	s := &tokens{d}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/token", Kind: "http.token.create", Group: groupSignIn,
		Summary: "makes a bearer token for the caller's account, or for the account of a member that signs the request and is all that the account has",
		Access:  feature.AnyoneKnown, Wants: ByAccount | ByMember | ByCode, Body: BodyOptional, BadBody: textBadBody, Guessable: true,
		Refusals: []sdk.Reason{
			feature.ReasonNoBearer, sdk.ReasonUnauthorized, sdk.ReasonForbidden, sdk.ReasonInvalid, ReasonConflict,
		},
	}, s.create)
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/sessions", Kind: "http.token.list", Group: groupSignIn,
		Summary: "lists the caller's bearer tokens", Access: feature.AnAccount, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonForbidden},
	}, s.list)
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/session/revoke", Kind: "http.token.revoke", Group: groupSignIn,
		Summary: "ends the bearer token that is sent", Access: feature.Anyone, BadBody: textBadBody, Missing: textTokenRequired,
		Refusals: []sdk.Reason{sdk.ReasonMalformed},
	}, s.revoke)
	On(t, Route{
		Method: http.MethodDelete, Path: "/cli/session/{id}", Kind: "http.token.end", Group: groupSignIn,
		Summary: "ends one of the caller's bearer tokens", Access: feature.AnAccount, Body: BodyNone,
		Refusals: []sdk.Reason{sdk.ReasonNotFound},
	}, s.end)
}

const textTokenRequired = "token required"

type tokens struct{ Deps }

// create makes a token for whoever asks: an account, by a token or a one-time
// code, or a member that signs, for the account that it belongs to.
func (s *tokens) create(ctx context.Context, c *feature.Call, m *MakeToken) (*MadeToken, error) {
	if err := s.canSignIn(); err != nil {
		return nil, err
	}
	if err := plainFields("hostname", m.Hostname, "platform", m.Platform, "arch", m.Arch); err != nil {
		return nil, err
	}
	if c.HTTP.Account == nil && c.Member != nil {
		a, err := s.accountOf(ctx, c)
		if err != nil {
			return nil, err
		}
		c.HTTP.Account = a
	}
	a, err := s.asking(ctx, c, m.UserID, m.Code)
	if err != nil {
		return nil, err
	}
	if err := s.roomForToken(ctx, a, c.Env.Arrived); err != nil {
		return nil, err
	}
	text, row, err := issue.Token(s.Tokens, issue.NewToken{
		Account: a, Kind: store.TokenPasted, TTL: s.Config.TokenTTL,
		Hostname: cmp.Or(m.Hostname, "paste-token"), Platform: cmp.Or(m.Platform, "unknown"), Arch: cmp.Or(m.Arch, "unknown"),
	}, c.Env.Arrived)
	if err != nil {
		return nil, err
	}
	if err := s.spend(ctx, c, m.Code); err != nil {
		return nil, err
	}
	switch err := s.Store.CreateToken(ctx, row); {
	case errors.Is(err, store.ErrExhausted):
		return nil, tooManyTokens()
	case err != nil:
		return nil, core.Unavailable(err)
	}
	s.Log.Info("token made", slog.String("account", a.ID), slog.String("token_id", row.ID))
	return &MadeToken{Token: text, ExpiresAt: stamp(row.ExpiresAt)}, nil
}

// roomForToken refuses what would end in one token too many. The store decides,
// when the token is written.
func (d *Deps) roomForToken(ctx context.Context, a *store.Account, now time.Time) error {
	list, err := d.Store.ListTokens(ctx, a.ID, now)
	switch {
	case err != nil:
		return core.Unavailable(err)
	case len(list) >= store.MaxTokens:
		return tooManyTokens()
	}
	return nil
}

func tooManyTokens() error {
	return core.Refuse(ReasonConflict, fmt.Sprintf("this account has %d good tokens: revoke some of them first", store.MaxTokens))
}

// list returns the caller's own tokens.
func (s *tokens) list(ctx context.Context, c *feature.Call, m *ListSessions) (*Sessions, error) {
	a := c.HTTP.Account
	if m.UserID != "" && m.UserID != a.ID {
		return nil, core.Refuse(sdk.ReasonForbidden, textNotYou)
	}
	rows, err := s.Store.ListTokens(ctx, a.ID, c.Env.Arrived)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	answer := &Sessions{Sessions: make([]CLISession, len(rows))}
	for i, t := range rows {
		answer.Sessions[i] = CLISession{
			ID: t.ID, Hostname: t.Hostname, Platform: t.Platform, Arch: t.Arch,
			LastSeenAt: stamp(t.LastSeenAt), CreatedAt: stamp(t.CreatedAt), ExpiresAt: stamp(t.ExpiresAt),
			Current: c.HTTP.Token != nil && c.HTTP.Token.ID == t.ID,
		}
	}
	return answer, nil
}

// revoke ends the token that is sent. It is verified whole before anything is
// looked up, and whatever is wrong with it has the same answer.
func (s *tokens) revoke(ctx context.Context, c *feature.Call, m *RevokeSession) (*SessionRevoked, error) {
	if m.Token == "" {
		return nil, core.Refuse(sdk.ReasonMalformed, textTokenRequired)
	}
	if s.Tokens == nil {
		return &SessionRevoked{OK: true}, nil
	}
	_, hash, err := s.Tokens.Verify(m.Token, c.Env.Arrived)
	if err != nil {
		return &SessionRevoked{OK: true}, nil //nolint:nilerr // the text is no token, which is an answer
	}
	row, _, err := s.Store.TokenByHash(ctx, hash)
	if err == nil {
		err = s.Store.RevokeToken(ctx, row.ID, c.Env.Arrived)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, core.Unavailable(err)
	}
	return &SessionRevoked{OK: true, Found: err == nil}, nil
}

// end ends a token by its id, if it is the caller's. It reads the list, so that
// others' ids are not told from ids that are nobody's.
func (s *tokens) end(ctx context.Context, c *feature.Call, m *EndSession) (*OK, error) {
	rows, err := s.Store.ListTokens(ctx, c.HTTP.Account.ID, c.Env.Arrived)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	for _, t := range rows {
		if t.ID != m.ID {
			continue
		}
		err := s.Store.RevokeToken(ctx, t.ID, c.Env.Arrived)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, core.Unavailable(err)
		}
		return &OK{OK: true}, nil
	}
	return nil, core.Refuse(sdk.ReasonNotFound, "none of your tokens has this id: GET /cli/sessions lists them")
}
