package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const scheduleColumns = `id, mesh_id, member_id, target, subtype, form, nonce, body, cron, timezone, created_at, due_at, fired,
	fired_at, failure, ended_at, state, wake_at, claim, attempts, request, secret`

const (
	insertSchedule = `INSERT INTO schedule (` + scheduleColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
		?, ?, ?, ?)`
	sameSchedule = `SELECT ` + scheduleColumns + ` FROM schedule WHERE mesh_id = ? AND request = ?`
	scheduleByID = `SELECT ` + scheduleColumns + ` FROM schedule WHERE id = ?`

	// The + keeps it from reading all of the mesh.
	listSchedules = `SELECT ` + scheduleColumns + ` FROM schedule WHERE member_id = ? AND +mesh_id = ? ORDER BY due_at, id`

	countSchedules   = `SELECT count(*) FROM schedule WHERE mesh_id = ? AND state = 'waiting'`
	countSchedulesOf = `SELECT count(*) FROM schedule WHERE member_id = ? AND state = 'waiting'`
	trimSchedules    = `DELETE FROM schedule WHERE id IN (SELECT id FROM schedule WHERE member_id = ?
		AND state IN ('fired', 'failed', 'cancelled') ORDER BY ended_at DESC, id DESC LIMIT -1 OFFSET ?)`

	nextSchedule   = `SELECT min(wake_at) FROM schedule WHERE state = 'waiting'`
	claimSchedules = `UPDATE schedule SET claim = ?, wake_at = ? WHERE id IN (SELECT id FROM schedule WHERE state = 'waiting'
		AND wake_at <= ? ORDER BY wake_at, id LIMIT ?) RETURNING ` + scheduleColumns
	changeSchedule = `UPDATE schedule SET form = ?, nonce = ?, body = ?, due_at = ?, fired = ?, fired_at = ?, failure = ?, ended_at = ?,
		state = ?, wake_at = ?, claim = ?, attempts = ?, secret = ? WHERE id = ? RETURNING ` + scheduleColumns

	endSchedules = `UPDATE schedule SET state = 'failed', failure = ?, ended_at = ?, claim = '' WHERE state = 'waiting'
		AND (EXISTS (SELECT 1 FROM member m WHERE m.id = schedule.member_id AND m.revoked_at IS NOT NULL)
			OR EXISTS (SELECT 1 FROM mesh m WHERE m.id = schedule.mesh_id AND m.archived_at IS NOT NULL))`
	pruneSchedules = `DELETE FROM schedule WHERE id IN (SELECT id FROM schedule WHERE state <> 'waiting' AND ended_at < ?
		ORDER BY ended_at LIMIT ?)`
)

// CreateSchedule implements [store.Schedules].
func (s *Store) CreateSchedule(ctx context.Context, row *store.Schedule, room store.Room) (kept *store.Schedule, fresh bool, err error) {
	defer wrap(&err, "create schedule")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		kept, err = scanSchedule(tx.QueryRowContext(ctx, sameSchedule, row.MeshID, keyArg(row.RequestKey())))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countSchedules, row.MeshID).Scan(&mesh); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, countSchedulesOf, row.MemberID).Scan(&member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, trimSchedules, row.MemberID, room.Member); err != nil {
			return err
		}
		kept, fresh = row, true
		_, err := tx.ExecContext(ctx, insertSchedule, scheduleArgs(row)...)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return kept, fresh, nil
}

func scheduleArgs(s *store.Schedule) []any {
	return []any{
		s.ID, s.MeshID, s.MemberID, s.To, s.Subtype, string(s.Form), s.Nonce, s.Body, s.Cron, s.Timezone, s.CreatedAt.UnixMilli(),
		s.DueAt.UnixMilli(), s.Fired, timeArg(s.FiredAt), s.Failure, timeArg(s.EndedAt), string(s.State), s.WakeAt.UnixMilli(), s.Claim,
		s.Attempts, keyArg(s.RequestKey()), s.Secret,
	}
}

// ListSchedules implements [store.Schedules].
func (s *Store) ListSchedules(ctx context.Context, mesh, memberID string) (list []*store.Schedule, err error) {
	defer wrap(&err, "list schedules")
	rows, err := s.read.QueryContext(ctx, listSchedules, memberID, mesh)
	return collect(rows, err, scanSchedule)
}

// ChangeSchedule implements [store.Schedules].
func (s *Store) ChangeSchedule(ctx context.Context, mesh, id string, change func(*store.Schedule) error) (*store.Schedule, error) {
	e := edit[store.Schedule]{
		op: "change schedule", read: scheduleByID, scan: scanSchedule, write: changeSchedule,
		args: func(s *store.Schedule) []any {
			return []any{
				string(s.Form), s.Nonce, s.Body, s.DueAt.UnixMilli(), s.Fired, timeArg(s.FiredAt), s.Failure, timeArg(s.EndedAt),
				string(s.State), s.WakeAt.UnixMilli(), s.Claim, s.Attempts, s.Secret,
			}
		},
	}
	return e.run(ctx, s, id, store.OfScheduleMesh(mesh, change))
}

// NextSchedule implements [store.Schedules].
func (s *Store) NextSchedule(ctx context.Context) (at time.Time, err error) {
	defer wrap(&err, "next schedule")
	err = s.read.QueryRowContext(ctx, nextSchedule).Scan((*millis)(&at))
	return at, err
}

// ClaimSchedules implements [store.Schedules].
func (s *Store) ClaimSchedules(ctx context.Context, claim string, now, until time.Time, limit int) (list []*store.Schedule, err error) {
	defer wrap(&err, "claim schedules")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, claimSchedules, claim, until.UnixMilli(), now.UnixMilli(), max(limit, 0))
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
	return s.exec(ctx, endSchedules, why, now.UnixMilli())
}

// PruneSchedules implements [store.Schedules].
func (s *Store) PruneSchedules(ctx context.Context, before time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "prune schedules")
	return s.exec(ctx, pruneSchedules, before.UnixMilli(), max(limit, 0))
}

func scanSchedule(row scanner) (*store.Schedule, error) {
	s := new(store.Schedule)
	err := row.Scan(&s.ID, &s.MeshID, &s.MemberID, &s.To, &s.Subtype, &s.Form, &s.Nonce, &s.Body, &s.Cron, &s.Timezone,
		(*millis)(&s.CreatedAt), (*millis)(&s.DueAt), &s.Fired, (*millis)(&s.FiredAt), &s.Failure, (*millis)(&s.EndedAt), &s.State,
		(*millis)(&s.WakeAt), &s.Claim, &s.Attempts, (*hash)(&s.Request), &s.Secret)
	if err != nil {
		return nil, err
	}
	return s, nil
}
