package schedule

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/cron"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const (
	// firstPause and longestPause bound how long an occurrence rests after it was
	// refused for the moment. Each pause is twice the one before.
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute

	// tries is how often an occurrence is tried, which takes some 12 hours: counted
	// from the first time, however late that is. It is below the day for which sends
	// are remembered, so that one that was accepted after all stays one.
	tries = 150

	// lateAfter is from when on an occurrence counts as late.
	lateAfter = time.Minute

	// finishTimeout is how long it may take to write down what became of one, also
	// while the broker stops. Otherwise its claim runs out.
	finishTimeout = 10 * time.Second

	textGone = "revoked: whoever created it is not in the mesh any more"
)

// Occurrence is one time of a schedule.
type Occurrence struct {
	Row    *store.Schedule
	Member *store.Member // the creator

	// Nonce and Ciphertext are as a send has them. An unsealed text is in base64.
	Nonce, Ciphertext string
	Unsealed          bool

	// ID is the client_message_id; see messageID.
	ID string
}

// errOver ends a change of a row that is not this node's any more.
var errOver = errors.New("the claim is over")

// fire has the time of a claimed row sent that is due.
func (r *Runner) fire(ctx context.Context, row *store.Schedule) {
	err := r.send(ctx, row)
	change := r.outcome(ctx, row, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	_, err = r.options.Store.ChangeSchedule(ctx, row.MeshID, row.ID, func(now *store.Schedule) error {
		if now.Ended() || now.Claim != row.Claim {
			return errOver
		}
		now.Claim = ""
		change(now)
		return nil
	})
	if err != nil && !errors.Is(err, errOver) && !errors.Is(err, store.ErrNotFound) {
		r.options.Log.Warn("a schedule has fired and could not be written: it is looked at again", slog.String("schedule", row.ID), slog.Any("err", err))
	}
}

// send sends it, and returns why it was refused.
func (r *Runner) send(ctx context.Context, row *store.Schedule) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	creator, err := r.options.Members.MemberByID(ctx, row.MemberID)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && !creator.Live():
		return errGone
	case err != nil:
		return core.Unavailable(err)
	}
	o := &Occurrence{
		Row: row, Member: creator, Nonce: row.Nonce, Ciphertext: row.Body,
		ID: messageID(row),
	}
	if row.Form != store.SchedulePeer {
		text, err := r.options.Texts.Get(row)
		if err != nil {
			r.options.Log.Warn("the text of a schedule cannot be opened", slog.String("schedule", row.ID), slog.Any("err", err))
			return core.Refuse(sdk.ReasonInternal, "the broker cannot open the text any more: schedule it again")
		}
		o.Unsealed, o.Nonce, o.Ciphertext = true, "", base64.StdEncoding.EncodeToString([]byte(text))
	}
	return r.options.Send(ctx, o)
}

// errGone refuses what nobody stands for any more.
var errGone = core.Refuse(sdk.ReasonRevoked, strings.TrimPrefix(textGone, "revoked: "))

// outcome returns what becomes of a row whose time was sent, or refused with err.
func (r *Runner) outcome(ctx context.Context, row *store.Schedule, err error) func(*store.Schedule) {
	now := r.options.Now()
	refused, isRefusal := errors.AsType[*core.Error](err)
	switch {
	case err == nil:
		r.count(now.Sub(row.DueAt))
		return func(s *store.Schedule) {
			s.Fired, s.FiredAt, s.Failure = s.Fired+1, now, ""
			next(s, store.ScheduleFired, now)
		}
	case ctx.Err() != nil, isRefusal && refused.Code == sdk.ReasonShuttingDown:
		return func(s *store.Schedule) { s.WakeAt = now } // another node's, or this one's when it is back
	case row.Attempts+1 < tries && (!isRefusal || passes(refused)):
		r.Counters.Again.Add(1)
		return func(s *store.Schedule) {
			s.WakeAt, s.Attempts, s.Failure = now.Add(pause(s.Attempts, refused)), s.Attempts+1, reasonOf(err)
		}
	default:
		r.Counters.Refused.Add(1)
		return func(s *store.Schedule) {
			s.Failure = reasonOf(err)
			if isRefusal && refused.Code == sdk.ReasonRevoked {
				end(s, store.ScheduleFailed, now)
				return
			}
			next(s, store.ScheduleFailed, now)
		}
	}
}

func (r *Runner) count(late time.Duration) {
	r.Counters.Lateness.Observe(late)
	if late >= lateAfter {
		r.Counters.Late.Add(1)
	} else {
		r.Counters.Sent.Add(1)
	}
}

// next puts a row to its next time, behind now: times that were missed come as
// one. A row without one ends in state.
func next(s *store.Schedule, state store.ScheduleState, now time.Time) {
	if s.Cron == "" {
		end(s, state, now)
		return
	}
	e, err := cron.Parse(s.Cron, s.Timezone)
	if err != nil { // the zone is not known to this machine any more
		s.Failure = "invalid_cron: " + err.Error()
		end(s, store.ScheduleFailed, now)
		return
	}
	after := now
	if s.DueAt.After(now) { // the clock has gone back
		after = s.DueAt
	}
	at := e.Next(after)
	if at.IsZero() {
		end(s, state, now)
		return
	}
	s.DueAt, s.WakeAt, s.Attempts = at, at, 0
	if s.Secret == "" {
		s.Secret = NewSecret()
	}
}

// end ends a row. Of one that failed its creator may want to see the text.
func end(s *store.Schedule, state store.ScheduleState, now time.Time) {
	s.State, s.EndedAt = state, now
	if state != store.ScheduleFailed {
		s.Body, s.Nonce = "", ""
	}
}

// passes reports whether a refusal is for the moment.
func passes(refused *core.Error) bool {
	switch refused.Code {
	case sdk.ReasonRateLimit, sdk.ReasonUnavailable, sdk.ReasonStageFailed:
		return true
	default:
		return refused.RetryAfter > 0
	}
}

// pause returns how long an occurrence rests that was tried so often before.
func pause(attempts int64, refused *core.Error) time.Duration {
	rest := longestPause
	if attempts < 10 {
		rest = min(firstPause<<attempts, longestPause)
	}
	if refused != nil {
		rest = max(rest, min(refused.RetryAfter, longestPause))
	}
	return rest
}

// reasonOf is what the creator is told.
func reasonOf(err error) string {
	refused, ok := errors.AsType[*core.Error](err)
	switch {
	case !ok:
		return string(sdk.ReasonUnavailable) + ": the broker could not send it in time"
	case strings.HasPrefix(refused.Message, string(refused.Code)):
		return storable(refused.Message)
	default:
		return storable(string(refused.Code) + ": " + refused.Message)
	}
}

// storable is a text as every store takes it. Stages word refusals as they like.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
}
