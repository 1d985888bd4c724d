package app

import (
	"context"
	"errors"
	"slices"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// Plugins makes the stages that run in processes of their own.
type Plugins interface {
	// Factory returns what makes the stage of a link with a plugin section. It
	// starts nothing, for it is also called to check and to print a config, and
	// for links that are off. Its error becomes the link's problem.
	Factory(link config.Link) (*chain.Factory, error)

	// Check returns what keeps the link from being served, which it finds out by
	// starting the program beside those that run. It changes nothing.
	Check(ctx context.Context, link config.Link) error

	// Status returns how the plugins of all chains that run are doing, for the
	// metrics. A link may be in it twice while a reload replaces it.
	Status() []pluginhost.Status

	// Counts returns what was counted for the links since they first came, for the
	// metrics. None of it ever falls, and links that are gone are in it.
	Counts() []pluginhost.Counts
}

// checkPlugins starts the programs of a chain that would not be carried over,
// asks them, and ends them.
func (a *App) checkPlugins(ctx context.Context, c config.Config, next *chain.Chain) error {
	var errs []error
	for _, l := range c.Pipeline {
		if l.Enabled && l.Plugin != nil && !next.Carried(l.Name) {
			errs = append(errs, a.options.Plugins.Check(ctx, l))
		}
	}
	return errors.Join(errs...)
}

// programChanges names the links of a config that did not change, and whose
// program did.
func programChanges(before, after []config.Link, next *chain.Chain) []string {
	var lines []string
	for _, l := range after {
		same := slices.ContainsFunc(before, func(b config.Link) bool { return b.Equal(l) })
		if l.Enabled && l.Plugin != nil && same && !next.Carried(l.Name) {
			lines = append(lines, l.Name+": the program changed")
		}
	}
	return lines
}

// errNoPlugins refuses a plugin in a program without a host for them, so that no
// stage is believed to be there that is not.
var errNoPlugins = errors.New("this release runs no plugins: take the link out, or set enabled: false")

// pluginFactory returns the factory of a link, nil for a stage that is built in.
func pluginFactory(link config.Link, plugins Plugins) *chain.Factory {
	if link.Plugin == nil {
		return nil
	}
	if plugins == nil {
		return refused(link, errNoPlugins)
	}
	f, err := plugins.Factory(link)
	if err != nil {
		return refused(link, err)
	}
	return f
}

// refused makes no stage, and says why.
func refused(link config.Link, why error) *chain.Factory {
	f := &chain.Factory{
		Plugin:   link.Plugin.Path,
		Policies: []chain.Policy{chain.Hold, chain.FailClosed, chain.FailOpen, chain.Fallback},
		New:      func(chain.LinkSpec) (sdk.Stage, error) { return nil, why },
	}
	switch link.Plugin.Role {
	case config.Observer:
		f.Role = chain.RoleObserver
	case config.Owner:
		f.Role = chain.RoleOwner
	case config.Gate:
	}
	return f
}
