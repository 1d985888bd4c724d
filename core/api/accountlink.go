package api

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
)

// linkAccount makes an account the one of a live member that has none, and
// reports whether it did. Only a key that has proved itself may be linked: over
// HTTP the account can then do whatever the member may.
func linkAccount(ctx context.Context, st store.Members, memberID, account string) (bool, error) {
	taken := errors.New("somebody has the member already")
	_, err := st.ChangeMember(ctx, memberID, func(m *store.Member) error {
		if m.AccountID != "" || !m.Live() {
			return taken
		}
		m.AccountID = account
		return nil
	})
	switch {
	case errors.Is(err, taken), errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, core.Unavailable(err)
	}
	return true, nil
}
