package api

import (
	"context"
	"errors"
	"log/slog"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// LookAtSignIn is GET /cli/sign-in/{session_id}.
type LookAtSignIn struct {
	SessionID string `path:"session_id" json:"-" doc:"id of the sign-in; its user code does not do"`
}

// SignInView answers a [LookAtSignIn].
type SignInView struct {
	UserCode  string `json:"user_code" doc:"code that the command line shows too"`
	Hostname  string `json:"hostname" doc:"machine that is signed in, as it says itself"`
	Platform  string `json:"platform" doc:"its operating system, as it says itself"`
	ExpiresAt string `json:"expires_at" doc:"until when it can be approved"`
	Status    string `json:"status" doc:"pending, approved, consumed or expired"`
}

// ApproveSignIn is the body of POST /cli/device-code/{key}/approve.
type ApproveSignIn struct {
	Key    string `path:"key" json:"-" doc:"id of the sign-in, or its user code"`
	UserID string `json:"user_id,omitempty" max:"256" doc:"the caller's own account; may be left out, and no other's is taken"`
	Email  string `json:"email,omitempty" doc:"accepted and ignored: the account has its own"`
	Name   string `json:"name,omitempty" doc:"accepted and ignored: the account has its own"`
	Code   string `json:"code,omitempty" max:"64" doc:"one-time code of an account, in place of a bearer token"`
}

// OK answers what has no more to say.
type OK struct {
	OK bool `json:"ok" doc:"true"`
}

// look describes a sign-in by its id, which only the command line and whoever it
// gave the link to know.
func (s *signIns) look(ctx context.Context, c *feature.Call, m *LookAtSignIn) (*SignInView, error) {
	in, err := s.Store.SignInByCode(ctx, m.SessionID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && in.ID != m.SessionID:
		return nil, core.Refuse(sdk.ReasonNotFound, textNoSignIn)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return &SignInView{
		UserCode: in.UserCode, Hostname: in.Hostname, Platform: in.Platform, ExpiresAt: stamp(in.ExpiresAt),
		Status: stateOf(in, c.Env.Arrived),
	}, nil
}

const (
	textNoSignIn = "Code not found or expired"
	textNotYou   = "user_id is another account than the one that asks: leave it out"
	textWhoAsks  = "sign in first: send a bearer token, or the one-time code that broker session create printed"
	textBadCode  = "this one-time code is wrong, was used before, or is older than 10 minutes: broker session create prints another"
	textDisabled = "this account is disabled: ask the operator of the broker"
)

// approve says that a sign-in is for the caller's account. A one-time code is
// spent when nothing is left to refuse: of what is checked only an approval of
// somebody else's at the same moment can still waste it.
func (s *signIns) approve(ctx context.Context, c *feature.Call, m *ApproveSignIn) (*OK, error) {
	if c.HTTP.Account == nil && m.Code == "" {
		return nil, core.Refuse(feature.ReasonNoBearer, textWhoAsks)
	}
	in, err := s.waiting(ctx, c, m.Key)
	if err != nil {
		return nil, err
	}
	a, err := s.asking(ctx, c, m.UserID, m.Code)
	if err != nil {
		return nil, err
	}
	if err := s.roomForToken(ctx, a, c.Env.Arrived); err != nil {
		return nil, err
	}
	if err := s.spend(ctx, c, m.Code); err != nil {
		return nil, err
	}
	switch err := s.Store.ApproveSignIn(ctx, in.ID, a.ID, c.Env.Arrived); {
	case errors.Is(err, store.ErrConflict):
		return nil, core.Refuse(ReasonConflict, textApproved)
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonNotFound, textNoSignIn)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	s.Log.Info("sign-in approved", slog.String("account", a.ID))
	return &OK{OK: true}, nil
}

const textApproved = "Code already approved"

// waiting returns the sign-in that can be approved now.
func (s *signIns) waiting(ctx context.Context, c *feature.Call, key string) (*store.SignIn, error) {
	in, err := s.Store.SignInByCode(ctx, identity.UserCode(key))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonNotFound, textNoSignIn)
	case err != nil:
		return nil, core.Unavailable(err)
	case !in.ApprovedAt.IsZero():
		return nil, core.Refuse(ReasonConflict, textApproved)
	case stateOf(in, c.Env.Arrived) == stateExpired:
		return nil, core.Refuse(ReasonGone, "Code expired")
	}
	return in, nil
}

// asking returns the account behind a request: the one that a bearer token has
// proved, else the one whose one-time code it carries, which stays good until
// spend.
func (d *Deps) asking(ctx context.Context, c *feature.Call, userID, code string) (*store.Account, error) {
	a := c.HTTP.Account
	if a == nil && code != "" {
		if userID != "" {
			return nil, core.Refuse(sdk.ReasonInvalid, "user_id: leave it out, the code says whose it is")
		}
		id, err := d.Store.CodeAccount(ctx, identity.HashCode(code), c.Env.Arrived)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, core.Refuse(sdk.ReasonUnauthorized, textBadCode)
		case err != nil:
			return nil, core.Unavailable(err)
		}
		if a, err = d.enabled(ctx, id); err != nil {
			return nil, err
		}
	}
	switch {
	case a == nil:
		return nil, core.Refuse(feature.ReasonNoBearer, textWhoAsks)
	case userID != "" && userID != a.ID:
		return nil, core.Refuse(sdk.ReasonForbidden, textNotYou)
	}
	c.Env.Sender.Name = a.Name
	return a, nil
}

// spend ends the one-time code that asking has found, if that was the proof.
func (d *Deps) spend(ctx context.Context, c *feature.Call, code string) error {
	if c.HTTP.Account != nil {
		return nil
	}
	_, err := d.Store.SpendCode(ctx, identity.HashCode(code), c.Env.Arrived)
	switch {
	case errors.Is(err, store.ErrNotFound): // somebody was faster
		return core.Refuse(sdk.ReasonUnauthorized, textBadCode)
	case err != nil:
		return core.Unavailable(err)
	}
	return nil
}

// enabled returns an account that may sign in.
func (d *Deps) enabled(ctx context.Context, id string) (*store.Account, error) {
	a, err := d.Store.Account(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonUnauthorized, textBadCode)
	case err != nil:
		return nil, core.Unavailable(err)
	case !a.Enabled():
		return nil, core.Refuse(sdk.ReasonForbidden, textDisabled)
	}
	return a, nil
}
