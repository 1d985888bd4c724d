package exchange

import (
	"context"

	"github.com/claudemesh/broker/sdk"
)

// withOwn finds out whom a target means, the sender's own sessions among them.
type withOwn struct{ sdk.Resolver }

// Resolve implements [sdk.Resolver].
func (r withOwn) Resolve(ctx context.Context, env *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	if env.Target.Kind != sdk.TargetBroadcast && env.Target.Kind != sdk.TargetGroup {
		return r.Resolver.Resolve(ctx, env, dst)
	}
	nobodys := *env
	nobodys.Sender.Member = sdk.Key{}
	return r.Resolver.Resolve(ctx, &nobodys, dst)
}
