package store

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// ScheduleState says where a schedule stands.
type ScheduleState string

// States of a schedule. All but the first are its end.
const (
	ScheduleWaiting   ScheduleState = "waiting"
	ScheduleFired     ScheduleState = "fired"  // once, and it was accepted
	ScheduleFailed    ScheduleState = "failed" // refused for good, or nobody is left whom it is from
	ScheduleCancelled ScheduleState = "cancelled"
)

// ScheduleForm says what the body of a schedule is.
type ScheduleForm string

// Forms of a body.
const (
	SchedulePlain  ScheduleForm = "plain"   // the text
	ScheduleAtRest ScheduleForm = "at-rest" // the text, sealed with the operator's key
	SchedulePeer   ScheduleForm = "peer"    // what its creator sealed for the recipient, with a nonce
)

// Schedule is a message that is sent later, once or again and again.
type Schedule struct {
	ID       string
	MeshID   string
	MemberID string // who created it, and in whose name it is sent
	To       string // target, as it was given
	Subtype  string // "" for a message like any other

	Form  ScheduleForm
	Nonce string // of the form for a peer
	Body  string // empty when the schedule has ended otherwise than by failing

	Cron     string // "" for once
	Timezone string // "" for UTC

	CreatedAt time.Time
	DueAt     time.Time // of the time that comes next; of one that has ended, the last
	Fired     int64     // how often it was sent
	FiredAt   time.Time // last; zero for never
	Failure   string    // why it was refused last, for its creator; "" when it was not
	EndedAt   time.Time // zero while it waits
	State     ScheduleState

	// WakeAt is when a node looks at it next: when it is due, when it is tried
	// again, or when the claim ends.
	WakeAt   time.Time
	Claim    string // of the node that fires it now; "" for none
	Attempts int64  // how often this time was tried

	// Secret is what the ids of its messages are made with, "" for a row of an
	// earlier release. It is shown to nobody.
	Secret string

	// Request is a hash of the request that made it, zero for none. It is written
	// once.
	Request [32]byte
}

// Ended reports whether a schedule does not fire any more.
func (s *Schedule) Ended() bool { return s.State != ScheduleWaiting }

// Schedules keeps what is sent later.
type Schedules interface {
	// CreateSchedule writes a schedule, and returns it. Where one has the same
	// request, that one is returned as it is, nothing is written and fresh is
	// false.
	//
	// Room is for those that wait. Of those of the member that have ended as many
	// are kept as may wait, the newest. A [*FullError] when there is no room.
	CreateSchedule(ctx context.Context, s *Schedule, room Room) (row *Schedule, fresh bool, err error)

	// ListSchedules returns all schedules of a member, those that are due first
	// first.
	ListSchedules(ctx context.Context, mesh, memberID string) ([]*Schedule, error)

	// ChangeSchedule lets change edit a schedule but for what it was created with,
	// in one transaction with reading it, and returns what was written. An error
	// of change is returned as it is, and nothing is written. change may run more
	// than once, and must not call the store. ErrNotFound.
	ChangeSchedule(ctx context.Context, mesh, id string, change func(*Schedule) error) (*Schedule, error)

	// NextSchedule returns when a schedule is to be looked at next, zero when none
	// waits.
	NextSchedule(ctx context.Context) (time.Time, error)

	// ClaimSchedules marks those that are to be looked at by now as claimed until
	// a time, so many at most, those that wake first, and returns them. No two
	// claims get the same one.
	ClaimSchedules(ctx context.Context, claim string, now, until time.Time, limit int) ([]*Schedule, error)

	// EndSchedules makes the schedules of members that were revoked, and those of
	// meshes that were archived, fail for this reason, and returns how many they
	// were.
	EndSchedules(ctx context.Context, now time.Time, why string) (int64, error)

	// PruneSchedules deletes schedules that had ended before a time, so many at
	// most, and returns how many they were.
	PruneSchedules(ctx context.Context, before time.Time, limit int) (int64, error)
}

// OfScheduleMesh returns change for schedules of one mesh: there are no others.
func OfScheduleMesh(mesh string, change func(*Schedule) error) func(*Schedule) error {
	return func(s *Schedule) error {
		if s.MeshID != mesh {
			return fmt.Errorf("change schedule: %w", ErrNotFound)
		}
		return change(s)
	}
}

// RequestKey returns the request as the engines store hashes, zero for none.
func (s *Schedule) RequestKey() sdk.Key { return sdk.Key(s.Request) }
