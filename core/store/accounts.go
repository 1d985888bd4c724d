package store

import (
	"context"
	"time"
)

// Account is a person who signs in over HTTP. One account may have members in
// several meshes, and own some of them; a member need not have an account.
type Account struct {
	ID         string
	Email      string // "" when unknown; not proved
	Name       string
	CreatedAt  time.Time
	DisabledAt time.Time // zero while the account may sign in and its tokens are good
	NoLegacy   bool      // legacy-auth does not take its id for a proof
}

// Enabled reports whether the account may do anything.
func (a *Account) Enabled() bool { return a.DisabledAt.IsZero() }

// Accounts keeps accounts.
type Accounts interface {
	// CreateAccount writes an account. ErrConflict: the id is taken.
	CreateAccount(ctx context.Context, a *Account) error

	// AddAccountFor writes an account and makes it the one of a member, in one
	// transaction: both or neither. It returns the member as it is then.
	// ErrConflict: the member has an account, or the id is taken. ErrNotFound:
	// there is no such live member.
	AddAccountFor(ctx context.Context, member string, a *Account) (*Member, error)

	// Account returns one account by id, disabled ones too. ErrNotFound.
	Account(ctx context.Context, id string) (*Account, error)

	// ListAccounts returns all accounts by id.
	ListAccounts(ctx context.Context) ([]*Account, error)

	// ChangeAccount lets change edit a copy of the row, in one transaction with
	// reading it, and returns what was written. ID and CreatedAt stay. An error
	// of change is returned as it is, and nothing is written. change is as in
	// [Members].ChangeMember. ErrNotFound.
	ChangeAccount(ctx context.Context, id string, change func(*Account) error) (*Account, error)

	// AccountMeshes returns the live meshes that an account owns or has live
	// members in, oldest first.
	AccountMeshes(ctx context.Context, account string) ([]AccountMesh, error)

	// AccountMember returns the oldest live member that an account has in a
	// mesh, an admin before others. ErrNotFound.
	AccountMember(ctx context.Context, mesh, account string) (*Member, error)
}

// AccountMesh is a mesh as one account sees it.
type AccountMesh struct {
	Mesh    *Mesh
	Member  *Member // as AccountMember returns it; nil for an owner without one
	Members int     // live members of the mesh
}

// TokenKind says where a bearer token came from.
type TokenKind string

// Kinds of tokens. The words are stored.
const (
	TokenDevice   TokenKind = "device"   // a command line that somebody signed in
	TokenPasted   TokenKind = "pasted"   // shown to somebody who pastes it
	TokenOperator TokenKind = "operator" // made by the operator
)

// Token is a bearer token of an account, which the wire calls a CLI session.
// The token itself is kept nowhere.
type Token struct {
	ID         string
	AccountID  string
	Hash       [32]byte // SHA-256 of the token's text
	Kind       TokenKind
	Hostname   string // of the machine that it was made for; the next two too
	Platform   string
	Arch       string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastSeenAt time.Time
	RevokedAt  time.Time // zero while the token is good
}

// MaxTokens is how many good tokens an account has at most, but for those that
// the operator makes: a stolen one makes no more than this before somebody sees
// them.
const MaxTokens = 500

// Tokens keeps bearer tokens.
type Tokens interface {
	// CreateToken writes a token. ErrConflict: the hash is taken. ErrNotFound:
	// there is no such account. ErrExhausted: the account has MaxTokens that are
	// good when this one is created, which is not the operator's.
	CreateToken(ctx context.Context, t *Token) error

	// TokenByHash returns a token and its account, also when it was revoked or
	// has expired. ErrNotFound.
	TokenByHash(ctx context.Context, hash [32]byte) (*Token, *Account, error)

	// TouchToken says that a token was used. It does not wait for the disk. A
	// token that is not there is no error, nor one that was used later.
	TouchToken(ctx context.Context, id string, at time.Time) error

	// ListTokens returns the tokens of an account, or of all with "", that are
	// not revoked and have not expired at a time, oldest first.
	ListTokens(ctx context.Context, account string, now time.Time) ([]*Token, error)

	// RevokeToken ends a token for good. ErrNotFound: there is none with this
	// id, or it was revoked before.
	RevokeToken(ctx context.Context, id string, at time.Time) error

	// PruneTokens deletes what is of no use from before a time: tokens that
	// expired or were revoked, sign-ins that expired, one-time codes that
	// expired. It returns how many rows.
	PruneTokens(ctx context.Context, before time.Time) (int64, error)
}
