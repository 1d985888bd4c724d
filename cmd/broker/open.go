package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/pluginhost"
)

// open opens what the broker works with, in the order in which one needs the
// other. What is open when it fails is closed by close as well.
func (b *broker) open(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		b.openStore, b.openKeys, b.joinCluster, b.openTraces, b.openPlugins, b.openFiles, b.openToken,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close closes it, the last first.
func (b *broker) close() (err error) {
	for _, f := range slices.Backward(b.closers) {
		err = errors.Join(err, f())
	}
	return err
}

// later has close call f.
func (b *broker) later(f func() error) { b.closers = append(b.closers, f) }

// laterWithin is later for what may take until a time is over.
func (b *broker) laterWithin(limit time.Duration, f func(context.Context) error) {
	b.later(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return f(ctx)
	})
}

// openStore opens the store of the data directory, which no other process uses
// meanwhile.
func (b *broker) openStore(ctx context.Context) error {
	st, unlock, err := takeStore(ctx, b.config, b.log)
	if err != nil {
		return err
	}
	b.store = st
	b.later(func() error { unlock(); return nil })
	b.later(st.Close)
	return nil
}

// openKeys finds the operator's key, and binds with it what the store seals.
func (b *broker) openKeys(ctx context.Context) (err error) {
	if b.keys, err = loadKeys(ctx, b.config, b.store, true); err != nil {
		return err
	}
	if b.keys == nil && b.config.Mode == config.Dev {
		b.log.Warn("no encryption key: this replica makes no meshes and no invites; set BROKER_ENCRYPTION_KEY to what the first one has")
		return nil
	}
	bound, err := bindSecrets(ctx, b.store, b.keys, b.log)
	if err != nil {
		return err
	}
	b.later(func() error { bound(); return nil })
	return nil
}

func (b *broker) joinCluster(ctx context.Context) error {
	node, closeBus, err := backend.JoinCluster(ctx, b.config, b.store, programVersion(), b.log)
	if err != nil {
		return err
	}
	b.node = node
	b.later(closeBus)
	return nil
}

// openPlugins makes the host of the broker's plugins, whose sockets are in the
// data directory. It is closed when the chain has been.
func (b *broker) openPlugins(context.Context) (err error) {
	b.plugins, err = pluginhost.New(pluginhost.Options{
		RunDir: filepath.Join(b.config.DataDir, "plugins"), Version: programVersion(), Log: b.log,
		Tracer: b.traces.Spans(), Spans: b.traces.Processor(), Taken: feature.All(feature.Deps{}).Taken,
	})
	if err != nil {
		return err
	}
	b.laterWithin(stopTime, b.plugins.Close)
	return nil
}

// openToken finds the console's token, or makes one.
func (b *broker) openToken(context.Context) (err error) {
	b.token, b.tokenFile, err = consoleToken(b.config)
	return err
}

// takeStore locks the data directory, which it makes when there is none, and
// opens its store.
func takeStore(ctx context.Context, c config.Config, log *slog.Logger) (_ backend.Database, unlock func(), err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("data_dir: %w", err)
	}
	if unlock, err = control.Lock(ctx, c.DataDir); err != nil {
		return nil, nil, err
	}
	st, err := openStore(ctx, c, true, log)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return st, unlock, nil
}
