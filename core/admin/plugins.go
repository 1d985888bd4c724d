package admin

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
)

// ListPlugins implements [Ops].
func (l *Local) ListPlugins(context.Context) ([]pluginhost.Status, error) {
	if l.hooks.Plugins == nil {
		return nil, unsupported("nothing here runs plugins")
	}
	return l.hooks.Plugins(), nil
}

// ResumePlugin implements [Ops].
func (l *Local) ResumePlugin(_ context.Context, link string) error {
	if l.hooks.ResumePlugin == nil {
		return core.Refuse("not_running", "no broker runs on this store (--config and --data-dir say which one), "+
			"so no plugin waits to be resumed: broker serve starts them all")
	}
	if err := l.hooks.ResumePlugin(link); err != nil {
		return core.Refuse(sdk.ReasonInvalidArguments, err.Error())
	}
	return nil
}
