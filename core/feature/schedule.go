package feature

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/cron"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/schedule"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ReasonInvalidCron refuses an expression that cannot be read, or that no date fits.
const ReasonInvalidCron sdk.Reason = "invalid_cron"

const (
	// schedulesPerMesh and schedulesPerMember bound those that wait. A member whose
	// schedules all fired every minute would have to be let through by the rate
	// limit, like with any other message.
	schedulesPerMesh   = 5_000
	schedulesPerMember = 200

	// scheduleAhead is how far ahead a message may be scheduled. A time beyond it
	// is not in milliseconds.
	scheduleAhead = 10 * 366 * 24 * time.Hour

	// cancelWait is how long a cancel waits for a schedule that is being sent, so
	// that its answer is true.
	cancelWait = 2 * time.Second
)

// ScheduleStore keeps schedules.
type ScheduleStore interface {
	CreateSchedule(ctx context.Context, s *store.Schedule, room store.Room) (row *store.Schedule, fresh bool, err error)
	ListSchedules(ctx context.Context, mesh, memberID string) ([]*store.Schedule, error)
	ChangeSchedule(ctx context.Context, mesh, id string, change func(*store.Schedule) error) (*store.Schedule, error)
}

// ScheduleOptions are what schedules are kept with.
type ScheduleOptions struct {
	Keys *identity.AtRest // seal texts at rest; nil leaves them plain
	Wake func()           // tells what fires schedules that there is a new one; nil for nobody
}

// Schedules lets members have messages sent later, which may be as large as those
// of a send.
func Schedules(r *Registry, st ScheduleStore, send SendOptions, o ScheduleOptions) {
	if o.Wake == nil {
		o.Wake = func() {}
	}
	s := &schedules{store: st, messageBytes: send.MessageBytes, options: o, texts: schedule.NewTexts(o.Keys)}
	On(r, s.create).Needs(store.CanSend).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		if why == ReasonInvalidCron {
			return nil // clients know it as an error
		}
		return wire.ScheduledAck{Error: worded(why, text)}
	})
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.ScheduledList{Messages: []wire.ScheduledMessage{}, Error: worded(why, text)}
	})
	On(r, s.cancel).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		ack := wire.CancelScheduledAck{Error: worded(why, text)}
		if m, ok := c.Request.(*wire.CancelScheduled); ok && m != nil {
			ack.ScheduledID = m.ScheduledID
		}
		return ack
	})
}

type schedules struct {
	store        ScheduleStore
	messageBytes int
	options      ScheduleOptions
	texts        schedule.Texts
}

func (s *schedules) create(ctx context.Context, c *Call, m *wire.Schedule) (wire.ScheduledAck, error) {
	now := time.Now()
	if err := s.check(m); err != nil {
		return wire.ScheduledAck{}, err
	}
	due, err := dueAt(m, now)
	if err != nil {
		return wire.ScheduledAck{}, err
	}
	row := &store.Schedule{
		ID: identity.NewUUID(), MeshID: c.Env.Mesh, MemberID: c.Env.Sender.MemberID, To: m.To, Subtype: m.Subtype,
		Cron: m.Cron, Timezone: m.Timezone, CreatedAt: now, DueAt: due, WakeAt: due, State: store.ScheduleWaiting,
		Request: s.requestOf(c), Secret: schedule.NewSecret(),
	}
	if m.Ciphertext != "" {
		row.Form, row.Nonce, row.Body = store.SchedulePeer, m.Nonce, m.Ciphertext
	} else {
		s.texts.Put(row, m.Message)
	}
	row, fresh, err := s.store.CreateSchedule(ctx, row, store.Room{Mesh: schedulesPerMesh, Member: schedulesPerMember})
	if err != nil {
		return wire.ScheduledAck{}, noRoom(err, "schedules that wait", "cancel some")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, ofSchedule("schedule_created", row.ID))
		c.After = s.options.Wake // whoever schedules for itself and for now hears of it first
	}
	return wire.ScheduledAck{ScheduledID: row.ID, DeliverAt: row.DueAt.UnixMilli(), Cron: row.Cron, Timezone: row.Timezone}, nil
}

