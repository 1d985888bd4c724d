package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const (
	// One transaction at a time chooses a slot, or appends a signal.
	lockInTransaction = `SELECT pg_advisory_xact_lock($1)`

	removeOldNodes = `DELETE FROM node WHERE expires_at < clock_timestamp() - interval '1 hour'`
	insertNode     = `INSERT INTO node (id, slot, host, version, started_at, expires_at)
		SELECT $1, slot, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond'
		FROM generate_series(0, $6::int - 1) slot
		WHERE NOT EXISTS (SELECT FROM node n WHERE n.slot = slot.slot) ORDER BY slot LIMIT 1
		RETURNING slot`
	renewNode = `UPDATE node SET expires_at = clock_timestamp() + $2::bigint * interval '1 microsecond' WHERE id = $1`
	dropNode  = `DELETE FROM node WHERE id = $1`
	listNodes = `SELECT id, slot, host, version, started_at,
		(extract(epoch FROM expires_at - clock_timestamp()) * 1000000)::bigint FROM node ORDER BY slot`
)

// slotLock is the name of the lock under which slots are chosen.
const slotLock = "node slot"

// RegisterNode implements [store.Nodes]. It sets n.Slot, to the smallest that
// is free, and n.Expires.
func (s *Store) RegisterNode(ctx context.Context, n *store.Node, ttl time.Duration) (err error) {
	defer wrap(&err, "register node")
	var slot int
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockInTransaction, lockKey(slotLock)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, removeOldNodes); err != nil {
			return err
		}
		slot, err = value[int](tx.QueryRow(ctx, insertNode, n.ID, n.Host, n.Version, whole(n.StartedAt),
			ttl.Microseconds(), store.MaxNodes))
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: all %d slots are taken; one is free again an hour after a node ended its lease",
				store.ErrExhausted, store.MaxNodes)
		}
		return err
	})
	if err == nil {
		n.Slot, n.Expires = slot, ttl
	}
	return err
}

// RenewNode implements [store.Nodes].
func (s *Store) RenewNode(ctx context.Context, id string, ttl time.Duration) (err error) {
	defer wrap(&err, "renew node")
	rows, err := s.exec(ctx, renewNode, id, ttl.Microseconds())
	if err == nil && rows == 0 {
		return store.ErrLeaseLost
	}
	return err
}

// RemoveNode implements [store.Nodes].
func (s *Store) RemoveNode(ctx context.Context, id string) (err error) {
	defer wrap(&err, "remove node")
	_, err = s.exec(ctx, dropNode, id)
	return err
}

// ListNodes implements [store.Nodes], by slot.
func (s *Store) ListNodes(ctx context.Context) (list []*store.Node, err error) {
	defer wrap(&err, "list nodes")
	return all(ctx, s, func(row scanner) (*store.Node, error) {
		n := new(store.Node)
		var micros int64
		err := row.Scan(&n.ID, &n.Slot, &n.Host, &n.Version, (*stamp)(&n.StartedAt), &micros)
		n.Expires = time.Duration(micros) * time.Microsecond
		return n, err
	}, listNodes)
}
