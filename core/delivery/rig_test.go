package delivery_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// recipient is the member that messages go to in tests of one recipient.
var recipient = sdk.Key{1}

// newEngine returns an engine over a queue, with a directory of nobody. others is
// nil for a broker on its own.
func newEngine(t testing.TB, q delivery.Queue, c delivery.Committer, others delivery.Others, ackTimeout time.Duration) (*delivery.Engine, *directory) {
	t.Helper()
	engine, err := delivery.NewEngine(t.Context(), delivery.Options{
		ExpireAfter: time.Hour, KeepDelivered: time.Hour, AckTimeout: ackTimeout, UnconfirmedBytes: 1 << 20, DrainBatch: 8, Others: others,
	}, q, c, func(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	dir := &directory{boxes: map[sdk.Key][]*delivery.Mailbox{}}
	engine.Use(dir)
	return engine, dir
}

// newCommitter returns a committer that never waits for a database.
func newCommitter(st store.Committer) *commit.Committer {
	log := slog.New(slog.DiscardHandler)
	return commit.New(st, store.NewPatience(0, log), log)
}

// newPeer returns the recipient's client, not connected yet.
func newPeer(engine *delivery.Engine, dir *directory, acks bool) *peer {
	p := &peer{confirmed: map[string]bool{}}
	p.box = engine.NewMailbox(delivery.Identity{Mesh: "mesh", Member: recipient, Acks: acks})
	p.conn = &conn{peer: p}
	dir.add(recipient, p.box, false)
	return p
}