// check reports what is wrong with a request, but for its time.
func (s *schedules) check(m *wire.Schedule) error {
	size := len(m.To) + len(m.Nonce) + max(len(m.Ciphertext), base64.StdEncoding.EncodedLen(len(m.Message)))
	_, err := sdk.ParseTarget(m.To)
	switch {
	case err != nil:
		return core.Refuse(sdk.ReasonInvalid, "to: "+err.Error())
	case m.Message == "" && m.Ciphertext == "":
		return core.Refuse(sdk.ReasonInvalid, "message: is required, or ciphertext in its place: want at least one byte")
	case m.Message != "" && m.Ciphertext != "":
		return core.Refuse(sdk.ReasonInvalid, "ciphertext: want it in the place of message, and not beside it")
	case m.Nonce != "" && m.Ciphertext == "":
		return core.Refuse(sdk.ReasonInvalid, "nonce: want it with a ciphertext alone")
	case m.Timezone != "" && m.Cron == "":
		return core.Refuse(sdk.ReasonInvalid, "timezone: want it with cron alone; deliverAt is the same everywhere")
	case size > s.messageBytes:
		return core.Refuse(sdk.ReasonTooLarge, fmt.Sprintf(
			"payload too large: %d bytes > MAX_MESSAGE_BYTES=%d: invalid message, schedule less at a time", size, s.messageBytes))
	}
	return nil
}

// dueAt returns when a request is to be sent first.
func dueAt(m *wire.Schedule, now time.Time) (time.Time, error) {
	if m.Cron != "" {
		e, err := cron.Parse(m.Cron, m.Timezone)
		if err != nil {
			return time.Time{}, invalidCron(m, err.Error())
		}
		at := e.Next(now)
		if at.IsZero() {
			return time.Time{}, invalidCron(m, "no date of the next ten years fits: want another day or month")
		}
		return at, nil
	}
	switch at := m.DeliverAt; {
	case at == nil:
		return time.Time{}, core.Refuse(sdk.ReasonInvalid, "deliverAt: is required, or cron in its place: want milliseconds since 1970")
	case *at > float64(now.Add(scheduleAhead).UnixMilli()):
		return time.Time{}, core.Refuse(sdk.ReasonInvalid, "deliverAt: want milliseconds since 1970, at most ten years ahead")
	case *at <= float64(now.UnixMilli()):
		return now, nil
	default:
		return time.UnixMilli(int64(*at)).UTC(), nil
	}
}

func invalidCron(m *wire.Schedule, why string) error {
	return core.Refuse(ReasonInvalidCron, "Invalid cron expression: "+core.Shown(m.Cron)+": "+why)
}

// requestOf is requestOf with the operator's key, so that nobody who reads the
// store can find out by guessing what a text is that is sealed there.
func (s *schedules) requestOf(c *Call) [32]byte {
	if c.ReqID == nil || s.options.Keys == nil {
		return requestOf(c)
	}
	text, _ := json.Marshal([]any{c.Session.ID, c.ReqID, c.Request}) // both came as JSON
	key := s.options.Keys.Key()
	mac := hmac.New(sha256.New, append([]byte("request of a schedule|"), key[:]...))
	mac.Write(text)
	return [32]byte(mac.Sum(nil))
}

// ofSchedule is the record of what was done to a schedule. The log keeps no text.
func ofSchedule(event, id string) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(audit.String("scheduledId", id))}
}

// Why a schedule is not cancelled.
var (
	errNoSchedule = core.Refuse(sdk.ReasonNotFound, "you have no schedule with this id that waits: list them")
	errSending    = core.Refuse(sdk.ReasonUnavailable, "it is being sent at this moment: list them, and try again")
)

