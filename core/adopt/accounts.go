package adopt

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

// readAccounts returns the accounts that own the mesh or have a member in it,
// but for those that came with a mesh before it. One of which the database has
// no row, or none that this user may read, is known by its id alone.
//
// That a sync wrote an account beside a member's key (dashboard_user_id) is no
// proof that the key is the account's: anybody could name any key.
func (w *work) readAccounts(ctx context.Context) (list []*store.Account, err error) {
	byID := make(map[string]*store.Account)
	var ids []string
	note := func(id string) {
		if id != "" && !w.accounts[id] {
			w.accounts[id] = true
			byID[id] = &store.Account{ID: id, CreatedAt: w.o.Now}
			ids, list = append(ids, id), append(list, byID[id])
		}
	}
	note(w.owner)
	for _, m := range w.members {
		note(m.AccountID)
	}
	for row, err := range w.src.read(ctx, "user", "WHERE t.id = ANY ($1) ORDER BY t.id", ids) {
		if err != nil {
			return nil, err
		}
		a := byID[row.text("id")]
		a.Email, a.Name, a.CreatedAt = row.text("email"), row.text("name"), row.timeOr("created_at", w.o.Now)
	}
	return list, nil
}
