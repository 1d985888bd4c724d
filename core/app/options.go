package app

import (
	"encoding/base64"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/hub"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/core/wire"
)

func deliveryOptions(c config.Config, n *cluster.Node, t *tracing.Tracer) delivery.Options {
	o := delivery.Options{
		ExpireAfter: c.Queue.ExpireAfter, KeepDelivered: c.Queue.KeepDelivered, AckTimeout: c.Queue.AckTimeout,
		UnconfirmedBytes: c.Queue.UnconfirmedBytes, DrainBatch: c.Queue.DrainBatch, Traces: t,
	}
	if n != nil {
		o.Slot, o.Others = int64(n.Slot()), n
	}
	return o
}

func sendOptions(c config.Config, g feature.Gate) feature.SendOptions {
	return feature.SendOptions{
		MessageBytes: c.Limits.MessageBytes, RefuseOffline: c.Queue.Offline == config.OfflineRefuse, Gate: g,
	}
}

func presenceOptions(c config.Config, n *cluster.Node) presence.Options {
	o := presence.Options{
		Grace: c.Presence.Grace, StatusTTL: c.Presence.StatusTTL, HookFresh: c.Presence.HookFresh,
		MeshLimit: c.Limits.ConnectionsPerMesh, Announce: announceRate,
	}
	if n != nil {
		o.Node, o.Slot, o.Others = n.ID(), int64(n.Slot()), n
	}
	return o
}

func hubOptions(c config.Config) hub.Options {
	return hub.Options{
		HelloFrameBytes: int64(c.Limits.HelloFrameBytes), FrameBytes: int64(c.Limits.FrameBytes),
		OutboxBytes: c.Limits.OutboxBytes, HelloTimeout: c.Limits.HelloTimeout,
		PerAddress: c.Limits.ConnectionsPerAddress,
		PingEvery:  c.Presence.PingEvery, DeadAfter: c.Presence.DeadAfter,
	}
}

func (a *App) serverOptions(c config.Config, routes []*api.Route) server.Options {
	return server.Options{
		Routes: routes, Counters: a.answered, Pages: a.pages(c), Guesses: a.edge, Wrap: a.edge.Wrap, OpsApart: c.HTTP.OpsListen != "",
		ConnState: a.edge.Connections(c.Limits.ConnectionsPerAddress),
		Timeouts: server.Timeouts{
			Header: c.HTTP.HeaderTimeout, Read: c.HTTP.ReadTimeout, Write: c.HTTP.WriteTimeout, Idle: c.HTTP.IdleTimeout,
		},
		Hub: a.hub, Exchange: a.exchange, Metrics: a.Metrics, Left: a.left, Go: a.peers.Go, Log: a.log,
		BodyBytes: int64(c.Limits.HTTPBodyBytes),
		Health:    a.health,
	}
}

func (a *App) newHealth(c config.Config) *server.Health {
	return &server.Health{
		Version: a.options.Version, GitSHA: gitSHA(c), Started: time.Now(),
		Ping: a.options.Store.Ping, Draining: a.gate.Draining, Down: a.down,
		Expected: c.ExpectedMigration, Migrations: a.options.Migrations, Held: a.held(),
	}
}

func gitSHA(c config.Config) string {
	if c.GitSHA == "" {
		return "unknown"
	}
	return c.GitSHA
}

// encodePush is the form of a message that its recipients see.
func encodePush(dst []byte, m *store.Message) []byte {
	sender := m.SenderSession
	if sender.IsZero() {
		sender = m.SenderMember
	}
	push := wire.Push{
		MessageID: m.ID, MeshID: m.MeshID, SenderPubkey: wire.OriginOf(sender), Priority: m.Priority,
		Nonce: m.Nonce, Ciphertext: m.Ciphertext, CreatedAt: m.CreatedAt,
		ClientMessageID: m.ClientMessageID, RequestFingerprint: m.Fingerprint,
		SenderMemberPubkey: m.SenderMember, SenderMemberID: m.SenderMemberID, SenderName: m.SenderName,
		ReplyToID: m.ReplyTo, Traceparent: m.Trace,
	}
	if m.Extra != nil {
		adorn(&push, m.Extra)
	}
	return wire.AppendPush(dst, &push)
}

// adorn adds what few messages have.
func adorn(push *wire.Push, e *store.Extra) {
	push.Topic, push.Subtype, push.Event, push.BodyVersion = e.Topic, e.Subtype, e.Event, e.BodyVersion
	push.Mentions = e.Mentions
	if e.Unsealed {
		push.SenderPubkey = wire.Unsealed()
	}
	if e.Event == "" {
		return
	}
	if data, err := base64.StdEncoding.DecodeString(push.Ciphertext); err == nil && jsontext.Value(data).IsValid() {
		push.EventData = data
	}
}

// storeWait is how long a database that does not answer is waited for. The
// embedded one is in this process.
func storeWait(c config.Config) time.Duration {
	if c.Store.Engine() == "sqlite" {
		return 0
	}
	return c.Store.Wait
}
