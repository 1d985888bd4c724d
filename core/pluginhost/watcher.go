package pluginhost

import (
	"context"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// watcher is the stage of a link that only observes: it is told, and not asked.
// The stage is a field of it and not a part, so that the chain finds nothing of
// a stage that can be asked.
type watcher struct{ stage *Stage }

// Compile-time list of what the chain looks for.
var (
	_ sdk.Stage    = watcher{}
	_ sdk.Observer = watcher{}
	_ sdk.Selector = watcher{}
	_ sdk.Starter  = watcher{}
	_ sdk.Stopper  = watcher{}
	_ chain.Keyed  = watcher{}
	_ chain.Health = watcher{}
)

// Handle implements [sdk.Stage].
func (watcher) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// Done implements [sdk.Observer].
func (w watcher) Done(env *sdk.Envelope, out sdk.Outcome) {
	if w.stage.wants(env) {
		w.stage.hop.Load().Observe(env, out)
	}
}

// Match implements [sdk.Selector].
func (w watcher) Match() sdk.Match { return w.stage.Match() }

// Start implements [sdk.Starter].
func (w watcher) Start(ctx context.Context) error { return w.stage.Start(ctx) }

// Stop implements [sdk.Stopper].
func (w watcher) Stop(ctx context.Context) error { return w.stage.Stop(ctx) }

// Key implements [chain.Keyed].
func (w watcher) Key() string { return w.stage.Key() }

// Health implements [chain.Health].
func (w watcher) Health() error { return w.stage.Health() }
