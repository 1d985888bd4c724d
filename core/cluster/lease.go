package cluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// hold notes that the lease was prolonged by a request that was sent at asked:
// the store counts from later than that.
func (n *Node) hold(asked time.Time) {
	until := asked.Add(n.options.Lease)
	n.held.Store(&until)
}

// Held reports whether the lease surely holds. Both clocks have to agree: one
// goes on while the process is stopped, the other while the machine sleeps.
func (n *Node) Held() bool {
	until := n.held.Load()
	if until == nil {
		return false
	}
	now := time.Now()
	return now.Before(*until) && now.Round(0).Before(until.Round(0))
}

// renew prolongs the lease, until ctx ends or it is gone for good.
func (n *Node) renew(ctx context.Context) {
	tick := time.NewTicker(n.options.Lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.lost:
			return
		case <-tick.C:
			n.renewOnce(ctx)
		}
	}
}

func (n *Node) renewOnce(ctx context.Context) {
	was := n.Held()
	if !was && !n.fenced.Swap(true) {
		n.Counters.Fenced.Add(1)
		n.log.Warn("the lease of this node was over: nothing is pushed until it holds again", slog.String("node", n.self.ID))
	}
	asked, err := n.ask(ctx)
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		n.log.Error("others have deleted this node's registration: it has to start again", slog.String("node", n.self.ID))
		n.losing.Do(func() { close(n.lost) })
	case err != nil:
		n.failed(ctx, "lease not renewed", err)
	case was:
		n.away.Store(false)
		n.hold(asked)
	default:
		n.regain(ctx)
	}
}

// ask asks the store for the lease, and returns when it did.
func (n *Node) ask(ctx context.Context) (asked time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.options.Lease/3)
	defer cancel()
	asked = time.Now()
	return asked, n.store.RenewNode(ctx, n.self.ID, n.options.Lease)
}

// regain takes up work after the lease was over: first it finds out what others
// have taken over, then it tells them what it still has, then it pushes.
func (n *Node) regain(ctx context.Context) {
	if err := errors.Join(n.reconcileOnce(ctx), n.parts.Regained(ctx)); err != nil {
		n.failed(ctx, "lease renewed, but what others did meanwhile could not be read", err)
		return
	}
	asked, err := n.ask(ctx) // the above may have taken longer than the lease
	if err != nil {
		n.failed(ctx, "lease not renewed", err)
		return
	}
	n.backAt(time.Now())
	n.hold(asked)
	n.away.Store(false)
	n.fenced.Store(false)
	n.parts.Directory.Republish()
	n.parts.Engine.NudgeAll()
	n.prod.all()
	n.log.Info("the lease of this node holds again", slog.String("node", n.self.ID))
}
