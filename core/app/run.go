package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

// Run listens and serves until ctx ends, and then stops: readiness fails, peers
// are told to connect elsewhere, outboxes are written, commits finish. It
// returns within the configured shutdown timeout.
func (a *App) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.options.Config.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", a.options.Config.Listen, err), a.stop(cancel))
	}
	addr := listener.Addr().String()
	a.addr.Store(&addr)
	served := make(chan error, 2)
	if err := a.serveOps(ctx, served); err != nil {
		return errors.Join(err, listener.Close(), a.stop(cancel))
	}
	if err := a.serveConsole(ctx, work); err != nil {
		return errors.Join(err, listener.Close(), a.stop(cancel))
	}
	a.background(work)
	a.catchUp(ctx)
	go func() { served <- a.http.Serve(listener) }()
	if a.options.Ready != nil {
		a.options.Ready(addr)
	}
	select {
	case <-ctx.Done():
	case err = <-served:
	case <-a.expelled():
		err = errExpelled
	}
	return errors.Join(err, a.stop(cancel))
}

// background starts the loops that run beside the requests.
func (a *App) background(ctx context.Context) {
	for _, task := range []func(context.Context){
		a.hub.Watch,
		a.engine.Sweep,
		func(ctx context.Context) { a.dir.Sweep(ctx, a.left) },
		a.measure,
		a.sumUp,
		a.trim,
		a.reread,
		a.dropSQL,
		a.infer,
		a.follow,
		a.watchURLs,
		a.tick,
		a.heard.run,
		a.leaving.run,
		a.fireSchedules,
	} {
		a.tasks.Go(func() { task(ctx) })
	}
	for _, s := range a.sweeps() {
		a.tasks.Go(func() { a.sweep(ctx, s) })
	}
}

// stop ends everything in an order in which nothing that was promised is lost:
// readiness fails, messages that are with plugins come back, acks that wait for
// the disk are written, the peers are sent away, and what they left goes to disk.
// The port answers until the peers are gone, so that a load balancer can see why.
func (a *App) stop(cancel context.CancelFunc) error {
	ctx, done := context.WithTimeout(context.Background(), a.config.Load().ShutdownTimeout)
	defer done()
	a.log.Info("stopping", slog.Int("peers", a.hub.Count()))
	a.drain(ctx)
	a.settle(ctx)
	a.streams.Close()
	a.hub.Close(ctx, wire.CloseShuttingDown)
	listening := errors.Join(a.shutdown(ctx), a.closeConsole(ctx))
	gone := make(chan struct{})
	go func() { defer close(gone); a.peers.Wait() }()
	select {
	case <-gone:
	case <-ctx.Done():
		a.log.Warn("stopping with peers still busy", slog.Int("peers", a.hub.Count()))
	}
	cancel()
	a.engine.Close()
	a.tasks.Wait()
	chains := a.closeChain(ctx)
	committed := a.committer.Close(ctx)
	left := errors.Join(a.leaveCluster(ctx), a.closeSQL())
	a.log.Info("stopped")
	return errors.Join(listening, chains, committed, left)
}

// drain takes no new messages, and waits for those that are with plugins, for a
// third of the time. What is not back by then is not accepted when it comes back: its
// sender has gone without an answer, and sends it again.
func (a *App) drain(ctx context.Context) {
	ctx, cancel := third(ctx)
	defer cancel()
	if err := a.gate.Drain(ctx); err != nil {
		a.log.Warn("stopping with messages behind a plugin", slog.Any("err", err))
	}
}

// settle accepts no more messages, and waits until acks that wait for the disk are
// written, for a third of the time that is left: the peers have to be sent away too.
func (a *App) settle(ctx context.Context) {
	ctx, cancel := third(ctx)
	defer cancel()
	if err := errors.Join(a.gate.Shut(ctx), a.committer.Barrier(ctx)); err != nil {
		a.log.Warn("stopping with acks outstanding", slog.Any("err", err))
	}
}

// third returns a context for a third of the time that is left of another.
func third(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/3)
}
