package adopt

import (
	"context"

	"github.com/claudemesh/broker/core/cron"
	"github.com/claudemesh/broker/core/schedule"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// schedules returns what is still to be sent. The original leaves some that it has
// sent as if they waited, so what is overdue for as long as a message would wait is
// left out. It goes by the clock of its process, which is UTC in a container.
func (w *work) schedules(ctx context.Context) (list []*store.Schedule, err error) {
	const waiting = `WHERE t.mesh_id = $1 AND NOT t.cancelled AND (t.cron IS NOT NULL OR t.fired_at IS NULL) ORDER BY t.id`
	for row, err := range w.src.read(ctx, "scheduled_message", waiting, w.id) {
		if err != nil {
			return nil, err
		}
		s, why := w.schedule(row)
		if why != "" {
			w.notes.skipped("schedule", row.text("id"), why)
			continue
		}
		schedule.NewTexts(w.o.Keys).Put(s, row.text("message"))
		list = append(list, s)
	}
	return list, nil
}

// schedule returns a row without its text, or why there is none.
func (w *work) schedule(row record) (s *store.Schedule, why string) {
	member := w.byID[row.text("member_id")]
	if member == nil || !member.Live() {
		return nil, "its member is not imported, or revoked"
	}
	if _, err := sdk.ParseTarget(row.text("to")); err != nil || row.text("message") == "" {
		return nil, "it has no text, or a target that means nobody"
	}
	s = &store.Schedule{
		ID: row.text("id"), MeshID: w.id, MemberID: member.ID, To: row.text("to"), Cron: row.text("cron"),
		CreatedAt: row.timeOr("created_at", w.o.Now), State: store.ScheduleWaiting,
	}
	if row.text("subtype") == "reminder" {
		s.Subtype = "reminder"
	}
	switch due, err := row.time("deliver_at"); {
	case s.Cron != "":
		e, err := cron.Parse(s.Cron, "")
		if err != nil {
			return nil, "its cron expression is none here"
		}
		if s.DueAt = e.Next(w.o.Now); s.DueAt.IsZero() {
			return nil, "no date of the next ten years fits its cron expression"
		}
	case err != nil || due.IsZero():
		return nil, "it has no time"
	case w.o.Now.Sub(due) >= w.o.ExpireAfter:
		return nil, "it is long overdue"
	default:
		s.DueAt = due
	}
	s.WakeAt = s.DueAt
	return s, ""
}
