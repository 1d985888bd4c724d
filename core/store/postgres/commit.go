package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

// Commit implements [store.Committer]. The transaction takes two round trips:
// one for all rows and the ends of the audit chains, and one for the audit rows
// and the commit.
//
// A context that ends while others write ends the wait. Once the transaction
// has begun it runs to its end, so that nobody is left to guess whether a
// cancelled commit happened. When the connection breaks while the commit is on
// its way, Commit finds out what became of it before it returns.
func (s *Store) Commit(ctx context.Context, b *store.Batch) (err error) {
	if b.Empty() {
		return nil
	}
	defer wrap(&err, "commit")
	var c *committer
	select {
	case c = <-s.committers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.committers <- c }()
	for try := range tries {
		err = s.commit(ctx, c, b)
		lost := errors.Is(err, errLost)
		if !lost && !collided(err) {
			break
		}
		if lost && try > 0 {
			s.pool.Reset() // the server was away: the other connections are as dead
		}
	}
	return err
}

// commit tries once. An error that is errLost means that the connection broke
// and that nothing was written.
func (s *Store) commit(ctx context.Context, c *committer, b *store.Batch) error {
	wait, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(wait)
	if err != nil {
		return err
	}
	run, cancel := s.within(context.WithoutCancel(ctx))
	defer cancel()
	b.Repeats = nil
	t := transaction{committer: c, conn: conn.Conn(), batch: b, async: s.o.Durability == Process}
	err = t.run(run)
	broken := t.conn.IsClosed()
	conn.Release()
	switch {
	case err == nil, refused(err):
		return err
	case t.decided:
		return s.outcome(ctx, t.id, b, err)
	case !broken, errors.Is(err, context.DeadlineExceeded):
		return err // ours, or the server is there and too slow
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// refused reports whether the server answered that it did not write a
// transaction. Its last words before it ends a connection are no such answer.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.SeverityUnlocalized == "ERROR"
}

// committer holds what batches reuse.
type committer struct {
	rows    rows
	bySeq   map[int64]*store.Message // the batch's messages
	sent    []*store.Message         // the batch's sends, sorted
	inSent  map[int64]bool           // the seqs of those
	settled []store.Settlement       // the batch's, sorted, each once
	chain   []*audit.Entry           // the batch's, mesh by mesh
	heads   []audit.Head             // of those meshes
}

func newCommitter() *committer {
	return &committer{bySeq: make(map[int64]*store.Message), inSent: make(map[int64]bool)}
}

// forget lets go of a batch.
func (c *committer) forget() {
	clear(c.bySeq)
	clear(c.inSent)
	clear(c.sent)
	clear(c.chain)
	clear(c.heads)
	c.rows.shrink()
}

// transaction is one attempt to write a batch.
type transaction struct {
	*committer
	conn  *pgx.Conn
	batch *store.Batch
	async bool // do not wait for the disk
	pipe  *pipeline

	unread  []reading // answers that are due, in order
	id      string    // of the transaction, for asking what became of it
	decided bool      // the commit is on its way
}

// reading takes the rows of one answer; nil when none is expected.
type reading func(row [][]byte) error

// run writes the batch.
func (t *transaction) run(ctx context.Context) (err error) {
	defer t.forget()
	if t.pipe, err = newPipeline(ctx, t.conn, batchStatements); err != nil {
		return err
	}
	defer func() {
		if e := t.pipe.end(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	begin := &identify
	if t.async {
		begin = &identifyAsync
	}
	t.bare(&beginBatch, nil)
	t.bare(begin, func(row [][]byte) error {
		t.id = string(row[0])
		return nil
	})
	if err := t.writeRows(); err != nil {
		return err
	}
	if len(t.batch.Audit) > 0 {
		err = t.writeAudit()
	} else {
		err = t.rest()
	}
	if err != nil {
		return err
	}
	t.bare(&commitBatch, nil)
	t.decided = true
	if err := t.pipe.sync(); err != nil {
		return err
	}
	if err := t.read(len(t.unread)); err != nil {
		return err
	}
	if tag := t.pipe.tag.String(); tag != "COMMIT" {
		return fmt.Errorf("the server answered %s to the commit", tag)
	}
	return nil
}

// bare queues a statement without parameters.
func (t *transaction) bare(st *statement, each reading) { t.queue(st, nil, each) }

// send queues a statement for the rows that were gathered.
func (t *transaction) send(st *statement, each reading) { t.queue(st, t.rows.values(), each) }

func (t *transaction) queue(st *statement, values [][]byte, each reading) {
	t.pipe.send(st, values)
	t.unread = append(t.unread, each)
}

// rest puts what is queued on the wire and reads all answers. The server then
// counts the connection as idle in a transaction: when this process stops here,
// it ends the transaction, with the locks that others wait for.
func (t *transaction) rest() error {
	if err := t.pipe.pause(); err != nil {
		return err
	}
	if err := t.read(len(t.unread)); err != nil {
		return err
	}
	return t.pipe.paused()
}

// read reads the next n answers.
func (t *transaction) read(n int) error {
	for _, each := range t.unread[:n] {
		if err := t.pipe.result(each); err != nil {
			return err
		}
	}
	t.unread = t.unread[n:]
	return nil
}
