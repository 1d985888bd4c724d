package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
)

// purpose says what a command wants of a store.
type purpose uint8

const (
	toRead    purpose = iota // or to change what holds no secret
	toSign                   // needs the key that seals secrets
	toMake                   // may be the first to use the store, and needs the key
	toList                   // lists migrations, whatever is pending
	toMigrate                // applies them, and may be the first to use the store
)

// with runs f with the operations on the store that the flags select, whoever
// does them.
func (p *program) with(ctx context.Context, why purpose, f func(*control.Session) error) error {
	loaded, err := p.loadForCommand()
	if err != nil {
		return err
	}
	c := loaded.Config
	return onSession(ctx, c, f, func(ctx context.Context) (admin.Ops, func() error, error) {
		st, err := openForCommand(ctx, c, why)
		if err != nil {
			return nil, nil, err
		}
		var keys *identity.AtRest
		if why == toSign || why == toMake {
			if keys, err = loadKeys(ctx, c, st); err == nil {
				_, err = bindNow(ctx, st, keys, slog.New(slog.DiscardHandler))
			}
			if err != nil {
				return nil, nil, errors.Join(err, st.Close())
			}
		}
		h := hooks(c, st, func() string { return publicURL(c, c.Listen) })
		h.AppURL = func() string { return c.HTTP.Links(h.URL()) }
		h.TokenTTL = c.HTTP.TokenTTL
		h.Record = recordIn(c, st)
		h.Revoked = tellNodes(ctx, st)
		return admin.New(st, keys, h), st.Close, nil
	})
}

// withBroker runs f with the operations that need no store: what a running
// broker answers, or the config alone.
func (p *program) withBroker(ctx context.Context, f func(*control.Session) error) error {
	loaded, err := p.loadForCommand()
	if err != nil {
		return err
	}
	c := loaded.Config
	return onSession(ctx, c, f, func(context.Context) (admin.Ops, func() error, error) {
		h := admin.Hooks{Chain: func() (chain.Description, bool, error) { //nolint:contextcheck // nothing is started
			d, err := describe(c)
			return d, false, err
		}}
		h.Plugins = func() []pluginhost.Status { return plugins(c) }
		return admin.New(nil, nil, h), func() error { return nil }, nil
	})
}

func onSession(ctx context.Context, c config.Config, f func(*control.Session) error, direct control.Direct) error {
	s, err := control.Open(ctx, c.DataDir, direct)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}
