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

// Times of a sign-in.
const (
	signInTTL = 5 * time.Minute // to approve it; the command line polls as long

	// collectTime is how long the token of a sign-in that was approved in its
	// last moment still waits for the next poll.
	collectTime = time.Minute
)

// States of a sign-in, in the words of the wire.
const (
	statePending  = "pending"
	stateApproved = "approved"
	stateConsumed = "consumed"
	stateExpired  = "expired"
)

// BeginSignIn is the body of POST /cli/device-code.
type BeginSignIn struct {
	Hostname string `json:"hostname,omitempty" max:"256" doc:"name of the machine that is signed in, shown to who approves"`
	Platform string `json:"platform,omitempty" max:"64" doc:"its operating system, such as darwin"`
	Arch     string `json:"arch,omitempty" max:"64" doc:"its processor, such as arm64"`
}

// SignInBegun answers a [BeginSignIn].
type SignInBegun struct {
	DeviceCode      string `json:"device_code" doc:"secret to poll with; the broker keeps its hash only"`
	UserCode        string `json:"user_code" doc:"code for the person to compare, XXXX-XXXX"`
	SessionID       string `json:"session_id" doc:"id of the sign-in, for the link"`
	ExpiresAt       string `json:"expires_at" doc:"until when it can be approved"`
	VerificationURL string `json:"verification_url" doc:"page on which it is approved, to open with ?session= and the id"`
	TokenURL        string `json:"token_url" doc:"page that shows a token to paste, for machines without a browser"`
}

// PollSignIn is GET /cli/device-code/{device_code}.
type PollSignIn struct {
	DeviceCode string `path:"device_code" json:"-" doc:"device code of the sign-in"`
}

// SignInState answers a [PollSignIn].
type SignInState struct {
	Status       string          `json:"status" doc:"pending, approved, consumed or expired; an unknown code has expired"`
	SessionToken string          `json:"session_token,omitempty" doc:"bearer token, in one answer only: that of the first poll after the approval"`
	User         *SignedInPerson `json:"user,omitempty" doc:"who approved, beside the token"`
}

// SignedInPerson is an account as command lines know it.
type SignedInPerson struct {
	ID          string `json:"id" doc:"id of the account"`
	DisplayName string `json:"display_name" doc:"name, else the e-mail address, else User"`
	Email       string `json:"email" doc:"e-mail address, empty when unknown"`
}

// SignIns adds the routes by which a command line is signed in with a device
// code: begin, poll, look and approve.
func SignIns(t *Table, d Deps) {
	s := &signIns{Deps: d, begun: newBegun(time.Now())}
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/device-code", Kind: "http.signin.begin", Group: groupSignIn,
		Summary: "begins the sign-in of a command line", Access: feature.Anyone, Body: BodyOptional, BadBody: textBadBody,
		Refusals: []sdk.Reason{sdk.ReasonInvalid, sdk.ReasonRateLimit},
	}, s.begin)
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/device-code/{device_code}", Kind: "http.signin.poll", Group: groupSignIn,
		Summary: "tells a command line whether its sign-in was approved, and hands out its token once",
		Access:  feature.Anyone, Body: BodyNone, // 160 bits, which nobody guesses
	}, s.poll)
	On(t, Route{
		Method: http.MethodGet, Path: "/cli/sign-in/{session_id}", Kind: "http.signin.look", Group: groupSignIn,
		Summary: "describes a sign-in to the person who may approve it", Access: feature.Anyone, Body: BodyNone, Guessable: true,
		Refusals: []sdk.Reason{sdk.ReasonNotFound},
	}, s.look)
	On(t, Route{
		Method: http.MethodPost, Path: "/cli/device-code/{key}/approve", Kind: "http.signin.approve", Group: groupSignIn,
		Summary: "approves a sign-in for the caller's account", Access: feature.AnyoneKnown, Wants: ByAccount | ByCode,
		Body: BodyOptional, BadBody: textBadBody, Guessable: true,
		Refusals: []sdk.Reason{
			feature.ReasonNoBearer, sdk.ReasonUnauthorized, sdk.ReasonForbidden, sdk.ReasonInvalid, sdk.ReasonNotFound, ReasonGone,
			ReasonConflict,
		},
	}, s.approve)
}

const (
	groupSignIn = "Signing in"
	textBadBody = "Invalid body"
)

type signIns struct {
	Deps
	begun *begun
}

