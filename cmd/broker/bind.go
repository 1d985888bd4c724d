package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// bindEvery is how often a broker looks whether those of other releases are gone.
const bindEvery = 2 * time.Second

// bindSecrets is bindNow for a broker: what has to wait is done in the
// background. The caller calls stop before the store is closed.
func bindSecrets(ctx context.Context, st backend.Database, keys *identity.AtRest, log *slog.Logger) (stop func(), err error) {
	waits, err := bindNow(ctx, st, keys, log)
	if err != nil || !waits {
		return func() {}, err
	}
	log.Info("brokers of another release share the store: secrets that they can read are bound to their rows when they are gone")
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		bindLater(ctx, st, keys, log)
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}

// bindLater tries until it is done or ctx ends.
func bindLater(ctx context.Context, st backend.Database, keys *identity.AtRest, log *slog.Logger) {
	tick := time.NewTicker(bindEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waits, err := bindNow(ctx, st, keys, log)
		if err == nil && !waits {
			return
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("the secrets of the store are not bound to their rows yet", slog.Any("err", err))
		}
	}
}

// bindNow refuses a key that opens nothing in the store, and brings up to date what
// older programs have sealed, or left in clear: see [issue.Issuer.Bind]. It
// waits, and changes nothing, while a broker of another release shares the
// store, which may be one that reads nothing else; only so long are secrets
// accepted that are bound to nothing.
//
// Commands that sign without a broker do the same. Were they to take what is
// bound to nothing instead, somebody who can write the store would only have to
// wait for the next command.
func bindNow(ctx context.Context, st backend.Database, keys *identity.AtRest, log *slog.Logger) (waits bool, err error) {
	issuer := issue.New(st, keys, nil)
	damaged, err := issuer.CheckKey(ctx)
	if err != nil || keys == nil {
		return false, err
	}
	if waits, err = otherReleases(ctx, st); err != nil {
		return false, err
	}
	if waits {
		keys.AcceptUnbound(true)
		return true, nil
	}
	done, err := issuer.Bind(ctx, st)
	if err != nil {
		return false, err
	}
	keys.AcceptUnbound(false)
	if done.Meshes > 0 || done.Invites > 0 {
		log.Info("what an older program has sealed was bound to its rows, and tokens of invites were sealed",
			slog.Int("meshes", done.Meshes), slog.Int("invites", done.Invites))
	}
	warnUnfit(log, done.Refused, damaged)
	return false, nil
}

// warnUnfit names the meshes whose secrets are of no use, each once.
func warnUnfit(log *slog.Logger, refused []issue.Unbindable, damaged []issue.Unopened) {
	named := make(map[string]bool)
	for _, r := range refused {
		named[r.Mesh] = true
		log.Warn("the secrets of a mesh were left as they are: it has no invites until its row is restored",
			slog.String("mesh", r.Slug), slog.String("id", r.Mesh), slog.String("why", r.Why))
	}
	for _, d := range damaged {
		if !named[d.Mesh] {
			log.Warn("a secret of a mesh cannot be opened: it has no invites until its row is restored",
				slog.String("mesh", d.Slug), slog.String("id", d.Mesh), slog.Any("err", d.Err))
		}
	}
}

// otherReleases reports whether a broker of another release shares the store.
// Builds without a version are all alike.
func otherReleases(ctx context.Context, st any) (bool, error) {
	shared, ok := st.(store.Nodes)
	if !ok {
		return false, nil
	}
	nodes, err := shared.ListNodes(ctx)
	if err != nil {
		return false, core.Unavailable(err)
	}
	for _, n := range nodes {
		if n.Expires > 0 && n.Version != programVersion() {
			return true, nil
		}
	}
	return false, nil
}
