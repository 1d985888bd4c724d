package nats

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/claudemesh/broker/core/bus/internal/outbox"
)

// beatEvery is how often a node sends its number, and so how late a loss that
// no client saw is found, once the way is open again.
const beatEvery = 500 * time.Millisecond

// beatSize is a beat's: who sends it, and its number.
const beatSize = 8 + 8

// beatSubject is no subject of a bus, so that nobody else uses it.
func (b *Bus) beatSubject() string { return b.opts.Prefix + ".$beat" }

// send hands messages to the library, which may wait for the socket, until the
// bus is closed.
func (b *Bus) send() {
	defer close(b.stop)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var batch outbox.Batch
	for {
		select {
		case <-b.out.Wake:
			b.sendWaiting(&batch)
		case <-beat.C:
			b.sendWaiting(&batch)
			b.sendBeat()
			b.recountSlow()
		case <-b.closing:
			b.sendWaiting(&batch)
			if b.Up() {
				b.flush()
			}
			return
		}
	}
}

// sendWaiting sends what waits. After a loss it sends a beat first, which lacks
// its predecessor.
func (b *Bus) sendWaiting(batch *outbox.Batch) {
	b.out.Take(batch)
	if batch.Dropped {
		b.sender.Skip()
		b.sendBeat()
	}
	for i, m := range batch.Messages {
		if err := b.nc.Publish(b.opts.Prefix+"."+m.Subject, m.Data); err != nil {
			b.out.Drop(len(batch.Messages) - i)
			return
		}
	}
}

func (b *Bus) sendBeat() {
	beat := binary.BigEndian.AppendUint64(make([]byte, 0, beatSize), b.sender.ID)
	beat = binary.BigEndian.AppendUint64(beat, b.sender.Next())
	if err := b.nc.Publish(b.beatSubject(), beat); err != nil {
		b.opts.Log.Debug("bus beat", "err", err) // the next one shows that this one is missing
	}
}

// dispatch calls the subscribers until the bus is closed.
func (b *Bus) dispatch() {
	for {
		select {
		case <-b.stop:
			return
		case <-b.lost:
			b.table.Lost()
		case m := <-b.in:
			b.handle(m)
		}
	}
}

func (b *Bus) handle(m *nats.Msg) {
	if m.Subject != b.beatSubject() {
		b.table.Deliver(strings.TrimPrefix(m.Subject, b.opts.Prefix+"."), m.Data)
		return
	}
	if len(m.Data) != beatSize {
		return // from a version to come, or a stranger
	}
	if b.seen.Gap(binary.BigEndian.Uint64(m.Data), binary.BigEndian.Uint64(m.Data[8:])) {
		b.table.Lost()
	}
}
