package delivery_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// counted is a connection that takes everything.
type counted struct{ number uint64 }

func (*counted) Full(int) bool { return false }
func (c *counted) Push([]byte) (uint64, bool) {
	c.number++
	return c.number, true
}

// quiet is a queue in which nothing waits.
type quiet struct{ delivery.Queue }

func (quiet) LastSeq(context.Context) (int64, error) { return 0, nil }
func (quiet) Pending(context.Context, store.Drain) ([]store.Waiting, error) {
	return nil, nil
}

// written is a committer whose marks are written at once.
type written struct{ neverWritten }

func (c *written) Settled() int64 { return c.marks.Load() }

// BenchmarkAccept accepts messages of 512 bytes for one connected recipient, which
// are written, done and confirmed.
func BenchmarkAccept(b *testing.B) {
	engine, dir := newEngine(b, quiet{}, new(written), nil, time.Hour)
	b.Cleanup(engine.Close)
	box := engine.NewMailbox(delivery.Identity{Mesh: "mesh", Member: recipient})
	dir.add(recipient, box, false)
	c := new(counted)
	box.Connect(c)
	engine.Idle()
	var (
		audience = []sdk.Recipient{{MemberID: "bo", Member: recipient}}
		target   = recipient.String()
		body     = strings.Repeat("c", 512)
		batch    store.Batch
		now      = time.Now()
	)
	b.ReportAllocs()
	for b.Loop() {
		a := engine.Accept(&store.Message{
			ID: "message", MeshID: "mesh", SenderMemberID: "ada", SenderMember: sdk.Key{2}, TargetSpec: target,
			Priority: sdk.PriorityNext, Ciphertext: body,
		}, audience, nil, now)
		a.Fill(&batch)
		a.Done(nil)
		box.Ponged(c, c.number)
		batch.Reset()
	}
}
