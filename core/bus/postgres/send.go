package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/bus/internal/outbox"
)

const notify = `select pg_notify($1, text) from unnest($2::text[]) as datagram (text)`

// send sends what was published until the bus is closed or ctx is over. It calls
// ready when it can send for the first time.
func (b *Bus) send(ctx context.Context, ready func()) {
	defer close(b.sent)
	defer ready()
	defer b.sending.Store(false)
	for {
		conn, err := b.connectToSend(ctx)
		if err != nil {
			return // closed: nothing waits that could be sent
		}
		b.out.Open()
		b.sending.Store(true)
		ready()
		err = b.pump(ctx, conn)
		b.sending.Store(false)
		hangUp(conn)
		if err == nil {
			return
		}
		b.out.Shut()
		if ctx.Err() != nil {
			return
		}
		b.opts.Log.Warn("bus sends nothing until it is connected again", "err", err)
	}
}

// connectToSend gives up when the bus is closed, for then nothing waits.
func (b *Bus) connectToSend(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		select {
		case <-b.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return b.connect(ctx, "sending", prepareTable)
}

// pump sends until the connection breaks, or until the bus is closed and all is
// sent: then it returns nil.
func (b *Bus) pump(ctx context.Context, conn *pgx.Conn) error {
	idle := time.NewTicker(idleAfter)
	defer idle.Stop()
	var batch outbox.Batch
	for {
		var err error
		select {
		case <-b.out.Wake:
			err = b.sendWaiting(ctx, conn, &batch)
		case <-idle.C:
			err = call(ctx, func(ctx context.Context) error {
				_, err := conn.Exec(ctx, dropOldPayloads)
				return err
			})
		case <-b.closing:
			return b.sendWaiting(ctx, conn, &batch)
		}
		if err != nil {
			return err
		}
	}
}

// sendWaiting sends what waits in one transaction. After a loss it sends even
// when nothing waits, for the number.
func (b *Bus) sendWaiting(ctx context.Context, conn *pgx.Conn, batch *outbox.Batch) error {
	b.out.Take(batch)
	if batch.Dropped {
		b.sender.Skip()
	}
	if len(batch.Messages) == 0 && !batch.Dropped {
		return nil
	}
	err := call(ctx, func(ctx context.Context) error { return b.notify(ctx, conn, b.pack(batch.Messages)) })
	if err != nil {
		b.out.Drop(len(batch.Messages)) // it may have arrived, for all that we know
	}
	return err
}

func (b *Bus) notify(ctx context.Context, conn *pgx.Conn, p pack) error {
	if len(p.ids) == 0 {
		_, err := conn.Exec(ctx, notify, b.opts.Channel, p.texts)
		return err
	}
	both := &pgx.Batch{} // one transaction, since nothing in it begins one
	both.Queue(storePayloads, int64(p.sender), p.ids, p.stored)
	both.Queue(notify, b.opts.Channel, p.texts)
	return conn.SendBatch(ctx, both).Close()
}

// call bounds one exchange with the server.
func call(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}
