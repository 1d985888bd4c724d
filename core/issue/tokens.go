package issue

import (
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// NewToken says whose a bearer token is, and for which machine.
type NewToken struct {
	Account  *store.Account
	Kind     store.TokenKind
	Hostname string // as whoever asked said; the next two too
	Platform string
	Arch     string
	TTL      time.Duration // a second at least
}

// Token makes a bearer token, which is handed out and kept nowhere, and the row
// for it, which the caller stores. keys may be nil: then it is refused with
// encryption_key.
func Token(keys *token.Keys, n NewToken, now time.Time) (text string, row *store.Token, err error) {
	if keys == nil {
		return "", nil, noKey()
	}
	now = now.UTC().Truncate(time.Millisecond)
	row = &store.Token{
		ID: identity.NewID(), AccountID: n.Account.ID, Kind: n.Kind, Hostname: n.Hostname, Platform: n.Platform, Arch: n.Arch,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(n.TTL).Truncate(time.Second),
	}
	kind := token.KindPasted
	if n.Kind == store.TokenDevice {
		kind = token.KindDevice
	}
	text, row.Hash, err = keys.Mint(token.Claims{
		Account: n.Account.ID, Email: n.Account.Email, Name: n.Account.Name, Kind: kind, ID: row.ID, ExpiresAt: row.ExpiresAt,
	}, now)
	if err != nil {
		return "", nil, fmt.Errorf("bearer token: %w", err)
	}
	return text, row, nil
}
