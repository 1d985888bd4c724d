package app

import (
	"errors"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
)

// Plugins makes the stages that run in processes of their own.
type Plugins interface {
	// Factory returns what makes the stage of a link with a plugin section. It
	// starts nothing, for it is also called to check and to print a config, and
	// for links that are off. Its error becomes the link's problem.
	Factory(link config.Link) (*chain.Factory, error)
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
	if link.Plugin.Role == config.Observer {
		f.Role = chain.RoleObserver
	}
	return f
}
