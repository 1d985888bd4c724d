package app_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/bus/local"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/postgres"
)

// nodes are brokers in this process that share a Postgres.
type nodes struct {
	list []*rig
	net  *local.Exchange
	db   []*cutStore
	bus  []*local.Bus
	edit func(*app.Options) // of each node; nil changes nothing
}

// cutStore is a store whose lease cannot be renewed while it is cut: its node
// is as good as frozen.
type cutStore struct {
	*postgres.Store
	cut atomic.Bool
}

func (s *cutStore) RenewNode(ctx context.Context, id string, ttl time.Duration) error {
	if s.cut.Load() {
		return store.ErrUnavailable
	}
	return s.Store.RenewNode(ctx, id, ttl)
}

// newNodes starts so many brokers on a fresh database with one mesh.
func newNodes(t *testing.T, n int, change func(*config.Config)) *nodes {
	t.Helper()
	return newNodesWith(t, n, change, nil)
}

// newNodesWith is newNodes with options that are no config.
func newNodesWith(t *testing.T, n int, change func(*config.Config), edit func(*app.Options)) *nodes {
	t.Helper()
	all := &nodes{net: local.NewExchange(), edit: edit}
	url := freshtest.URL(t)
	for range n {
		all.add(t, url, change)
	}
	first := all.list[0]
	first.newMesh()
	for _, r := range all.list[1:] {
		r.mesh, r.owner = first.mesh, first.owner
	}
	return all
}

func (n *nodes) add(t *testing.T, url string, change func(*config.Config)) {
	t.Helper()
	cfg := unlimited()
	cfg.Store.Lease = 2 * time.Second
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	st, err := postgres.Open(t.Context(), postgres.Options{URL: url, Migrate: true, MaxConns: 6, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	db, b := &cutStore{Store: st}, n.net.Join()
	node, err := cluster.Join(t.Context(), cluster.Options{Store: db, Bus: b, Lease: cfg.Store.Lease, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r := startOn(t, cfg, db, func(o *app.Options) {
		if o.Cluster = node; n.edit != nil {
			n.edit(o)
		}
	})
	stop := r.stop
	r.stop = func() {
		stop()
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("close bus: %v", err)
		}
	}
	t.Cleanup(r.stop)
	n.list, n.db, n.bus = append(n.list, r), append(n.db, db), append(n.bus, b)
}

// both returns the first two nodes.
func (n *nodes) both() (a, b *rig) { return n.list[0], n.list[1] }

// wantMeets waits until every node knows of so many sessions that are online.
func (n *nodes) wantMeets(online int) {
	for _, r := range n.list {
		r.t.Helper()
		r.wantOnline(online)
	}
}
