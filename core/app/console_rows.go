package app

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
)

const (
	// rowsEvery is how often the store is asked while somebody watches, and
	// rowsTimeout how long it may take.
	rowsEvery   = 5 * time.Second
	rowsTimeout = 10 * time.Second

	// rowsRest bounds what asking costs: a hundredth of one connection's time, or one
	// look a minute where a look is so slow that this would show old numbers.
	rowsRest = 100

	// rowsOld is when numbers are older than they come to be while the store answers.
	rowsOld = keptRest + 2*rowsTimeout

	// consoleMeshes is how many meshes the page is given: far more than it shows,
	// since it searches among them.
	consoleMeshes = 5000
)

// consoleRows is what the page shows of what takes a query, or a look at each
// session.
type consoleRows struct {
	meshes   []console.Mesh // those with the most peers first, then those with the longest queue
	left     int            // meshes beyond them
	waiting  int            // deliveries, in all meshes
	oldest   time.Time
	sessions int
	nodes    []console.Node
}

// readRows asks the store, with one query for each table.
func (s *consoleSource) readRows(ctx context.Context) (rows consoleRows, err error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	a, st := s.app, s.app.options.Store
	list, err := st.ListMeshes(ctx)
	if err != nil {
		return rows, err
	}
	queues, err := st.QueueByMesh(ctx, consoleMeshes)
	if err != nil {
		return rows, err
	}
	rows.waiting, rows.oldest = total(queues)
	if len(queues) == consoleMeshes { // there may be more
		n, oldest, err := st.QueueDepth(ctx)
		if err != nil {
			return rows, err
		}
		rows.waiting, rows.oldest = int(n), oldest
	}
	counts := a.dir.Counts()
	for _, c := range counts {
		rows.sessions += c.Here + c.Away
	}
	rows.meshes, rows.left = busiest(meshesOf(list, queues, counts))
	if rows.meshes, err = withHeads(ctx, st, rows.meshes); err != nil {
		return rows, err
	}
	rows.nodes, err = s.nodes(ctx)
	return rows, err
}

// aboutRows says what is wrong with the rows of a time, err being what the store
// said at the latest look.
func aboutRows(now, at time.Time, err error) []string {
	const what = "meshes, queues and replicas are "
	why := ""
	if err != nil {
		_, why = admin.Explain(err)
	}
	switch of := what + "as of " + at.UTC().Format(time.TimeOnly) + " UTC: "; {
	case at.IsZero() && err != nil:
		return []string{what + "not known: " + why}
	case at.IsZero():
		return []string{what + "not known yet: the store has not answered so far"}
	case err != nil:
		return []string{of + why}
	case now.Sub(at) > rowsOld:
		return []string{of + "the store has not answered since"}
	}
	return nil
}

// total adds queues up.
func total(queues []store.MeshQueue) (n int, oldest time.Time) {
	for _, q := range queues {
		n += int(q.Waiting)
		if oldest.IsZero() || q.Oldest.Before(oldest) {
			oldest = q.Oldest
		}
	}
	return n, oldest
}

// meshesOf joins what is known of the meshes in use, and of those in which
// something waits or somebody is all the same.
func meshesOf(list []store.MeshSummary, queues []store.MeshQueue, counts map[string]presence.Counts) []console.Mesh {
	meshes := make([]console.Mesh, 0, len(list))
	place := make(map[string]int, len(list))
	at := func(id string) *console.Mesh {
		i, ok := place[id]
		if !ok {
			i = len(meshes)
			place[id] = i
			meshes = append(meshes, console.Mesh{ID: id})
		}
		return &meshes[i]
	}
	for _, m := range list {
		at(m.Mesh.ID).Slug = m.Mesh.Slug
	}
	for _, q := range queues {
		m := at(q.MeshID)
		m.Queue, m.Oldest = int(q.Waiting), q.Oldest
	}
	for id, c := range counts {
		m := at(id)
		m.Peers, m.There = c.Here, c.There
	}
	return meshes
}

// busiest returns the meshes that the page is given, and how many it is not.
func busiest(meshes []console.Mesh) (shown []console.Mesh, left int) {
	slices.SortFunc(meshes, func(a, b console.Mesh) int {
		return cmp.Or(cmp.Compare(b.Peers, a.Peers), cmp.Compare(b.Queue, a.Queue), strings.Compare(a.Slug, b.Slug), strings.Compare(a.ID, b.ID))
	})
	n := min(len(meshes), consoleMeshes)
	return slices.Clone(meshes[:n]), len(meshes) - n
}

// withHeads adds the ends of the meshes' audit logs.
func withHeads(ctx context.Context, st store.Overview, meshes []console.Mesh) ([]console.Mesh, error) {
	ids := make([]string, len(meshes))
	place := make(map[string]int, len(meshes))
	for i, m := range meshes {
		ids[i], place[m.ID] = m.ID, i
		meshes[i].Audit.Known = true
	}
	ends, err := st.AuditEnds(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, e := range ends {
		meshes[place[e.MeshID]].Audit = console.AuditHead{Known: true, Entries: e.Count, Hash: e.Hash, At: e.At}
	}
	return meshes, nil
}

// nodes lists the replicas that share the store.
func (s *consoleSource) nodes(ctx context.Context) ([]console.Node, error) {
	n := s.app.options.Cluster
	if n == nil {
		return nil, nil
	}
	list, err := n.Shared().ListNodes(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	nodes := make([]console.Node, 0, len(list))
	for _, r := range list {
		node := console.Node{
			ID: r.ID, Host: r.Host, Version: r.Version, Slot: r.Slot, Self: r.ID == n.ID(),
			Lease: now.Add(r.Expires), Held: r.Expires > 0,
		}
		node.BusUp = node.Self && n.BusUp()
		nodes = append(nodes, node)
	}
	return nodes, nil
}
