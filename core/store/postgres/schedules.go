package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const scheduleColumns = `id, mesh_id, member_id, target, subtype, form, nonce, body, cron, timezone, created_at, due_at, fired,
	fired_at, failure, ended_at, state, wake_at, claim, attempts, request, secret`

const (
	insertSchedule = `INSERT INTO schedule (` + scheduleColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
		$14, $15, $16, $17, $18, $19, $20, $21, $22)`
	sameSchedule  = `SELECT ` + scheduleColumns + ` FROM schedule WHERE mesh_id = $1 AND request = $2`
	scheduleByID  = `SELECT ` + scheduleColumns + ` FROM schedule WHERE id = $1`
	listSchedules = `SELECT ` + scheduleColumns + ` FROM schedule WHERE member_id = $1 AND mesh_id = $2 ORDER BY due_at, id`

	// Who creates a schedule waits for its turn, so that no two are the last that
	// fits.
	scheduleTurn     = `SELECT pg_advisory_xact_lock($1)`
	countSchedules   = `SELECT count(*) FROM schedule WHERE mesh_id = $1 AND state = 'waiting'`
	countSchedulesOf = `SELECT count(*) FROM schedule WHERE member_id = $1 AND state = 'waiting'`
	trimSchedules    = `DELETE FROM schedule WHERE id = ANY (ARRAY (SELECT id FROM schedule WHERE member_id = $1
		AND state IN ('fired', 'failed', 'cancelled') ORDER BY ended_at DESC, id DESC OFFSET $2))`

	nextSchedule = `SELECT min(wake_at) FROM schedule WHERE state = 'waiting'`

	// Rows that another process claims now are passed by.
	claimSchedules = `UPDATE schedule SET claim = $1, wake_at = $2 WHERE id = ANY (ARRAY (SELECT id FROM schedule
		WHERE state = 'waiting' AND wake_at <= $3 ORDER BY wake_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)) RETURNING ` + scheduleColumns
	changeSchedule = `UPDATE schedule SET form = $2, nonce = $3, body = $4, due_at = $5, fired = $6, fired_at = $7, failure = $8,
		ended_at = $9, state = $10, wake_at = $11, claim = $12, attempts = $13, secret = $14 WHERE id = $1 RETURNING ` + scheduleColumns

	endSchedules = `UPDATE schedule SET state = 'failed', failure = $1, ended_at = $2, claim = '' WHERE state = 'waiting'
		AND (EXISTS (SELECT FROM member m WHERE m.id = schedule.member_id AND m.revoked_at IS NOT NULL)
			OR EXISTS (SELECT FROM mesh m WHERE m.id = schedule.mesh_id AND m.archived_at IS NOT NULL))`
	pruneSchedules = `DELETE FROM schedule WHERE id = ANY (ARRAY (SELECT id FROM schedule WHERE state <> 'waiting' AND ended_at < $1
		ORDER BY ended_at LIMIT $2))`
)

// CreateSchedule implements [store.Schedules].
func (s *Store) CreateSchedule(ctx context.Context, row *store.Schedule, room store.Room) (kept *store.Schedule, fresh bool, err error) {
	defer wrap(&err, "create schedule")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		kept, fresh = nil, false
		if _, err := tx.Exec(ctx, scheduleTurn, lockKey("schedules of "+row.MeshID)); err != nil {
			return err
		}
		same, err := scanSchedule(tx.QueryRow(ctx, sameSchedule, row.MeshID, keyArg(row.RequestKey())))
		if !errors.Is(err, pgx.ErrNoRows) {
			kept = same
			return err
		}
		mesh, err := value[int](tx.QueryRow(ctx, countSchedules, row.MeshID))
		if err != nil {
			return err
		}
		member, err := value[int](tx.QueryRow(ctx, countSchedulesOf, row.MemberID))
		if err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, trimSchedules, row.MemberID, room.Member); err != nil {
			return err
		}
		kept, fresh = row, true
		_, err = tx.Exec(ctx, insertSchedule, scheduleArgs(row)...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return kept, fresh, nil
}

func scheduleArgs(s *store.Schedule) []any {
	return []any{
		s.ID, s.MeshID, s.MemberID, s.To, s.Subtype, string(s.Form), s.Nonce, s.Body, s.Cron, s.Timezone, whole(s.CreatedAt),
		whole(s.DueAt), s.Fired, timeArg(s.FiredAt), s.Failure, timeArg(s.EndedAt), string(s.State), whole(s.WakeAt), s.Claim,
		s.Attempts, keyArg(s.RequestKey()), s.Secret,
	}
}

// ListSchedules implements [store.Schedules].
func (s *Store) ListSchedules(ctx context.Context, mesh, memberID string) (list []*store.Schedule, err error) {
	defer wrap(&err, "list schedules")
	return all(ctx, s, scanSchedule, listSchedules, memberID, mesh)
}

// ChangeSchedule implements [store.Schedules].
func (s *Store) ChangeSchedule(ctx context.Context, mesh, id string, change func(*store.Schedule) error) (*store.Schedule, error) {
	e := edit[store.Schedule]{
		op: "change schedule", read: scheduleByID, scan: scanSchedule, write: changeSchedule,
		args: func(s *store.Schedule) []any {
			return []any{
				string(s.Form), s.Nonce, s.Body, whole(s.DueAt), s.Fired, timeArg(s.FiredAt), s.Failure, timeArg(s.EndedAt),
				string(s.State), whole(s.WakeAt), s.Claim, s.Attempts, s.Secret,
			}
		},
	}
	return e.run(ctx, s, id, store.OfScheduleMesh(mesh, change))
}

// NextSchedule implements [store.Schedules].
func (s *Store) NextSchedule(ctx context.Context) (at time.Time, err error) {
	defer wrap(&err, "next schedule")
	return one(ctx, s, func(row scanner) (at time.Time, err error) {
		err = row.Scan((*stamp)(&at))
		return at, err
	}, nextSchedule)
}

// ClaimSchedules implements [store.Schedules].
func (s *Store) ClaimSchedules(ctx context.Context, claim string, now, until time.Time, limit int) (list []*store.Schedule, err error) {
	defer wrap(&err, "claim schedules")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, claimSchedules, claim, whole(until), whole(now), max(limit, 0))
		list, err = collect(rows, err, scanSchedule)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// EndSchedules implements [store.Schedules].
func (s *Store) EndSchedules(ctx context.Context, now time.Time, why string) (n int64, err error) {
	defer wrap(&err, "end schedules")
	return s.exec(ctx, endSchedules, why, whole(now))
}

// PruneSchedules implements [store.Schedules].
func (s *Store) PruneSchedules(ctx context.Context, before time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "prune schedules")
	return s.exec(ctx, pruneSchedules, whole(before), max(limit, 0))
}

func scanSchedule(row scanner) (*store.Schedule, error) {
	s := new(store.Schedule)
	err := row.Scan(&s.ID, &s.MeshID, &s.MemberID, &s.To, &s.Subtype, &s.Form, &s.Nonce, &s.Body, &s.Cron, &s.Timezone,
		(*stamp)(&s.CreatedAt), (*stamp)(&s.DueAt), &s.Fired, (*stamp)(&s.FiredAt), &s.Failure, (*stamp)(&s.EndedAt), &s.State,
		(*stamp)(&s.WakeAt), &s.Claim, &s.Attempts, (*hash)(&s.Request), &s.Secret)
	if err != nil {
		return nil, err
	}
	return s, nil
}