// begin writes a sign-in. Codes that are taken, which is one in many millions,
// are made again.
func (s *signIns) begin(ctx context.Context, c *feature.Call, m *BeginSignIn) (*SignInBegun, error) {
	if err := s.canSignIn(); err != nil {
		return nil, err
	}
	if err := plainFields("hostname", m.Hostname, "platform", m.Platform, "arch", m.Arch); err != nil {
		return nil, err
	}
	if err := s.begun.allow(c); err != nil {
		return nil, err
	}
	now := c.Env.Arrived.UTC().Truncate(time.Millisecond)
	for tries := 0; ; tries++ {
		device := identity.NewDeviceCode()
		in := &store.SignIn{
			ID: identity.NewSessionID(), DeviceHash: identity.HashCode(device), UserCode: identity.NewUserCode(),
			Hostname: m.Hostname, Platform: m.Platform, Arch: m.Arch, Remote: c.Env.Sender.Remote,
			CreatedAt: now, ExpiresAt: now.Add(signInTTL),
		}
		switch err := s.Store.CreateSignIn(ctx, in); {
		case err == nil:
			return &SignInBegun{
				DeviceCode: device, UserCode: in.UserCode, SessionID: in.ID, ExpiresAt: stamp(in.ExpiresAt),
				VerificationURL: s.Links() + "/cli-auth", TokenURL: s.Links() + "/token",
			}, nil
		case !errors.Is(err, store.ErrConflict) || tries == maxTries:
			return nil, core.Unavailable(err)
		}
	}
}

// maxTries is how often a code that is taken is made again.
const maxTries = 4

// poll tells how far a sign-in is. The token is made at the moment in which it is
// handed out, so that it is nowhere before; of polls at the same time one gets it.
func (s *signIns) poll(ctx context.Context, c *feature.Call, m *PollSignIn) (*SignInState, error) {
	in, err := s.Store.SignInByDevice(ctx, identity.HashCode(m.DeviceCode))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &SignInState{Status: stateExpired}, nil
	case err != nil:
		return nil, core.Unavailable(err)
	}
	if state := stateOf(in, c.Env.Arrived); state != stateApproved || c.HTTP.Method == http.MethodHead {
		return &SignInState{Status: state}, nil // whoever sends HEAD does not see a token
	}
	return s.handOut(ctx, in, c.Env.Arrived)
}

// stateOf says how far a sign-in is.
func stateOf(in *store.SignIn, now time.Time) string {
	approved := !in.ApprovedAt.IsZero()
	switch {
	case !in.ConsumedAt.IsZero():
		return stateConsumed
	case approved && now.Before(in.ExpiresAt.Add(collectTime)):
		return stateApproved
	case !approved && now.Before(in.ExpiresAt):
		return statePending
	default:
		return stateExpired
	}
}

// handOut makes the token of an approved sign-in. An account that may not sign in
// any more, or has too many tokens by now, ends the polling, as an expired code
// does.
func (s *signIns) handOut(ctx context.Context, in *store.SignIn, now time.Time) (*SignInState, error) {
	if err := s.canSignIn(); err != nil {
		return nil, err
	}
	a, err := s.Store.Account(ctx, in.AccountID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !a.Enabled():
		return &SignInState{Status: stateExpired}, nil
	case err != nil:
		return nil, core.Unavailable(err)
	}
	text, row, err := issue.Token(s.Tokens, issue.NewToken{
		Account: a, Kind: store.TokenDevice, Hostname: in.Hostname, Platform: in.Platform, Arch: in.Arch, TTL: s.Config.TokenTTL,
	}, now)
	if err != nil {
		return nil, err
	}
	switch err := s.Store.ConsumeSignIn(ctx, in.ID, row); {
	case errors.Is(err, store.ErrConflict):
		return &SignInState{Status: stateConsumed}, nil
	case errors.Is(err, store.ErrExhausted):
		return &SignInState{Status: stateExpired}, nil
	case err != nil:
		return nil, core.Unavailable(err)
	}
	person := personOf(a)
	return &SignInState{Status: stateApproved, SessionToken: text, User: &person}, nil
}

// canSignIn reports whether this broker can make tokens at all.
func (d *Deps) canSignIn() error {
	if d.Tokens != nil {
		return nil
	}
	return core.Refuse(sdk.ReasonUnavailable, "nobody can sign in to this broker: its operator has to set encryption_key")
}

// personOf describes an account as command lines know it.
func personOf(a *store.Account) SignedInPerson {
	p := SignedInPerson{ID: a.ID, DisplayName: a.Name, Email: a.Email}
	switch {
	case p.DisplayName != "":
	case p.Email != "":
		p.DisplayName = p.Email
	default:
		p.DisplayName = "User"
	}
	return p
}

// plainFields refuses texts with control characters. It takes names and texts in
// turn.
func plainFields(fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		if !plain(fields[i+1]) {
			return core.Refuse(sdk.ReasonInvalid, fields[i]+": must be plain text, without control characters")
		}
	}
	return nil
}
