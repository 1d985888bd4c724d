package cron

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	spec "github.com/netresearch/go-cron"
)

const (
	// MaxExpression is the most bytes of an expression. Every minute of an hour,
	// named one by one, has 170.
	MaxExpression = 256

	// searchYears is how far ahead the next time is looked for. The 29th of
	// February is away for eight years around 2100.
	searchYears = 10
)

// starBit is how the library marks a field with a * anywhere. It would have both
// days fit for 1,* as well.
const starBit = 1 << 63

// allowed are the characters of an expression: numbers, names, *, ranges, lists,
// steps, and what stands between the fields. Dialects that know more would be
// read otherwise elsewhere.
const allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*,-/ \t"

// Expression is a crontab expression in a time zone. It never changes.
type Expression struct {
	dates *spec.SpecSchedule // on a clock that never jumps
	zone  *time.Location

	// hourly says that the field of hours begins with *: such expressions mean
	// a stretch of time, and others a time of day.
	hourly bool
}

// Parse reads an expression of five fields: minute, hour, day of the month, month,
// day of the week. Each is a list, by commas, of *, N, A-B, and any of these
// with a /step; a range may go over the end, as in 22-2. Months and days have
// English names of three letters, and Sunday is 0 and 7. Where both days are
// given, and neither begins with *, one of them is enough. Zone is an IANA name,
// UTC when it is empty.
//
// The error says what is wrong, and so does that of an expression that no date
// fits. It takes well below a millisecond, whatever the text is.
func Parse(expression, zone string) (*Expression, error) {
	fields := strings.Fields(expression)
	switch {
	case len(expression) > MaxExpression:
		return nil, fmt.Errorf("want at most %d bytes", MaxExpression)
	case strings.Trim(expression, allowed) != "":
		return nil, errors.New("want numbers, names like MON and JAN, and * , - / alone")
	case len(fields) != 5:
		return nil, fmt.Errorf("want five fields, minute hour day month weekday, and not %d", len(fields))
	}
	if slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(strings.Split(f, ","), "") }) {
		return nil, errors.New("want a number, a name, * or a range on both sides of a comma")
	}
	location, err := parseZone(zone)
	if err != nil {
		return nil, err
	}
	parser := spec.MustNewParser(spec.Minute | spec.Hour | spec.Dom | spec.Month | spec.Dow).WithMaxSearchYears(searchYears)
	parsed, err := parser.Parse(strings.Join(fields, " "))
	if err != nil {
		return nil, blame(parser, fields)
	}
	dates, ok := parsed.(*spec.SpecSchedule)
	if !ok {
		return nil, errors.New("want five fields")
	}
	star := func(n int) bool { return strings.HasPrefix(fields[n], "*") }
	dates.Location, dates.DowOrDom = time.UTC, !star(2) && !star(4)
	dates.Dom, dates.Dow = dates.Dom&^starBit, dates.Dow&^starBit
	if dates.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, errors.New("no date fits, like the 30th of February: want another day or month")
	}
	return &Expression{dates: dates, zone: location, hourly: star(1)}, nil
}

// blame says which of five fields cannot be read. The library's own words repeat
// them, and what somebody typed may be a secret in the wrong place.
func blame(parser spec.Parser, fields []string) error {
	for i, want := range []string{
		"minute: want 0-59", "hour: want 0-23", "day of the month: want 1-31", "month: want 1-12 or JAN-DEC", "weekday: want 0-7 or SUN-SAT",
	} {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = fields[i]
		if _, err := parser.Parse(strings.Join(alone, " ")); err != nil {
			return errors.New(want + ", as *, N, A-B, lists of these, and with a /step that is 1 or more and below the range")
		}
	}
	return errors.New("want five fields")
}

// parseZone returns a zone by its IANA name. The machine's own has none that
// means the same on another one.
func parseZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, errors.New("timezone: want an IANA name like Europe/Madrid, or none for UTC")
	}
	return zone, nil
}

// Next returns the first time after t, in UTC; zero when none is near.
//
// Where the clock goes forward, times of day that are left out come as one, when
// the clock has gone forward. Where it goes back, a time of day comes the first
// time only. Expressions with a * for the hour go by the time that passes: they
// come in both hours, and not for the one that is left out.
func (e *Expression) Next(t time.Time) time.Time {
	var best time.Time
	for wall := e.dates.Next(e.start(t)); !wall.IsZero(); wall = e.dates.Next(wall) {
		first, second := e.instants(wall)
		for _, at := range []time.Time{first, second} {
			if at.After(t) && (best.IsZero() || at.Before(best)) {
				best = at
			}
		}
		if !best.IsZero() && !first.IsZero() && !first.Before(best) {
			return best.UTC()
		}
	}
	return best
}
