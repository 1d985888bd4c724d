package token

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of sync tokens.
const (
	MaxSync       = 16 << 10 // bytes; some 120 meshes
	MaxSyncLife   = time.Hour
	MinSyncSecret = 32 // bytes of the secret

	syncSkew = 30 * time.Second // how far ahead the web app's clock may be
)

// Sync is what a sync token says: an account of the operator's web app and the
// meshes that it wants a peer to join.
type Sync struct {
	ID        string // claim jti, for the caller to take only once until ExpiresAt
	Account   string // id; claim sub
	Email     string
	Meshes    []SyncMesh // may be empty
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// SyncMesh is one mesh of a sync token, all of it as the web app says and none
// of it tested. Whether the role may be believed is for the caller to judge.
type SyncMesh struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Role string `json:"role"`
}

// CheckSecret tests a CLI_SYNC_SECRET: [ErrNoSecret] for none, [ErrShortSecret]
// for one below [MinSyncSecret] bytes, which a holder of one token could guess.
func CheckSecret(secret []byte) error {
	switch {
	case len(secret) == 0:
		return ErrNoSecret
	case len(secret) < MinSyncSecret:
		return ErrShortSecret
	}
	return nil
}

// ParseSync reads a sync token and tests all that can be tested without a
// store, so that the caller takes its ID as the last step: the secret, the
// shape, the algorithm, the signature, the times, then id, account, email and
// meshes. The first failure is returned, one of the errors of this package;
// behind "sync token invalid: " its text is what the original answered.
//
// Other than there a token must say when it begins and ends, at most
// [MaxSyncLife] apart, so that its ID need not be remembered for longer.
func ParseSync(text string, secret []byte, now time.Time) (Sync, error) {
	if err := CheckSecret(secret); err != nil {
		return Sync{}, err
	}
	var claims struct {
		Account string         `json:"sub"`
		Email   string         `json:"email"`
		Kind    Kind           `json:"type"`
		ID      string         `json:"jti"`
		Meshes  jsontext.Value `json:"meshes"`
		life    `json:",inline"`
	}
	if err := open(text, MaxSync, secret, &claims); err != nil {
		return Sync{}, err
	}
	issued, expires, err := claims.check(now, syncSkew)
	switch {
	case err != nil:
		return Sync{}, err
	case expires.Sub(issued) > MaxSyncLife:
		return Sync{}, fmt.Errorf("%w: exp is more than an hour after iat", ErrMalformed)
	case claims.Kind.known():
		return Sync{}, fmt.Errorf("%w: a bearer token", ErrMalformed)
	case claims.ID == "":
		return Sync{}, ErrID
	case claims.Account == "" || claims.Email == "":
		return Sync{}, ErrAccount
	case claims.Meshes.Kind() != '[':
		return Sync{}, ErrMeshes
	}
	sync := Sync{ID: claims.ID, Account: claims.Account, Email: claims.Email, IssuedAt: issued, ExpiresAt: expires}
	if err := json.Unmarshal(claims.Meshes, &sync.Meshes); err != nil {
		return Sync{}, fmt.Errorf("%w: meshes", ErrMalformed)
	}
	return sync, nil
}
