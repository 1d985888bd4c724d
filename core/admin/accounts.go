package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Bounds of what an operator says of an account, in bytes.
const (
	maxAccountID = 64
	maxEmail     = 254
	maxName      = 256
)

// eventOwned is the audit event of a mesh that was given to an account.
const eventOwned = "mesh_owner_changed"

// ListAccounts implements [Ops].
func (l *Local) ListAccounts(ctx context.Context) ([]Account, error) {
	rows, err := l.store.ListAccounts(ctx)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	list := make([]Account, len(rows))
	for i, a := range rows {
		list[i] = accountOf(a)
	}
	return list, nil
}

func accountOf(a *store.Account) Account {
	return Account{
		ID: a.ID, Name: a.Name, Email: a.Email, CreatedAt: a.CreatedAt, DisabledAt: a.DisabledAt, Legacy: !a.NoLegacy,
	}
}

// SetAccountEnabled implements [Ops].
func (l *Local) SetAccountEnabled(ctx context.Context, id string, enabled bool) (*Account, error) {
	now := l.now().UTC().Truncate(time.Millisecond)
	return l.changeAccount(ctx, id, func(a *store.Account) {
		switch {
		case enabled:
			a.DisabledAt = time.Time{}
		case a.Enabled():
			a.DisabledAt = now
		}
	})
}

// SetAccountLegacy implements [Ops].
func (l *Local) SetAccountLegacy(ctx context.Context, id string, allowed bool) (*Account, error) {
	return l.changeAccount(ctx, id, func(a *store.Account) { a.NoLegacy = !allowed })
}

func (l *Local) changeAccount(ctx context.Context, id string, change func(*store.Account)) (*Account, error) {
	row, err := l.store.ChangeAccount(ctx, id, func(a *store.Account) error {
		change(a)
		return nil
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, noAccount(id)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	a := accountOf(row)
	return &a, nil
}

// SetMeshOwner implements [Ops].
func (l *Local) SetMeshOwner(ctx context.Context, mesh, id string) (*MeshOwner, error) {
	m, err := l.mesh(ctx, mesh)
	if err != nil {
		return nil, err
	}
	a, err := l.account(ctx, id)
	if err != nil {
		return nil, err
	}
	before := ""
	m, err = l.store.ChangeMesh(ctx, m.ID, func(m *store.Mesh) error {
		before, m.OwnerAccount = m.OwnerAccount, a.ID
		return nil
	})
	if err != nil {
		return nil, core.Unavailable(err)
	}
	if l.hooks.MeshChanged != nil {
		l.hooks.MeshChanged(m.ID)
	}
	o := &MeshOwner{MeshID: m.ID, Slug: m.Slug, Account: a.ID, Before: before}
	return o, l.recordOwner(ctx, m, before)
}

// recordOwner writes to the audit log whose a mesh is by now, unless it was
// before.
func (l *Local) recordOwner(ctx context.Context, m *store.Mesh, before string) error {
	if m.OwnerAccount == before || l.hooks.Record == nil {
		return nil
	}
	err := l.hooks.Record(ctx, &audit.Entry{
		MeshID: m.ID, EventType: eventOwned, CreatedAt: l.now().UTC().Truncate(time.Millisecond),
		Payload: audit.Object(audit.String("account", m.OwnerAccount), audit.String("before", before), audit.String("by", "operator")),
	})
	if err != nil {
		return fmt.Errorf("%s is %s's now, the audit log does not have it: %w", m.Slug, m.OwnerAccount, err)
	}
	return nil
}

// account returns an account by its id, disabled ones too.
func (l *Local) account(ctx context.Context, id string) (*store.Account, error) {
	a, err := l.store.Account(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, noAccount(id)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return a, nil
}

// accountFor returns the account with an id, which it makes when there is none.
// Email and name go to a new account, and replace an old one's where they are
// given.
func (l *Local) accountFor(ctx context.Context, id string, o TokenOptions) (a *store.Account, created bool, err error) {
	if err := checkPerson(o); err != nil {
		return nil, false, err
	}
	a, err = l.store.ChangeAccount(ctx, id, func(a *store.Account) error {
		if !a.Enabled() {
			return disabled(id)
		}
		if o.Email != "" {
			a.Email = o.Email
		}
		if o.Name != "" {
			a.Name = o.Name
		}
		return nil
	})
	if !errors.Is(err, store.ErrNotFound) {
		return a, false, orUnavailable(err)
	}
	if err := checkAccountID(id); err != nil {
		return nil, false, err
	}
	a = &store.Account{ID: id, Email: o.Email, Name: o.Name, CreatedAt: l.now().UTC().Truncate(time.Millisecond)}
	if a.Name == "" {
		a.Name = id
	}
	switch err = l.store.CreateAccount(ctx, a); {
	case errors.Is(err, store.ErrConflict): // somebody makes it at the same time
		a, err = l.account(ctx, id)
		return a, false, err
	case err != nil:
		return nil, false, core.Unavailable(err)
	}
	return a, true, nil
}

// orUnavailable leaves refusals as they are, and makes one of a store's error.
func orUnavailable(err error) error {
	var refused *core.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return core.Unavailable(err)
}

// checkAccountID refuses ids that would have to be quoted somewhere: in a path,
// in a signed text, on a command line. One that is spelt like a key could be
// mistaken for a member's.
func checkAccountID(id string) error {
	ok := id != "" && len(id) <= maxAccountID && id[0] != '-' && !strings.ContainsFunc(id, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._@+-", r)
	})
	if _, err := sdk.ParseKey(id); err == nil {
		return invalid("an account cannot be named like a key, since no member could be linked to it; got " + quote(id))
	}
	if !ok {
		return invalid("an account is named by 1 to 64 letters, digits and . _ @ + - such as ada or ada@example.org; got " + quote(id))
	}
	return nil
}

// checkPerson refuses names and addresses that are none.
func checkPerson(o TokenOptions) error {
	plain := func(text string) bool {
		return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
	}
	switch {
	case len(o.Name) > maxName || !plain(o.Name):
		return invalid("a name is plain text of 256 bytes at most")
	case o.Email != "" && (len(o.Email) > maxEmail || !plain(o.Email) || strings.Count(o.Email, "@") != 1 || strings.Contains(o.Email, " ")):
		return invalid("an e-mail address looks like ada@example.org; got " + quote(o.Email))
	}
	return nil
}

func noAccount(id string) error {
	return core.Refuse(sdk.ReasonNotFound, "no account is called "+quote(id)+
		": broker account list shows them all, broker session create makes one")
}

func disabled(id string) error {
	return core.Refuse(sdk.ReasonForbidden, "account "+id+" is disabled: broker account enable "+id+" lets it sign in again")
}
