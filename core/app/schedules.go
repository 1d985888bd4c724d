package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/schedule"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// backLatest is how long clients without a connection wait at most before they
// try again, and a little more.
const backLatest = 35 * time.Second

// newScheduler returns what fires schedules.
func (a *App) newScheduler(st store.Store, log *slog.Logger) *schedule.Runner {
	begun := time.Now()
	return schedule.New(schedule.Options{
		Store: st, Members: a.roster, Texts: schedule.NewTexts(a.options.Keys),
		Send: func(ctx context.Context, o *schedule.Occurrence) error {
			if wait := a.returning(o.Row, begun, time.Now()); wait > 0 {
				return &core.Error{
					Code: sdk.ReasonUnavailable, RetryAfter: wait,
					Message: "the broker has just started: it is sent when those whom it is for had the time to connect again",
				}
			}
			return a.sendScheduled(ctx, o)
		},
		Ready: func() bool { return !a.gate.Draining() && (a.held() == nil || a.held()()) },
		Alone: a.alone, Now: time.Now, Log: log,
	})
}

// fireSchedules runs what fires schedules, once the sessions on other nodes are
// known.
func (a *App) fireSchedules(ctx context.Context) {
	a.catchUp(ctx)
	a.scheduler.Run(ctx)
}

// returning returns how long a schedule waits yet for those that its target
// means by being connected. They were when it was made, and a start of the broker
// has none of them.
func (a *App) returning(row *store.Schedule, begun, now time.Time) time.Duration {
	target, err := sdk.ParseTarget(row.To)
	switch {
	case err != nil || target.Kind != sdk.TargetBroadcast && target.Kind != sdk.TargetGroup, row.CreatedAt.After(begun):
		return 0
	default:
		return begun.Add(min(backLatest, a.config.Load().Presence.Grace)).Sub(now)
	}
}

// sendScheduled posts one time of a schedule.
func (a *App) sendScheduled(ctx context.Context, o *schedule.Occurrence) error {
	to, err := a.scheduledTo(ctx, o)
	if err != nil {
		return err
	}
	post := &feature.Post{
		Mesh: o.Row.MeshID, Member: o.Member.Key,
		Message: wire.Send{
			TargetSpec: to, Priority: sdk.PriorityNow, Nonce: o.Nonce, Ciphertext: o.Ciphertext, ClientMessageID: o.ID,
		},
	}
	if o.Unsealed || o.Row.Subtype != "" {
		post.Extra = &store.Extra{Subtype: o.Row.Subtype, Unsealed: o.Unsealed}
	}
	_, err = a.Post(ctx, post)
	return err
}

// scheduledTo returns the target of a time of a schedule. A session of its
// creator's own that is not here any more may never come back, and was meant as
// the creator: programs that set a reminder end before it is due.
func (a *App) scheduledTo(ctx context.Context, o *schedule.Occurrence) (string, error) {
	target, err := sdk.ParseTarget(o.Row.To)
	if err != nil || target.Kind != sdk.TargetKey || a.engine.Connected(o.Row.MeshID, target.Key) {
		return o.Row.To, nil // what is wrong with it, the chain says
	}
	list, err := a.roster.Resolve(ctx, &sdk.Envelope{Mesh: o.Row.MeshID, Target: target}, nil)
	if err != nil {
		return "", err
	}
	if len(list) == 1 && list[0].MemberID == o.Member.ID {
		return o.Member.Key.String(), nil
	}
	return o.Row.To, nil
}

// scheduleMetrics gives what became of schedules that were due.
func scheduleMetrics(to telemetry.To, c *schedule.Counters) {
	to.Samples(telemetry.Family{
		Name: "broker_schedules_total", Kind: telemetry.KindCounter, Help: "Times of schedules that were due, by what became of them",
		Labels: []telemetry.Label{{Name: "outcome", Values: "sent, late (sent a minute or more after its time), again (refused for the moment) or refused"}},
	}, []telemetry.Sample{
		sample(c.Sent.Load(), "sent"), sample(c.Late.Load(), "late"), sample(c.Again.Load(), "again"), sample(c.Refused.Load(), "refused"),
	})
	to.Histograms("broker_schedule_late_seconds", "From when a schedule was due until its message was accepted", nil, c.Lateness.Series(longestWait))
}
