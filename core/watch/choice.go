package watch

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// Limits of what one round looks at. What does not fit waits for the next one, and
// the one that has waited longest comes first, so that nobody's watches keep out
// others for long.
const (
	perRound  = 256
	perMesh   = 32
	perMember = 8
	perHost   = 1 // so that a host is asked every two seconds at most

	// What is due is read so many at once, so many times: many that wait for their
	// turn at one host do not hide what is behind them.
	dueAtOnce = 256
	dueReads  = 32
)

// choice is what a round looks at, and how much of it is of each mesh, member and
// host.
type choice struct {
	list                   []*store.Watch
	meshes, members, hosts map[string]int
}

func newChoice() *choice {
	return &choice{meshes: map[string]int{}, members: map[string]int{}, hosts: map[string]int{}}
}

// choose returns what a round looks at, of what is due.
func (w *Watcher) choose(ctx context.Context, t time.Time) ([]*store.Watch, error) {
	c := newChoice()
	for n := range dueReads {
		due, err := w.o.Store.DueWatches(ctx, t, n*dueAtOnce, dueAtOnce)
		if err != nil {
			return nil, err
		}
		c.add(due)
		if len(due) < dueAtOnce || len(c.list) == perRound {
			break
		}
	}
	return c.list, nil
}

// add takes those of the watches that the limits leave room for.
func (c *choice) add(due []*store.Watch) {
	for _, row := range due {
		host := hostOf(row.URL)
		if len(c.list) == perRound || c.meshes[row.MeshID] == perMesh || c.members[row.MemberID] == perMember || c.hosts[host] == perHost {
			continue
		}
		c.meshes[row.MeshID]++
		c.members[row.MemberID]++
		c.hosts[host]++
		c.list = append(c.list, row)
	}
}

// hostOf returns the host of a URL in one form.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}
