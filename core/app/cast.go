package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/relay"
)

// Kinds of what nodes post to each other.
const (
	postNotice = "notice" // feature.Notice
	postStream = "stream" // published
	postRelay  = "relay"  // of core/relay
)

// published is what a session of another node says to those that subscribe to a
// stream.
type published struct {
	Stream string         `json:"stream"`
	Notice feature.Notice `json:"notice"`
}

// Cast implements [feature.Caster].
func (a *App) Cast(ctx context.Context, n feature.Notice) {
	n.Tell(ctx, a.dir, a.roster)
	if node := a.options.Cluster; node != nil {
		if b, ok := a.encoded(n); ok {
			node.Cast(postNotice, b)
		}
	}
}

// Stream implements [feature.Caster]. Only nodes with a subscriber are told.
func (a *App) Stream(ctx context.Context, stream string, n feature.Notice) {
	n.TellStream(ctx, a.dir, a.roster, stream)
	others := a.dir.StreamNodes(n.Mesh, stream)
	if len(others) == 0 {
		return
	}
	if b, ok := a.encoded(published{stream, n}); ok {
		for _, node := range others {
			a.options.Cluster.Post(node, postStream, b)
		}
	}
}

func (a *App) encoded(v any) ([]byte, bool) {
	b, err := json.Marshal(v)
	if err != nil {
		a.log.Error("not told to other nodes", slog.Any("err", err))
	}
	return b, err == nil
}

// posts are what this node does at what others post. It must not wait, and who may
// hear of something is asked of the roster, which may: that is done in turn.
func (a *App) posts() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		postRelay: a.relay.Read,
		postNotice: handler(func(n feature.Notice) {
			a.heard.add(func(ctx context.Context) { n.Tell(ctx, a.dir, a.roster) })
		}),
		postStream: handler(func(p published) {
			a.heard.add(func(ctx context.Context) { p.Notice.TellStream(ctx, a.dir, a.roster, p.Stream) })
		}),
	}
}

// relayNodes is the road of the relay.
type relayNodes struct{ node *cluster.Node }

// Self implements relay.Nodes.
func (n relayNodes) Self() string { return n.node.ID() }

// Post implements relay.Nodes.
func (n relayNodes) Post(node string, message []byte) { n.node.Post(node, postRelay, message) }

// mcpFresh is how long a session that registers a tool server may take to be on disk
// itself.
const mcpFresh = 2 * time.Minute

// pruneMcpServers deletes tool servers whose session is over: a node that died has
// left them, and a broker that was started again.
func (a *App) pruneMcpServers(ctx context.Context, now time.Time) error {
	_, err := a.options.Store.PruneMcpServers(ctx, now.Add(-mcpFresh))
	return err
}

var _ feature.Caster = (*App)(nil)

// relayNodes returns the road of the relay to other nodes; nil for a broker on its
// own.
func (a *App) relayNodes() relay.Nodes {
	if n := a.options.Cluster; n != nil {
		return relayNodes{n}
	}
	return nil
}
