package cron

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of every machine are the same here
)

func parse(t *testing.T, expression, zone string) *Expression {
	t.Helper()
	e, err := Parse(expression, zone)
	if err != nil {
		t.Fatalf("%q in %q: %v", expression, zone, err)
	}
	return e
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// wantNext compares the next times after a moment.
func wantNext(t *testing.T, e *Expression, after string, want ...string) {
	t.Helper()
	now := at(t, after)
	for _, text := range want {
		now = e.Next(now)
		if !now.Equal(at(t, text)) || now.Location() != time.UTC {
			t.Fatalf("got %s, want %s", now.In(e.zone).Format(time.RFC3339), text)
		}
	}
}

func TestNext(t *testing.T) {
	tests := []struct{ name, expression, after, want string }{
		{"the minute itself is over", "30 9 * * *", "2026-03-04T09:30:00Z", "2026-03-05T09:30:00Z"},
		{"a second before it is not", "30 9 * * *", "2026-03-04T09:29:59.999Z", "2026-03-04T09:30:00Z"},
		{"every minute", "* * * * *", "2026-03-04T09:30:20Z", "2026-03-04T09:31:00Z"},
		{"steps", "*/20 * * * *", "2026-03-04T09:41:00Z", "2026-03-04T10:00:00Z"},
		{"steps of a range", "10-30/10 * * * *", "2026-03-04T09:11:00Z", "2026-03-04T09:20:00Z"},
		{"steps from a number on", "10/20 * * * *", "2026-03-04T09:31:00Z", "2026-03-04T09:50:00Z"},
		{"a list", "0 6,18 * * *", "2026-03-04T09:30:00Z", "2026-03-04T18:00:00Z"},
		{"a range over midnight", "0 22-2 * * *", "2026-03-04T23:30:00Z", "2026-03-05T00:00:00Z"},
		{"a name of a day", "0 9 * * MON", "2026-03-04T09:30:00Z", "2026-03-09T09:00:00Z"},
		{"a name in small letters", "0 9 * jan fri", "2026-03-04T09:30:00Z", "2027-01-01T09:00:00Z"},
		{"names in a range", "0 9 * * fri-sun", "2026-03-04T09:30:00Z", "2026-03-06T09:00:00Z"},
		{"7 is Sunday", "0 9 * * 7", "2026-03-04T09:30:00Z", "2026-03-08T09:00:00Z"},
		{"0 is Sunday", "0 9 * * 0", "2026-03-04T09:30:00Z", "2026-03-08T09:00:00Z"},
		{"either day, by the date", "0 9 5 * MON", "2026-03-04T09:30:00Z", "2026-03-05T09:00:00Z"},
		{"either day, by the weekday", "0 9 5 * MON", "2026-03-05T09:30:00Z", "2026-03-09T09:00:00Z"},
		{"a day with * has to fit as well", "0 9 */2 * MON", "2026-03-04T09:30:00Z", "2026-03-09T09:00:00Z"},
		{"a leap day is years away", "0 0 29 2 *", "2026-03-04T09:30:00Z", "2028-02-29T00:00:00Z"},
		{"and once it is eight", "0 0 29 2 *", "2097-03-04T09:30:00Z", "2104-02-29T00:00:00Z"},
		{"the 31st", "0 0 31 * *", "2026-03-31T09:30:00Z", "2026-05-31T00:00:00Z"},
		{"other blanks", " 0\t9  * * * ", "2026-03-04T09:30:00Z", "2026-03-05T09:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantNext(t, parse(t, tt.expression, ""), tt.after, tt.want) })
	}
}

func TestNextWhereClocksJump(t *testing.T) {
	tests := []struct {
		name, expression, zone, after string
		want                          []string
	}{
		{
			"a time that is left out comes when the clock has gone forward", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"},
		},
		{
			"many that are left out come as one", "*/10 2 * * *", "America/New_York", "2026-03-08T00:00:00-05:00",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"},
		},
		{
			"and as one with what comes then anyway", "0 2,3 * * *", "America/New_York", "2026-03-08T00:00:00-05:00",
			[]string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"},
		},
		{
			"a time that comes twice is meant once", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
			[]string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"},
		},
		{
			"also for who asks in the second hour", "30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00",
			[]string{"2026-11-02T01:30:00-05:00"},
		},
		{
			"every hour comes every hour forward", "0 * * * *", "Europe/Madrid", "2026-03-29T00:30:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		},
		{
			"every hour comes every hour back", "0 * * * *", "Europe/Madrid", "2026-10-25T01:30:00+02:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		},
		{
			"minutes come in both hours, in order", "*/30 * * * *", "Europe/Madrid", "2026-10-25T02:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"},
		},
		{
			"half an hour forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"},
		},
		{
			"half an hour back", "*/15 * * * *", "Australia/Lord_Howe", "2026-04-05T01:40:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30", "2026-04-05T02:00:00+10:30"},
		},
		{
			"midnight is left out", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z",
			[]string{"2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"},
		},
		{
			"a whole day is left out", "0 9 30 12 *", "Pacific/Apia", "2011-12-29T12:00:00-10:00",
			[]string{"2011-12-31T00:00:00+14:00", "2012-12-30T09:00:00+14:00"},
		},
		{
			"a zone of quarters", "0 9 * * *", "Asia/Kathmandu", "2026-03-04T00:00:00Z",
			[]string{"2026-03-04T09:00:00+05:45", "2026-03-05T09:00:00+05:45"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantNext(t, parse(t, tt.expression, tt.zone), tt.after, tt.want...) })
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, expression, zone, want string }{
		{"nothing", "", "", "want five fields, minute hour day month weekday, and not 0"},
		{"four fields", "* * * *", "", "and not 4"},
		{"six fields", "0 * * * * *", "", "and not 6"},
		{"a word", "@daily", "", "want numbers, names"},
		{"a zone of its own", "TZ=UTC * * * *", "", "want numbers, names"},
		{"a question mark", "0 0 ? * *", "", "want numbers, names"},
		{"the last day", "0 0 L * *", "", "day of the month: want 1-31"},
		{"the nearest weekday", "0 0 15W * *", "", "day of the month: want 1-31"},
		{"the second Friday", "0 0 * * FRI#2", "", "want numbers, names"},
		{"a spread hour", "H * * * *", "", "minute: want 0-59"},
		{"a minute too late", "60 * * * *", "", "minute: want 0-59"},
		{"an hour too late", "0 24 * * *", "", "hour: want 0-23"},
		{"day 0", "0 0 0 * *", "", "day of the month: want 1-31"},
		{"month 13", "0 0 * 13 *", "", "month: want 1-12"},
		{"weekday 8", "0 0 * * 8", "", "weekday: want 0-7"},
		{"a number beyond all", "99999999999999999999 * * * *", "", "minute: want 0-59"},
		{"a number with a minus", "-5 * * * *", "", "minute: want 0-59"},
		{"an unknown name", "0 0 * * FUN", "", "weekday: want 0-7 or SUN-SAT"},
		{"a name of the other field", "0 0 * MON *", "", "month: want 1-12 or JAN-DEC"},
		{"an empty part", "1,,2 * * * *", "", "both sides of a comma"},
		{"two ranges", "1-2-3 * * * *", "", "minute: want 0-59"},
		{"two steps", "*/2/3 * * * *", "", "minute: want 0-59"},
		{"a long text", strings.Repeat("1,", 128) + "1 * * * *", "", "want at most 256 bytes"},
		{"an unknown zone", "* * * * *", "Mars/Olympus", "timezone: want an IANA name"},
		{"the machine's zone", "* * * * *", "Local", "timezone: want an IANA name"},
		{"a way out of the zones", "* * * * *", "../../etc/passwd", "timezone: want an IANA name"},
		{"a file", "* * * * *", "/etc/passwd", "timezone: want an IANA name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Parse(tt.expression, tt.zone)
			if err == nil || e != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, error %v", e, err)
			}
		})
	}
}

