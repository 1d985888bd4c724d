package officehours

import (
	"time"
)

// lookAhead is how far Next looks. A hold of more than a year counts as a year,
// so what opens later than that makes no difference.
const lookAhead = 366 * 24 * time.Hour

// minutesADay is where a day's last span may end.
const minutesADay = 24 * 60

// span is a part of a day, in minutes since its midnight; to is not in it.
type span struct{ from, to int }

// date is a day of the calendar, wherever that is.
type date struct {
	year  int
	month time.Month
	day   int
}

// Timetable says when somebody may be disturbed: at some times of each weekday,
// except on some dates. It is about what the clock on the wall shows, so that
// nine o'clock stays nine o'clock when the clocks change. An hour that comes
// twice is open twice, and one that is skipped is skipped.
//
// A Timetable is never changed, and may be used concurrently.
type Timetable struct {
	zone   *time.Location
	week   [7][]span // by time.Weekday; sorted, apart from each other
	closed map[date]bool
}

// Open reports whether somebody may be disturbed at a time.
func (t *Timetable) Open(at time.Time) bool {
	at = at.In(t.zone)
	if t.closed[dateOf(at)] {
		return false
	}
	minute := at.Hour()*60 + at.Minute()
	for _, s := range t.week[at.Weekday()] {
		if minute >= s.from && minute < s.to {
			return true
		}
	}
	return false
}

// Next returns the earliest time, not before at, that is open, in the
// timetable's zone. It is false when there is none within 366 days. It does not
// allocate.
func (t *Timetable) Next(at time.Time) (time.Time, bool) {
	end := at.Add(lookAhead)
	for at = at.In(t.zone); at.Before(end); at = t.change(at) {
		if t.Open(at) {
			return at, true
		}
	}
	return time.Time{}, false
}

// change returns the next time after a closed one at which a timetable can
// become open: where a span of that day begins, at midnight, or where the zone's
// clocks are changed, whichever is first.
func (t *Timetable) change(at time.Time) time.Time {
	minute := at.Hour()*60 + at.Minute()
	next := minutesADay
	if !t.closed[dateOf(at)] {
		for _, s := range t.week[at.Weekday()] {
			if s.from > minute {
				next = s.from
				break
			}
		}
	}
	intoMinute := time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
	to := at.Add(time.Duration(next-minute)*time.Minute - intoMinute)
	if _, changed := at.ZoneBounds(); !changed.IsZero() && changed.Before(to) {
		return changed.In(t.zone)
	}
	return to
}

func dateOf(at time.Time) date {
	year, month, day := at.Date()
	return date{year, month, day}
}
