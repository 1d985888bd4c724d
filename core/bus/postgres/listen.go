package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// listen hears the other nodes until ctx is over, and calls the subscribers. It
// calls ready when it listens for the first time.
func (b *Bus) listen(ctx context.Context, ready func()) {
	defer ready()
	for {
		conn, err := b.connect(ctx, "listening", b.startListening)
		if err != nil {
			return // ctx is over
		}
		b.listening.Store(true)
		b.opts.Log.Info("bus listens", "channel", b.opts.Channel)
		ready()
		if b.made.Load() { // else nobody has subscribed yet
			b.table.Lost()
		}
		err = b.hear(ctx, conn)
		b.listening.Store(false)
		hangUp(conn)
		if ctx.Err() != nil {
			return
		}
		b.opts.Log.Warn("bus hears nothing until it is connected again", "err", err)
	}
}

func (b *Bus) startListening(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "listen "+pgx.Identifier{b.opts.Channel}.Sanitize())
	return err
}

// hear handles notifications until the connection breaks.
func (b *Bus) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		text, err := waitFor(ctx, conn)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			if err := ping(ctx, conn); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if err := b.handle(ctx, conn, text); err != nil {
				return err
			}
		}
	}
}

// waitFor waits for one notification, but no longer than a connection may be
// silent.
func waitFor(ctx context.Context, conn *pgx.Conn) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, idleAfter)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	return nil
}

// handle calls the subscribers of what one notification carries. Its error is
// the connection's.
func (b *Bus) handle(ctx context.Context, conn *pgx.Conn, text string) error {
	d, err := parseDatagram(text)
	if err != nil {
		b.opts.Log.Warn("bus: a notification is of no broker that we know; give each kind of program its own channel",
			"channel", b.opts.Channel, "err", err)
		return nil
	}
	if d.sender == b.sender.ID {
		return nil
	}
	if b.seen.Gap(d.sender, d.number) {
		b.table.Lost()
	}
	for len(d.rest) > 0 {
		it, err := d.next()
		if err != nil {
			b.table.Lost()
			return nil
		}
		if it.stored != 0 && b.table.Has(it.subject) {
			if it.data, err = fetch(ctx, conn, d.sender, it.stored); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if err != nil { // older than its lifetime, or a crash has emptied the table
				b.table.Lost()
				continue
			}
		}
		b.table.Deliver(it.subject, it.data)
	}
	return nil
}
