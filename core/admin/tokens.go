package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Times of what an operator makes.
const (
	codeTTL         = 10 * time.Minute // of a one-time code
	defaultTokenTTL = 30 * 24 * time.Hour
	minTokenTTL     = time.Minute
	maxTokenTTL     = 10 * 365 * 24 * time.Hour
)

// CreateToken implements [Ops].
func (l *Local) CreateToken(ctx context.Context, account string, o TokenOptions) (*NewToken, error) {
	ttl := o.TTL
	if ttl == 0 {
		ttl = l.hooks.TokenTTL
	}
	if ttl < minTokenTTL || ttl > maxTokenTTL {
		return nil, invalid("a token is good for 1m to 3650d")
	}
	if l.tokens == nil { // before there is an account
		return nil, noKey("sign tokens")
	}
	a, created, err := l.accountFor(ctx, account, o)
	if err != nil {
		return nil, err
	}
	now := l.now()
	text, row, err := issue.Token(l.tokens, issue.NewToken{
		Account: a, Kind: store.TokenOperator, Hostname: "operator", Platform: "unknown", Arch: "unknown", TTL: ttl,
	}, now)
	if err != nil {
		return nil, err
	}
	if err := l.store.CreateToken(ctx, row); err != nil {
		return nil, core.Unavailable(err)
	}
	code := identity.NewCode()
	codeUntil := now.Add(codeTTL).UTC().Truncate(time.Millisecond)
	if err := l.store.CreateCode(ctx, identity.HashCode(code), a.ID, codeUntil); err != nil {
		return nil, core.Unavailable(err)
	}
	meshes, err := l.store.AccountMeshes(ctx, a.ID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	n := &NewToken{
		Account: accountOf(a), Created: created, Meshes: len(meshes), ID: row.ID, Token: text, ExpiresAt: row.ExpiresAt, Code: code, CodeExpiresAt: codeUntil,
	}
	if base := l.appURL(); base != "" {
		n.ApproveURL, n.TokenURL = base+"/cli-auth", base+"/token"
	}
	return n, nil
}

func noKey(to string) error {
	return core.Refuse("encryption_key", "encryption_key is needed to "+to+
		": set BROKER_ENCRYPTION_KEY to the 64 hex digits of this store's key")
}

// ListTokens implements [Ops].
func (l *Local) ListTokens(ctx context.Context, account string) ([]Token, error) {
	if account != "" {
		if _, err := l.account(ctx, account); err != nil {
			return nil, err
		}
	}
	rows, err := l.store.ListTokens(ctx, account, l.now())
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]Token, len(rows))
	for i, t := range rows {
		list[i] = Token{
			ID: t.ID, Account: t.AccountID, Kind: string(t.Kind), Hostname: t.Hostname, Platform: t.Platform, Arch: t.Arch,
			CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastSeenAt: t.LastSeenAt,
		}
	}
	return list, nil
}

// RevokeToken implements [Ops].
func (l *Local) RevokeToken(ctx context.Context, id string) error {
	err := l.store.RevokeToken(ctx, id, l.now())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return core.Refuse(sdk.ReasonNotFound, "no good token has the id "+quote(id)+": broker session list shows them")
	case err != nil:
		return core.Unavailable(err)
	}
	return nil
}

// ApproveSignIn implements [Ops].
func (l *Local) ApproveSignIn(ctx context.Context, code, account string) (*Approval, error) {
	a, err := l.approver(ctx, account)
	if err != nil {
		return nil, err
	}
	in, err := l.store.SignInByCode(ctx, identity.UserCode(code))
	if errors.Is(err, store.ErrNotFound) {
		return nil, core.Refuse(sdk.ReasonNotFound, "no command line waits with the code "+quote(code)+": type it as the terminal shows it")
	}
	if err != nil {
		return nil, core.Unavailable(err)
	}
	now := l.now()
	switch err := l.store.ApproveSignIn(ctx, in.ID, a.ID, now); {
	case errors.Is(err, store.ErrConflict) && !in.ExpiresAt.After(now):
		return nil, core.Refuse("gone", "this code has expired: begin again on the machine that shows it")
	case errors.Is(err, store.ErrConflict):
		return nil, core.Refuse("conflict", "this code is approved already")
	case errors.Is(err, store.ErrNotFound):
		return nil, core.Refuse(sdk.ReasonNotFound, "no command line waits with the code "+quote(code)+": begin again there")
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return &Approval{
		Account: accountOf(a), UserCode: in.UserCode, Hostname: in.Hostname, Platform: in.Platform, Arch: in.Arch, Remote: in.Remote,
	}, nil
}

// approver returns the account that a sign-in is approved for: the named one, or
// the only one that there is.
func (l *Local) approver(ctx context.Context, id string) (*store.Account, error) {
	if id != "" {
		a, err := l.account(ctx, id)
		if err == nil && !a.Enabled() {
			err = disabled(id)
		}
		return a, err
	}
	rows, err := l.store.ListAccounts(ctx)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	var enabled []*store.Account
	for _, a := range rows {
		if a.Enabled() {
			enabled = append(enabled, a)
		}
	}
	switch len(enabled) {
	case 0:
		return nil, core.Refuse(sdk.ReasonNotFound, "there is no account to sign in: broker session create USER makes one")
	case 1:
		return enabled[0], nil
	default:
		return nil, core.Refuse(sdk.ReasonAmbiguous,
			fmt.Sprintf("there are %d accounts: say whom the code is for, as broker session approve CODE USER", len(enabled)))
	}
}
