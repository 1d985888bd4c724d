package cron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is an expression that is looked up minute by minute.
type model struct {
	text   string
	minute []int
	hour   []int
	day    []int
	month  []int
	week   []int
	either bool // one of the days is enough
	hourly bool
	zone   *time.Location
}

// drawField draws a field and the values that it means.
func drawField(rt *rapid.T, name string, low, high int) (text string, values []int) {
	parts := rapid.IntRange(1, 2).Draw(rt, name+" parts")
	var texts []string
	for range parts {
		from := rapid.IntRange(low, high).Draw(rt, name)
		to := rapid.IntRange(low, high).Draw(rt, name+" to")
		step := rapid.IntRange(1, 5).Draw(rt, name+" step")
		switch rapid.IntRange(0, 3).Draw(rt, name+" form") {
		case 0:
			texts, values = append(texts, "*"), append(values, span(low, high, 1)...)
		case 1:
			texts, values = append(texts, fmt.Sprint(from)), append(values, from)
		case 2:
			texts, values = append(texts, fmt.Sprintf("%d-%d", min(from, to), max(from, to))), append(values, span(min(from, to), max(from, to), 1)...)
		default:
			texts, values = append(texts, fmt.Sprintf("*/%d", step)), append(values, span(low, high, step)...)
		}
	}
	return strings.Join(texts, ","), values
}

func span(low, high, step int) (list []int) {
	for n := low; n <= high; n += step {
		list = append(list, n)
	}
	return list
}

func drawModel(rt *rapid.T) *model {
	m := &model{}
	fields := make([]string, 5)
	fields[0], m.minute = drawField(rt, "minute", 0, 59)
	fields[1], m.hour = drawField(rt, "hour", 0, 23)
	fields[2], m.day = drawField(rt, "day", 1, 31)
	fields[3], m.month = drawField(rt, "month", 1, 12)
	fields[4], m.week = drawField(rt, "weekday", 0, 6)
	m.either = fields[2][0] != '*' && fields[4][0] != '*'
	m.hourly = fields[1][0] == '*'
	m.text = strings.Join(fields, " ")
	return m
}

// shows reports whether the expression means what a wall clock shows.
func (m *model) shows(wall time.Time) bool {
	day, week := slices.Contains(m.day, wall.Day()), slices.Contains(m.week, int(wall.Weekday()))
	days := day && week
	if m.either {
		days = day || week
	}
	return days && slices.Contains(m.minute, wall.Minute()) && slices.Contains(m.hour, wall.Hour()) &&
		slices.Contains(m.month, int(wall.Month()))
}

// comes reports whether the expression comes at a minute.
func (m *model) comes(t time.Time) bool {
	wall, before := wallOf(t.In(m.zone)), wallOf(t.Add(-time.Minute).In(m.zone))
	if m.hourly {
		return m.shows(wall)
	}
	for skipped := before.Add(time.Minute); skipped.Before(wall); skipped = skipped.Add(time.Minute) {
		if m.shows(skipped) {
			return true
		}
	}
	if !m.shows(wall) {
		return false
	}
	for _, ago := range []time.Duration{30 * time.Minute, time.Hour} { // no clock of these zones goes back further
		if wallOf(t.Add(-ago).In(m.zone)).Equal(wall) {
			return false
		}
	}
	return true
}

// What is computed is what somebody finds who looks at the clock every minute,
// around the days where clocks jump and on others.
func TestNextAgainstModel(t *testing.T) {
	zones := []string{"UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"}
	starts := []string{"2026-03-07T17:03:00Z", "2026-03-28T20:11:00Z", "2026-10-24T19:30:00Z", "2026-10-31T18:00:00Z",
		"2026-04-04T10:00:00Z", "2026-10-03T10:00:00Z", "2026-09-05T20:00:00Z", "2026-12-31T12:00:00Z", "2028-02-28T22:00:00Z"}
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		zone := rapid.SampledFrom(zones).Draw(rt, "zone")
		var err error
		if m.zone, err = time.LoadLocation(zone); err != nil {
			rt.Fatal(err)
		}
		e, err := Parse(m.text, zone)
		if err != nil {
			if strings.Contains(err.Error(), "no date fits") {
				return // days of months that are shorter
			}
			rt.Fatalf("%s: %v", m.text, err)
		}
		start, err := time.Parse(time.RFC3339, rapid.SampledFrom(starts).Draw(rt, "start"))
		if err != nil {
			rt.Fatal(err)
		}
		start = start.Add(time.Duration(rapid.IntRange(0, 12*60).Draw(rt, "minutes")) * time.Minute)
		next := e.Next(start)
		if !next.After(start) {
			rt.Fatalf("%s in %s: %s is not after %s", m.text, zone, next, start)
		}
		for now := start.Add(time.Minute); !now.After(start.Add(24 * time.Hour)); now = now.Add(time.Minute) {
			if came := m.comes(now); came != now.Equal(next) {
				rt.Fatalf("%s in %s, after %s: at %s the model says %v, and next is %s", m.text, zone, start, now.In(m.zone), came, next.In(m.zone))
			}
			if now.Equal(next) {
				return
			}
		}
	})
}

// Whatever text comes is refused, or has a next time that is later, and another.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"* * * * *", "*/0 * * * *", "0 0 29 2 *", "0 0 30 2 *", "1-5/2,7 22-2 * JAN-MAR MON", "TZ=UTC * * * *", "H H H H H"} {
		f.Add(text, "Europe/Madrid")
	}
	f.Add("* * * * *", "Local")
	f.Add("* * * * *", "../x")
	now := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text, zone string) {
		e, err := Parse(text, zone)
		if (err == nil) != (e != nil) {
			t.Fatalf("%v, %v", e, err)
		}
		if err != nil {
			return
		}
		first := e.Next(now)
		if second := e.Next(first); !first.After(now) || !second.After(first) || first.Second() != 0 && zone == "" {
			t.Fatalf("%q in %q: %s, then %s", text, zone, first, second)
		}
	})
}
