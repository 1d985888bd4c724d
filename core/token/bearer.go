package token

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// MaxBearer is the length in bytes of the longest bearer token. One with the
// longest usual names has about 500.
const MaxBearer = 4 << 10

// bearerSkew is how far ahead of ours a clock that issued a bearer token may be,
// where several brokers share a store.
const bearerSkew = 60 * time.Second

// Kind is the type claim of a bearer token.
type Kind string

// Kinds of bearer tokens. The words are the original's; clients see them.
const (
	KindDevice Kind = "cli-session" // a command line that somebody signed in
	KindPasted Kind = "cli-token"   // shown to somebody who pastes it, or made by the operator
)

// Claims are what a bearer token says. Clients read account, email, name and
// end out of the token by themselves; the broker believes the account only
// once it has looked the token up.
type Claims struct {
	Account   string // id; claim sub
	Email     string // "" when unknown
	Name      string // in any script
	Kind      Kind   // claim type
	ID        string // claim jti
	IssuedAt  time.Time
	ExpiresAt time.Time // whole seconds
}

// bearer is Claims as JSON.
type bearer struct {
	Account string `json:"sub"`
	Email   string `json:"email"`
	Name    string `json:"name"`
	Kind    Kind   `json:"type"`
	ID      string `json:"jti"`
	life    `json:",inline"`
}

// Mint makes a bearer token, which begins now and ends at c.ExpiresAt, both cut
// to seconds. It returns the text, to be given out and kept nowhere, and the
// hash under which it is looked up. Without an ID it gets a random UUID;
// IssuedAt is not read.
//
// It makes nothing that [Keys.Verify] would refuse: [ErrAccount] without an
// account, [ErrKind] for another kind, [ErrExpired] for an end that is not after
// now, [ErrMalformed] for text that is not UTF-8 or makes the token longer than
// [MaxBearer].
func (k *Keys) Mint(c Claims, now time.Time) (text string, hash [sha256.Size]byte, err error) {
	if c.ID == "" {
		c.ID = identity.NewUUID()
	}
	issued, expires := float64(now.Unix()), float64(c.ExpiresAt.Unix())
	b := bearer{
		Account: c.Account, Email: c.Email, Name: c.Name, Kind: c.Kind, ID: c.ID,
		life: life{IssuedAt: &issued, ExpiresAt: &expires},
	}
	if _, err := b.claims(now); err != nil {
		return "", hash, err
	}
	text, err = seal(b, k.bearer)
	switch {
	case err != nil:
		return "", hash, err
	case len(text) > MaxBearer:
		return "", hash, fmt.Errorf("%w: %d bytes", ErrMalformed, len(text))
	}
	return text, HashOf(text), nil
}

// Verify reads a bearer token and tests all of it: at most [MaxBearer] bytes,
// HS256 under our key, an end after now, a beginning at most a minute ahead, one
// of our kinds, an id and an account. The first failure is returned, one of the
// errors of this package; callers show one word for all.
//
// The hash is the one that Mint returned; no other text has the same claims and
// is accepted. Whether the token was revoked is for the caller to look up by it.
func (k *Keys) Verify(text string, now time.Time) (Claims, [sha256.Size]byte, error) {
	var b bearer
	if err := open(text, MaxBearer, k.bearer, &b); err != nil {
		return Claims{}, [sha256.Size]byte{}, err
	}
	c, err := b.claims(now)
	if err != nil {
		return Claims{}, [sha256.Size]byte{}, err
	}
	return c, HashOf(text), nil
}

// claims tests what the claims say.
func (b *bearer) claims(now time.Time) (Claims, error) {
	issued, expires, err := b.check(now, bearerSkew)
	switch {
	case err != nil:
		return Claims{}, err
	case !b.Kind.known():
		return Claims{}, ErrKind
	case b.ID == "":
		return Claims{}, ErrID
	case b.Account == "":
		return Claims{}, ErrAccount
	}
	return Claims{
		Account: b.Account, Email: b.Email, Name: b.Name, Kind: b.Kind, ID: b.ID,
		IssuedAt: issued, ExpiresAt: expires,
	}, nil
}

func (k Kind) known() bool { return k == KindDevice || k == KindPasted }

// HashOf returns the SHA-256 of a token's text, under which it is stored.
func HashOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
