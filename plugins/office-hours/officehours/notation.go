package officehours

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NewTimetable reads a timetable. Each text of open names days and times of
// day, such as "Mon-Fri 09:00-12:00,13:00-17:00" or "Sat,Sun 10:00-12:00"; a
// span that ends before it begins goes on after midnight, and belongs to the
// day on which it began. Each text of closed is a date, such as "2026-12-25",
// that is closed from midnight to midnight, spans from the day before included.
func NewTimetable(zone *time.Location, open, closed []string) (*Timetable, error) {
	t := &Timetable{zone: zone, closed: make(map[date]bool, len(closed))}
	for i, text := range open {
		if err := t.add(text); err != nil {
			return nil, &notationError{list: "open", index: i, err: err}
		}
	}
	for i, text := range closed {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return nil, &notationError{list: "closed", index: i, err: fmt.Errorf(`%q is no date; write it as "2026-12-25"`, text)}
		}
		t.closed[dateOf(at)] = true
	}
	for day := range t.week {
		t.week[day] = merge(t.week[day])
	}
	return t, nil
}

// notationError says which text is wrong.
type notationError struct {
	list  string // open or closed
	index int
	err   error
}

func (e *notationError) Error() string {
	return e.list + "." + strconv.Itoa(e.index) + ": " + e.err.Error()
}

// add reads one text of open.
func (t *Timetable) add(text string) error {
	days, times, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return fmt.Errorf(`%q lacks days or times; write it as "Mon-Fri 09:00-17:00"`, text)
	}
	wanted, err := parseDays(days)
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(times, ",") {
		s, err := parseSpan(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		for day, yes := range wanted {
			if yes {
				t.open(day, s)
			}
		}
	}
	return nil
}

// open adds a span of one weekday, with its rest on the next.
func (t *Timetable) open(day int, s span) {
	if s.from < s.to {
		t.week[day] = append(t.week[day], s)
		return
	}
	t.week[day] = append(t.week[day], span{s.from, minutesADay})
	if s.to > 0 {
		t.week[(day+1)%7] = append(t.week[(day+1)%7], span{0, s.to})
	}
}

// parseDays reads "Mon-Fri", "Sat,Sun", "Fri-Mon" or "daily".
func parseDays(text string) (wanted [7]bool, err error) {
	if strings.EqualFold(text, "daily") {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := parseDay(from)
		if err != nil {
			return wanted, err
		}
		last := first
		if isRange {
			if last, err = parseDay(to); err != nil {
				return wanted, err
			}
		}
		for day := first; ; day = (day + 1) % 7 {
			wanted[day] = true
			if day == last {
				break
			}
		}
	}
	return wanted, nil
}

// parseDay reads a day's name, whole or its first three letters.
func parseDay(text string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if name := day.String(); strings.EqualFold(text, name) || strings.EqualFold(text, name[:3]) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("%q is no day; known are Mon, Tue, Wed, Thu, Fri, Sat, Sun, and daily", text)
}

// parseSpan reads "09:00-17:00".
func parseSpan(text string) (span, error) {
	begin, end, ok := strings.Cut(text, "-")
	if !ok {
		return span{}, fmt.Errorf(`%q is no span of time; write it as "09:00-17:00"`, text)
	}
	from, err := parseClock(begin)
	if err != nil {
		return span{}, err
	}
	to, err := parseClock(end)
	if err != nil {
		return span{}, err
	}
	switch from {
	case minutesADay:
		return span{}, fmt.Errorf("%q begins at 24:00, which is 00:00 of the next day", text)
	case to:
		return span{}, fmt.Errorf(`%q is empty; a whole day is "00:00-24:00"`, text)
	}
	return span{from, to}, nil
}

// parseClock reads "09:00", up to "24:00", as minutes since midnight.
func parseClock(text string) (int, error) {
	h, m, ok := strings.Cut(strings.TrimSpace(text), ":")
	hour, errHour := strconv.ParseUint(h, 10, 8)
	minute, errMinute := strconv.ParseUint(m, 10, 8)
	at := int(hour)*60 + int(minute)
	if !ok || errHour != nil || errMinute != nil || len(m) != 2 || minute > 59 || at > minutesADay {
		return 0, fmt.Errorf(`%q is no time of day; write it as "09:00"`, text)
	}
	return at, nil
}

// merge sorts spans and joins those that touch.
func merge(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
	for _, s := range list {
		if last := len(out) - 1; last >= 0 && s.from <= out[last].to {
			out[last].to = max(out[last].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}
