package watch

import (
	"errors"

	"github.com/claudemesh/broker/core/telemetry"
)

// What came of a look.
const (
	lookFirst       = "first"       // there was no value before it
	lookSame        = "same"        // the value of before
	lookChanged     = "changed"     // another one
	lookRefused     = "refused"     // the broker may not look there, or not for this member
	lookUnreachable = "unreachable" // no name, no connection, or no answer in time
	lookFailed      = "failed"      // the broker could not find out who made the watch, or open its headers
	lookUnreadable  = "unreadable"  // an answer without a value to compare
)

// NewLooks returns what counts looks by what came of them.
func NewLooks() *telemetry.Tally {
	return telemetry.NewTally(lookFirst, lookSame, lookChanged, lookRefused, lookUnreachable, lookFailed, lookUnreadable)
}

// outcomeOf returns what came of a look. What the other end causes is apart from
// what the broker's own network does: that one concerns whoever runs it.
func outcomeOf(old, value string, failure error) string {
	is := func(these ...error) bool {
		for _, err := range these {
			if errors.Is(failure, err) {
				return true
			}
		}
		return false
	}
	switch {
	case failure == nil && old == "":
		return lookFirst
	case failure == nil && old == value:
		return lookSame
	case failure == nil:
		return lookChanged
	case is(errRights, ErrAddress, ErrPort, ErrScheme, ErrHost, ErrUser):
		return lookRefused
	case is(errName, errDial, errTime):
		return lookUnreachable
	case is(errStore, errHeaders):
		return lookFailed
	default:
		return lookUnreadable
	}
}
