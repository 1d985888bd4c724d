package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const clockColumns = `mesh_id, speed, paused, since, tick, started_at`

const (
	clockOf       = `SELECT ` + clockColumns + ` FROM mesh_clock WHERE mesh_id = $1`
	runningClocks = `SELECT ` + clockColumns + ` FROM mesh_clock WHERE NOT paused ORDER BY mesh_id`

	insertClock = `INSERT INTO mesh_clock (` + clockColumns + `, told) VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING`
	changeClock = `UPDATE mesh_clock SET speed = $2, paused = $3, since = $4, tick = $5, started_at = $6
		WHERE mesh_id = $1 AND speed = $7 AND paused = $8 AND since = $9 AND tick = $10`
	tellTick = `UPDATE mesh_clock SET told = $2, told_at = $4
		WHERE mesh_id = $1 AND told / $3 < $2 / $3 AND (told_at IS NULL OR told_at NOT BETWEEN $5 AND $6)`
)

// Clock implements [store.Clocks].
func (s *Store) Clock(ctx context.Context, mesh string) (c *store.Clock, err error) {
	defer wrap(&err, "read clock")
	return one(ctx, s, scanClock, clockOf, mesh)
}

// RunningClocks implements [store.Clocks].
func (s *Store) RunningClocks(ctx context.Context) (list []*store.Clock, err error) {
	defer wrap(&err, "list running clocks")
	return all(ctx, s, scanClock, runningClocks)
}

// SetClock implements [store.Clocks].
func (s *Store) SetClock(ctx context.Context, c, old *store.Clock) (err error) {
	defer wrap(&err, "set clock")
	args := []any{c.MeshID, c.Speed, c.Paused, whole(c.Since), c.Tick, whole(c.StartedAt)}
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if old == nil {
			return onlyOne(tx.Exec(ctx, insertClock, args...))
		}
		return onlyOne(tx.Exec(ctx, changeClock, append(args, old.Speed, old.Paused, whole(old.Since), old.Tick)...))
	})
}

// TellTick implements [store.Clocks].
func (s *Store) TellTick(ctx context.Context, t *store.Tick) (first bool, err error) {
	defer wrap(&err, "tell tick")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return onlyOne(tx.Exec(ctx, tellTick, t.MeshID, t.Number, t.Step, whole(t.At), whole(t.At.Add(-t.Gap)), whole(t.At.Add(t.Gap))))
	})
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func scanClock(row scanner) (*store.Clock, error) {
	c := new(store.Clock)
	if err := row.Scan(&c.MeshID, &c.Speed, &c.Paused, (*stamp)(&c.Since), &c.Tick, (*stamp)(&c.StartedAt)); err != nil {
		return nil, err
	}
	return c, nil
}
