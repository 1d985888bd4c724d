// Package postgres is the bus over the database that the brokers share anyway,
// by LISTEN and NOTIFY.
//
// Transactions that notify commit one after the other, in the whole database
// server: that is why the store's own commits never do. One connection sends;
// what gathers while a transaction is on its way goes into the next one, many
// messages to a NOTIFY. Another connection listens, and gets all messages of all
// nodes; who listens to what is decided here.
//
// A payload of NOTIFY holds less than 8000 bytes. What is larger goes through
// the unlogged table broker.bus_payload, which the bus makes itself, and is read
// by the nodes that want it. A crash of the server empties it.
//
// The database loses no notification while a connection lasts. Losses are known
// by a connection that broke, and by a gap in the numbers that each node gives
// to what it sends, which it leaves where it could not send. It says so as soon
// as it can, also when there is nothing else to send.
package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sethvargo/go-retry"

	"github.com/claudemesh/broker/core/bus"
	"github.com/claudemesh/broker/core/bus/internal/gaps"
	"github.com/claudemesh/broker/core/bus/internal/outbox"
	"github.com/claudemesh/broker/core/bus/internal/table"
)

var _ bus.Bus = (*Bus)(nil)

// Bus is one node's two connections.
type Bus struct {
	// Set by New, never changed.
	opts    Options
	config  *pgx.ConnConfig
	out     *outbox.Outbox
	cancel  context.CancelFunc // ends both loops at once
	closing chan struct{}      // closed by Close: send what waits, and end
	sent    chan struct{}      // closed when the sender has ended
	close   func()             // closes closing, once

	table     table.Table
	g         sync.WaitGroup
	made      atomic.Bool // New has returned
	listening atomic.Bool
	sending   atomic.Bool

	// Owned by listen.
	seen gaps.Seen

	// Owned by send; the sender's ID may be read by all.
	sender  *gaps.Sender
	stored  uint64 // id of the last stored payload
	scratch []byte
}

// New returns a bus, connected if the database answers within some seconds. If
// it does not, the bus is away and goes on trying; it is an error only when the
// options cannot be right or ctx is over. The store's migrations come first:
// they make the schema that the bus puts its table into.
func New(ctx context.Context, opts Options) (*Bus, error) {
	config, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("postgres bus: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &Bus{
		opts:    opts,
		config:  config,
		out:     outbox.New(),
		cancel:  cancel,
		closing: make(chan struct{}),
		sent:    make(chan struct{}),
		sender:  gaps.NewSender(),
		scratch: make([]byte, 0, maxDatagram),
	}
	b.close = sync.OnceFunc(func() { close(b.closing) })
	var ready sync.WaitGroup
	ready.Add(2)
	b.g.Go(func() { b.send(life, sync.OnceFunc(ready.Done)) })
	b.g.Go(func() { b.listen(life, sync.OnceFunc(ready.Done)) })
	b.await(ctx, &ready)
	b.made.Store(true)
	if err := ctx.Err(); err != nil {
		_ = b.Close(ctx) // nothing was published that could be lost
		return nil, fmt.Errorf("postgres bus: %w", err)
	}
	return b, nil
}

// await waits for both loops' first connection, but not for long.
func (b *Bus) await(ctx context.Context, ready *sync.WaitGroup) {
	connected := make(chan struct{})
	b.g.Go(func() { ready.Wait(); close(connected) })
	ctx, cancel := context.WithTimeout(ctx, firstConnect)
	defer cancel()
	select {
	case <-connected:
	case <-ctx.Done():
	}
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(subject string, data []byte) { b.out.Put(subject, data) }

// Subscribe implements [bus.Bus].
func (b *Bus) Subscribe(subject string, f func(data []byte)) (cancel func()) {
	return b.table.Add(subject, f)
}

// OnLost implements [bus.Bus].
func (b *Bus) OnLost(f func()) { b.table.SetLost(f) }

// Up implements [bus.Bus].
func (b *Bus) Up() bool { return b.listening.Load() && b.sending.Load() }

// Stats implements [bus.Bus].
func (b *Bus) Stats() bus.Stats {
	var s bus.Stats
	s.Published, s.Dropped = b.out.Counts()
	s.Received, s.Lost = b.table.Counts()
	return s
}

// Close implements [bus.Bus].
func (b *Bus) Close(ctx context.Context) (err error) {
	b.out.Seal()
	b.close()
	select {
	case <-b.sent:
	case <-ctx.Done():
		err = fmt.Errorf("postgres bus: close: %w", ctx.Err())
	}
	b.cancel()
	b.g.Wait()
	return err
}

// connect returns a connection on which prepare has succeeded. It goes on trying
// until ctx is over, and says so in the log once.
func (b *Bus) connect(ctx context.Context, what string, prepare func(context.Context, *pgx.Conn) error) (*pgx.Conn, error) {
	backoff := retry.WithJitterPercent(jitter, retry.WithCappedDuration(maxRetry, retry.NewExponential(firstRetry)))
	told := false
	return retry.DoValue(ctx, backoff, func(ctx context.Context) (*pgx.Conn, error) {
		conn, err := b.tryConnect(ctx, prepare)
		if err == nil {
			return conn, nil
		}
		if !told && ctx.Err() == nil {
			told = true
			b.opts.Log.Warn("bus away; it goes on trying", "connection", what, "err", err)
		}
		return nil, retry.RetryableError(err)
	})
}

func (b *Bus) tryConnect(ctx context.Context, prepare func(context.Context, *pgx.Conn) error) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, b.config)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, conn); err != nil {
		hangUp(conn)
		return nil, err
	}
	return conn, nil
}

// hangUp closes a connection, of which nothing is expected any more.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // its error only says that the server is away
}
