package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

const clockColumns = `mesh_id, speed, paused, since, tick, started_at`

const (
	clockOf       = `SELECT ` + clockColumns + ` FROM mesh_clock WHERE mesh_id = ?1`
	runningClocks = `SELECT ` + clockColumns + ` FROM mesh_clock WHERE NOT paused ORDER BY mesh_id`

	insertClock = `INSERT INTO mesh_clock (` + clockColumns + `, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT DO NOTHING`
	changeClock = `UPDATE mesh_clock SET speed = ?2, paused = ?3, since = ?4, tick = ?5, started_at = ?6
		WHERE mesh_id = ?1 AND speed = ?7 AND paused = ?8 AND since = ?9 AND tick = ?10`
	tellTick = `UPDATE mesh_clock SET told = ?2, told_at = ?4
		WHERE mesh_id = ?1 AND told / ?3 < ?2 / ?3 AND (told_at IS NULL OR told_at NOT BETWEEN ?5 AND ?6)`
)

// Clock implements [store.Clocks].
func (s *Store) Clock(ctx context.Context, mesh string) (c *store.Clock, err error) {
	defer wrap(&err, "read clock")
	return scanClock(s.read.QueryRowContext(ctx, clockOf, mesh))
}

// RunningClocks implements [store.Clocks].
func (s *Store) RunningClocks(ctx context.Context) (list []*store.Clock, err error) {
	defer wrap(&err, "list running clocks")
	rows, err := s.read.QueryContext(ctx, runningClocks)
	return collect(rows, err, scanClock)
}

// SetClock implements [store.Clocks].
func (s *Store) SetClock(ctx context.Context, c, old *store.Clock) (err error) {
	defer wrap(&err, "set clock")
	args := []any{c.MeshID, c.Speed, c.Paused, c.Since.UnixMilli(), c.Tick, c.StartedAt.UnixMilli()}
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if old == nil {
			return onlyOne(tx.ExecContext(ctx, insertClock, args...))
		}
		return onlyOne(tx.ExecContext(ctx, changeClock, append(args, old.Speed, old.Paused, old.Since.UnixMilli(), old.Tick)...))
	})
}

// TellTick implements [store.Clocks].
func (s *Store) TellTick(ctx context.Context, t *store.Tick) (first bool, err error) {
	defer wrap(&err, "tell tick")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return onlyOne(tx.ExecContext(ctx, tellTick, t.MeshID, t.Number, t.Step, t.At.UnixMilli(), t.At.Add(-t.Gap).UnixMilli(), t.At.Add(t.Gap).UnixMilli()))
	})
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func scanClock(row scanner) (*store.Clock, error) {
	c := new(store.Clock)
	if err := row.Scan(&c.MeshID, &c.Speed, &c.Paused, (*millis)(&c.Since), &c.Tick, (*millis)(&c.StartedAt)); err != nil {
		return nil, err
	}
	return c, nil
}
