package app

import (
	"context"

	"github.com/claudemesh/broker/core/feature"
)

// Post implements [feature.Poster].
func (a *App) Post(ctx context.Context, p *feature.Post) (messageID string, err error) {
	return a.exchange.Post(ctx, p)
}

var _ feature.Poster = (*App)(nil)
