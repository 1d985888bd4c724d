package cron

import "time"

// A wall time is what a clock on the wall shows, written as a time in UTC.

func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// start returns the wall time behind which all that comes after t is found. In the
// hour before a clock goes back, what it shows next it has shown before.
func (e *Expression) start(t time.Time) time.Time {
	t = t.In(e.zone)
	wall := wallOf(t)
	if _, end := t.ZoneBounds(); !end.IsZero() {
		if back := wallOf(end.Add(-1)).Add(1).Sub(wallOf(end)); back > 0 && end.Sub(t) <= back {
			return wall.Add(-back - time.Minute)
		}
	}
	return wall
}

// instants returns when the clock shows a wall time that the expression means: at
// first, and once more where it goes back. Zero is never.
func (e *Expression) instants(wall time.Time) (first, second time.Time) {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, e.zone)
	start, end := near.ZoneBounds()
	for _, in := range []time.Time{start.Add(-1), near, end} { // moments of the offsets that it may have
		at := wall.Add(in.In(e.zone).Sub(wallOf(in.In(e.zone)))).In(e.zone)
		switch {
		case !wallOf(at).Equal(wall) || at.Equal(first):
		case first.IsZero():
			first = at
		case at.Before(first):
			first, second = at, first
		default:
			second = at
		}
	}
	switch {
	case e.hourly:
		return first, second
	case first.IsZero():
		return jump(wall, start, end), time.Time{}
	default:
		return first, time.Time{}
	}
}

// jump returns when the clock goes over a wall time that it never shows: at one of
// two changes of the zone's offset.
func jump(wall, start, end time.Time) time.Time {
	for _, at := range []time.Time{start, end} {
		if !at.IsZero() && !wall.Before(wallOf(at.Add(-1)).Add(1)) && wall.Before(wallOf(at)) {
			return at
		}
	}
	return time.Time{}
}
