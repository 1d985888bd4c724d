package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const signalColumns = `id, node, kind, payload, at`

const (
	// The lock is held until the row is visible, so the next one gets its id
	// later than that. Ids are the sequence's: they rise also when the table
	// was emptied.
	insertSignal = `WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($1))
		INSERT INTO signal (id, node, kind, payload, at)
		SELECT nextval('broker.signal_id_seq'), $2, $3, $4, date_trunc('milliseconds', clock_timestamp()) FROM turn
		RETURNING id, at`
	signalsAfter = `SELECT ` + signalColumns + ` FROM signal WHERE id > $1 ORDER BY id LIMIT $2`
	lastSignal   = `SELECT coalesce(max(id), 0) FROM signal`
	pruneSignals = `DELETE FROM signal WHERE at < $1 AND (cardinality($2::text[]) = 0 OR kind = ANY ($2))`
)

// signalLock is the name of the lock under which signals are appended.
const signalLock = "signal"

// Signal implements [store.Signals]. The time is the database's.
func (s *Store) Signal(ctx context.Context, sig *store.Signal) (err error) {
	defer wrap(&err, "signal")
	ctx, cancel := s.within(ctx)
	defer cancel()
	return s.pool.QueryRow(ctx, insertSignal, lockKey(signalLock), sig.Node, sig.Kind, string(sig.Payload)).
		Scan(&sig.ID, (*stamp)(&sig.At))
}

// signalRow tells all nodes, in the transaction that changes the row with an id.
func signalRow(ctx context.Context, tx pgx.Tx, kind, id string) error {
	payload, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return appendSignal(ctx, tx, &store.Signal{Kind: kind, Payload: payload})
}

// appendSignal writes a signal, in the transaction of the change that it tells
// of: as the last thing, since others wait for their turn until it commits. A nil
// signal is none.
func appendSignal(ctx context.Context, tx pgx.Tx, sig *store.Signal) error {
	if sig == nil {
		return nil
	}
	_, err := tx.Exec(ctx, insertSignal, lockKey(signalLock), sig.Node, sig.Kind, string(sig.Payload))
	return err
}

// SignalsAfter implements [store.Signals].
func (s *Store) SignalsAfter(ctx context.Context, id int64, limit int) (list []*store.Signal, err error) {
	defer wrap(&err, "read signals")
	return all(ctx, s, func(row scanner) (*store.Signal, error) {
		sig := new(store.Signal)
		return sig, row.Scan(&sig.ID, &sig.Node, &sig.Kind, (*opaqueText)(&sig.Payload), (*stamp)(&sig.At))
	}, signalsAfter, id, max(limit, 0))
}

// LastSignal implements [store.Signals].
func (s *Store) LastSignal(ctx context.Context) (id int64, err error) {
	defer wrap(&err, "last signal")
	return one(ctx, s, value[int64], lastSignal)
}

// PruneSignals implements [store.Signals].
func (s *Store) PruneSignals(ctx context.Context, t time.Time, kinds ...string) (n int64, err error) {
	defer wrap(&err, "prune signals")
	return s.exec(ctx, pruneSignals, whole(t), append([]string{}, kinds...))
}
