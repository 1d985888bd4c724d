package doctor

import (
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// Clocks that differ by more than the first are not kept by NTP. Beyond the
// second, hellos and signatures of peers with a right clock are refused.
const (
	someSkew = 2 * time.Second
	fullSkew = identity.MaxSkew
)

// jumped is more than the clock may run away from the monotonic one while the
// checks are done.
const jumped = 500 * time.Millisecond

// clock judges how far another clock is ahead of ours, known up to some error.
// The texts take the difference.
func (r *round) clock(ahead, upTo time.Duration, apart, together string) {
	const fix = "keep the clocks by NTP (timedatectl set-ntp true): peers sign what they send with the time, and are refused beyond a minute"
	now := r.Machine.Now()
	if jump := now.Round(0).Sub(r.began.Round(0)) - now.Sub(r.began); jump.Abs() > jumped {
		r.warn(CheckClock, fix, "the clock was set by %v while this ran", jump.Round(time.Millisecond))
	}
	off := ahead
	if upTo > 0 { // either way is wrong
		off = max(ahead.Abs()-upTo, 0)
	}
	switch {
	case off > fullSkew:
		r.fail(CheckClock, fix, apart, ahead.Round(time.Millisecond))
	case off > someSkew:
		r.warn(CheckClock, fix, apart, ahead.Round(time.Millisecond))
	default:
		r.ok(CheckClock, "%s", together)
	}
}
