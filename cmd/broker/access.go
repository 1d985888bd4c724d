package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// purpose says what a command wants of a store.
type purpose uint8

const (
	toRead    purpose = iota // or to change what holds no secret
	toSign                   // needs the key that seals secrets, and a store that a broker has used
	toMake                   // may be the first to use the store, and needs the key
	toList                   // lists migrations, whatever is pending
	toMigrate                // applies them, and may be the first to use the store
)

// with runs f with the operations on the store that the flags select, whoever
// does them.
func (p *program) with(ctx context.Context, why purpose, f func(*control.Session) error) error {
	return p.onStore(ctx, why, func(_ config.Config, s *control.Session) error { return f(s) })
}

// withPlace is with for what is easily done in the wrong place: accounts, tokens,
// invites and members are of use to the brokers of one store only. It says which
// store it was when no broker runs there, and whom it has asked for what was not
// found.
func (p *program) withPlace(ctx context.Context, why purpose, f func(*control.Session) error) error {
	return p.onStore(ctx, why, func(c config.Config, s *control.Session) error {
		err := f(s)
		var refused *core.Error
		switch {
		case err == nil && s.Running == nil:
			fmt.Fprintf(p.err, "note: no broker runs on %s, so this went to %s itself\n", c.DataDir, storeName(c))
		case errors.As(err, &refused) && (refused.Code == sdk.ReasonNotFound || refused.Code == sdk.ReasonUnknownMesh):
			return core.Refuse(refused.Code, refused.Message+" ("+askedOf(c, s)+")")
		}
		return err
	})
}

// toSignOrMake is toSign for a store that nobody has named, which may be another
// one than was meant. In one that was named, tokens may come before the first mesh.
func (p *program) toSignOrMake() purpose {
	named := func(pair string) bool {
		return strings.HasPrefix(pair, "data_dir=") || strings.HasPrefix(pair, "store.url=")
	}
	if p.settings.dataDir != "" || p.settings.file != "" || slices.ContainsFunc(p.settings.set, named) {
		return toMake
	}
	for _, name := range []string{"DATABASE_URL", config.ConfigVariable, config.VariableName("data_dir"), config.VariableName("store.url")} {
		if slices.ContainsFunc(p.environ, func(v string) bool { return strings.HasPrefix(v, name+"=") && v != name+"=" }) {
			return toMake
		}
	}
	return toSign
}

// storeName names the store that a config selects, without a password.
func storeName(c config.Config) string {
	if c.Store.Engine() == "sqlite" {
		return "the store in " + c.DataDir
	}
	u, err := url.Parse(c.Store.URL.Reveal())
	if err != nil {
		return "PostgreSQL"
	}
	return "PostgreSQL " + u.Host + u.Path
}

// askedOf says who has answered.
func askedOf(c config.Config, s *control.Session) string {
	if s.Running == nil {
		return "asked: " + storeName(c) + "; no broker runs on " + c.DataDir
	}
	return "asked: the broker at " + s.Running.URL + ", which runs on " + c.DataDir
}

// onStore is with, with the config.
func (p *program) onStore(ctx context.Context, why purpose, f func(config.Config, *control.Session) error) error {
	c, broken, err := p.loadToAsk(ctx)
	if err != nil {
		return err
	}
	return onSession(ctx, c, func(s *control.Session) error { return f(c, s) }, func(ctx context.Context) (admin.Ops, func() error, error) {
		if broken != nil {
			return nil, nil, broken
		}
		st, err := openForCommand(ctx, c, why)
		if err != nil {
			return nil, nil, err
		}
		var keys *identity.AtRest
		if why == toSign || why == toMake {
			if keys, err = loadKeys(ctx, c, st, why == toMake); err == nil {
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
	c, broken, err := p.loadToAsk(ctx)
	if err != nil {
		return err
	}
	return onSession(ctx, c, f, func(context.Context) (admin.Ops, func() error, error) {
		if broken != nil {
			return nil, nil, broken
		}
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