// A step of 0 made the original's search endless.
func TestFlawExt03StepOfZero(t *testing.T) {
	for _, expression := range []string{"*/0 * * * *", "* */0 * * *", "* * 1-5/0 * *", "* * * 3/0 *", "* * * * */00"} {
		if _, err := Parse(expression, ""); err == nil || !strings.Contains(err.Error(), "step") {
			t.Errorf("%s: got %v", expression, err)
		}
	}
}

// Each minute of a year was tried, in one go. Here it is the days of ten years,
// which one search may not go through more often than once.
func TestFlawExt05ImpossibleDates(t *testing.T) {
	for _, expression := range []string{"0 0 30 2 *", "* * 31 4,6,9,11 *", "*/7 3-9 31 2 *", "0 0 30-31 feb *"} {
		if _, err := Parse(expression, "Europe/Madrid"); err == nil || !strings.Contains(err.Error(), "no date fits") {
			t.Errorf("%s: got %v", expression, err)
		}
	}
	cost := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			Parse("* * 30 2 *", "")
		}
	})
	if n := cost.AllocsPerOp(); n > 200 {
		t.Errorf("an impossible date costs %d allocations", n)
	}
}

// It was taken for a minute of now: the timer of the original held 24.8 days.
func TestFlawExt04FarAway(t *testing.T) {
	wantNext(t, parse(t, "0 0 1 1 *", ""), "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z")
}

func BenchmarkParse(b *testing.B) {
	for name, expression := range map[string]string{"daily": "30 9 * * *", "impossible": "0 0 30 2 *"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Parse(expression, "Europe/Madrid")
			}
		})
	}
}
