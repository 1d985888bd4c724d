package store

import (
	"context"
	"time"
)

// SignIn is the sign-in of a command line by a device code (RFC 8628): the
// command line holds the device code and polls with it, the person approves by
// the user code or the id.
type SignIn struct {
	ID         string   // in the link that the person opens
	DeviceHash [32]byte // SHA-256 of the device code, which is kept nowhere
	UserCode   string   // for the person to compare and to type
	Hostname   string   // as the command line said; the next two too
	Platform   string
	Arch       string
	Remote     string // network address that asked
	CreatedAt  time.Time
	ExpiresAt  time.Time
	ApprovedAt time.Time // zero while nobody has approved
	AccountID  string    // of who approved
	ConsumedAt time.Time // zero until its token was handed out
}

// SignIns keeps sign-ins and one-time codes.
type SignIns interface {
	// CreateSignIn writes a sign-in. ErrConflict: the id, the device code or the
	// user code is taken.
	CreateSignIn(ctx context.Context, s *SignIn) error

	// SignInByDevice returns the sign-in of a device code. ErrNotFound.
	SignInByDevice(ctx context.Context, hash [32]byte) (*SignIn, error)

	// SignInByCode returns the sign-in with this id or user code. ErrNotFound.
	SignInByCode(ctx context.Context, idOrUserCode string) (*SignIn, error)

	// ApproveSignIn says who a sign-in is for. ErrConflict: somebody has
	// approved it, or it has expired at that time. ErrNotFound: there is no such
	// sign-in or account.
	ApproveSignIn(ctx context.Context, id, account string, at time.Time) error

	// ConsumeSignIn writes the token of an approved sign-in and marks the sign-in
	// as consumed when the token was created, both or neither. ErrConflict: it is
	// not approved for the token's account, it was consumed before, or the
	// token's hash is taken. ErrNotFound. ErrExhausted is as in
	// [Tokens].CreateToken.
	ConsumeSignIn(ctx context.Context, id string, t *Token) error

	// CreateCode writes a one-time code, of which only the SHA-256 is kept.
	// ErrConflict: it is taken. ErrNotFound: there is no such account.
	CreateCode(ctx context.Context, hash [32]byte, account string, expires time.Time) error

	// CodeAccount returns whose a one-time code is, and does not end it.
	// ErrNotFound as in SpendCode.
	CodeAccount(ctx context.Context, hash [32]byte, now time.Time) (account string, err error)

	// SpendCode ends a one-time code and returns whose it was. ErrNotFound: there
	// is none, or it has expired at that time, or it was spent.
	SpendCode(ctx context.Context, hash [32]byte, now time.Time) (account string, err error)

	// UseOnce reports whether a token is seen for the first time, by any process
	// that shares the store, and remembers it at least until the given time. It
	// may forget its tokens when the database crashes.
	UseOnce(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error)
}