// cancel ends a schedule. What another node is about to send is waited for: of
// that one nobody can say that it will not be sent.
func (s *schedules) cancel(ctx context.Context, c *Call, m *wire.CancelScheduled) (wire.CancelScheduledAck, error) {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		err := s.end(ctx, c, m.ScheduledID)
		refused, isRefusal := errors.AsType[*core.Error](err)
		switch {
		case err == nil:
			c.Env.Records = append(c.Env.Records, ofSchedule("schedule_cancelled", m.ScheduledID))
		case errors.Is(err, errSame):
		case errors.Is(err, errSending) && pause < cancelWait/2:
			select {
			case <-ctx.Done():
				return wire.CancelScheduledAck{}, errSending
			case <-time.After(pause):
			}
			continue
		case errors.Is(err, store.ErrNotFound):
			return wire.CancelScheduledAck{}, errNoSchedule
		case isRefusal:
			return wire.CancelScheduledAck{}, refused
		default:
			return wire.CancelScheduledAck{}, core.Unavailable(err)
		}
		return wire.CancelScheduledAck{ScheduledID: m.ScheduledID, OK: true}, nil
	}
}

// end ends a schedule of the member that asks, unless it is being sent.
func (s *schedules) end(ctx context.Context, c *Call, id string) error {
	now := time.Now()
	_, err := s.store.ChangeSchedule(ctx, c.Env.Mesh, id, func(row *store.Schedule) error {
		switch {
		case row.MemberID != c.Env.Sender.MemberID || row.State == store.ScheduleFired:
			return errNoSchedule
		case row.State == store.ScheduleCancelled:
			return errSame
		case row.State == store.ScheduleWaiting && row.Claim != "" && row.WakeAt.After(now):
			return errSending
		}
		row.State, row.EndedAt, row.Claim, row.Body, row.Nonce = store.ScheduleCancelled, now, "", "", ""
		return nil
	})
	return err
}

// list returns the schedules of the member that asks.
func (s *schedules) list(ctx context.Context, c *Call, m *wire.ListScheduled) (wire.ScheduledList, error) {
	rows, err := s.store.ListSchedules(ctx, c.Env.Mesh, c.Env.Sender.MemberID)
	if err != nil {
		return wire.ScheduledList{}, core.Unavailable(err)
	}
	list := wire.ScheduledList{Messages: []wire.ScheduledMessage{}}
	size := 0
	for _, row := range rows {
		if !m.All && (row.State == store.ScheduleFired || row.State == store.ScheduleCancelled) {
			continue
		}
		shown := s.shown(row)
		if size += jsonBytes(shown.Message) + jsonBytes(shown.Ciphertext); size > answerBytes {
			shown.Message, shown.Ciphertext, shown.Nonce, shown.LeftOut = "", "", "", true
		}
		list.Messages = append(list.Messages, shown)
	}
	return list, nil
}

// shown is a schedule as its creator sees it.
func (s *schedules) shown(row *store.Schedule) wire.ScheduledMessage {
	shown := wire.ScheduledMessage{
		ID: row.ID, To: row.To, DeliverAt: row.DueAt.UnixMilli(), CreatedAt: row.CreatedAt.UnixMilli(),
		Cron: row.Cron, Timezone: row.Timezone, Subtype: row.Subtype, State: string(row.State), Error: row.Failure,
	}
	if row.Cron != "" {
		shown.FiredCount = &row.Fired
	}
	if !row.FiredAt.IsZero() {
		shown.FiredAt = row.FiredAt.UnixMilli()
	}
	if row.Form == store.SchedulePeer {
		shown.Ciphertext, shown.Nonce = row.Body, row.Nonce
		return shown
	}
	text, err := s.texts.Get(row)
	if err != nil {
		shown.Error = cmp.Or(shown.Error, string(sdk.ReasonInternal)+": the broker cannot open the text any more: cancel it, and schedule it again")
	}
	shown.Message = text
	return shown
}
