package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/store"
)

// outcomeOf asks what became of a transaction. NULL: it is too long ago.
const outcomeOf = `SELECT coalesce(pg_xact_status($1::text::xid8), 'unknown')`

// Pauses between questions.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// outcome finds out what became of a transaction whose connection broke with
// cause while the commit was on its way: nil when it was committed, errLost when
// it was not and may be tried again.
func (s *Store) outcome(ctx context.Context, id string, b *store.Batch, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.OutcomeTimeout)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		status, err := s.status(ctx, id)
		switch {
		case err == nil && status == "aborted":
			return fmt.Errorf("%w: %w", errLost, cause)
		case err == nil && status != "in progress":
			var there bool
			if there, err = s.written(ctx, b); err == nil {
				if there {
					return nil
				}
				return fmt.Errorf("%w: %w", errLost, cause)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w: transaction %s, after %v: %w",
				store.ErrUnavailable, store.ErrOutcome, id, s.o.OutcomeTimeout, cause)
		}
	}
}

// status returns the state of a transaction in PostgreSQL's words.
func (s *Store) status(ctx context.Context, id string) (string, error) {
	status, err := one(ctx, s, value[string], outcomeOf, id)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == invalidParameter {
		return "aborted", nil // in the future: a crash took the id back with the transaction
	}
	return status, err
}

// Witnesses: rows by which a batch is known to be there.
const (
	auditWitness    = `SELECT EXISTS (SELECT FROM audit_log WHERE mesh_id = $1 AND id = $2 AND hash = $3)`
	messageWitness  = `SELECT EXISTS (SELECT FROM message WHERE seq = $1 AND id = $2)`
	historyWitness  = `SELECT EXISTS (SELECT FROM topic_message WHERE seq = $1 AND id = $2)`
	sentWitness     = `SELECT EXISTS (SELECT FROM sent WHERE seq = $1 AND message_id = $2)`
	presenceWitness = `SELECT EXISTS (SELECT FROM presence WHERE id = $1 AND version >= $2)`
	keyWitness      = `SELECT EXISTS (SELECT FROM session_key WHERE mesh_id = $1 AND pubkey = $2)`
)

// written looks for a row of the batch. The transaction's id alone is not
// enough: a server that crashed may give the ids of transactions that it lost
// to others. Of marks and states alone nothing is looked for, because losing
// those repeats a push, or shows an older status.
func (s *Store) written(ctx context.Context, b *store.Batch) (bool, error) {
	for _, m := range b.Messages {
		if _, repeat := b.Repeats[m]; !repeat {
			return one(ctx, s, value[bool], messageWitness, m.Seq, m.ID)
		}
	}
	for _, m := range b.Sent {
		if _, repeat := b.Repeats[m]; !repeat {
			return one(ctx, s, value[bool], sentWitness, m.Seq, m.ID)
		}
	}
	for _, h := range b.History {
		if _, repeat := b.Repeats[h.Message]; !repeat {
			return one(ctx, s, value[bool], historyWitness, h.Message.Seq, h.Message.ID)
		}
	}
	switch {
	case len(b.Audit) > 0:
		e := b.Audit[len(b.Audit)-1]
		return one(ctx, s, value[bool], auditWitness, e.MeshID, e.ID, e.Hash)
	case len(b.SessionKeys) > 0:
		k := b.SessionKeys[0]
		return one(ctx, s, value[bool], keyWitness, k.MeshID, k.Key[:])
	case len(b.Presences) > 0:
		p := b.Presences[len(b.Presences)-1]
		return one(ctx, s, value[bool], presenceWitness, p.ID, p.Version)
	}
	return true, nil
}
