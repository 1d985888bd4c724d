package feature

import (
	"context"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
)

// sight reports whether the member that asks may see what a member, given by its
// id, wrote for its mesh.
type sight func(ctx context.Context, writerID string) (bool, error)

// sightOf returns what the sender of a call may see: its own, what nobody knows
// the writer of, and what a member wrote that grants it state-read. Grants end
// with their member. Each writer is looked up once.
func sightOf(c *Call, who Roster) sight {
	by, known := c.Env.Sender, map[string]bool{}
	return func(ctx context.Context, writerID string) (bool, error) {
		if writerID == "" || writerID == by.MemberID {
			return true, nil
		}
		if may, ok := known[writerID]; ok {
			return may, nil
		}
		writer, err := who.MemberByID(ctx, writerID)
		if err != nil {
			return false, core.Unavailable(err)
		}
		known[writerID] = !writer.Live() || writer.Grants.Allows(by.Member, by.Session, store.CapStateRead)
		return known[writerID], nil
	}
}

// inSight returns what find finds without the members that it is told to leave
// out: those whose writings may not be seen. It looks again until there are none
// among what was found, so that what is hidden takes nobody's place.
func inSight[T any](ctx context.Context, sees sight, writer func(T) string, find func(except []string) ([]T, error)) ([]T, error) {
	var except []string
	for {
		list, err := find(except)
		if err != nil {
			return nil, core.Unavailable(err)
		}
		known := len(except)
		for _, row := range list {
			seen, err := sees(ctx, writer(row))
			if err != nil {
				return nil, err
			}
			if id := writer(row); !seen && !slices.Contains(except, id) {
				except = append(except, id)
			}
		}
		if len(except) == known {
			return list, nil
		}
	}
}
