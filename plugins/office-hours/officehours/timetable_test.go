package officehours

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustTimetable(t testing.TB, zoneName string, open, closed []string) *Timetable {
	t.Helper()
	table, err := NewTimetable(zone(t, zoneName), open, closed)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestNext(t *testing.T) {
	office := []string{"Mon-Fri 09:00-17:00"}
	tests := []struct {
		name         string
		zone         string
		open, closed []string
		at, want     string // RFC 3339; want empty: never
	}{
		{"it is now inside the hours", "UTC", office, nil, "2026-08-03T11:00:30Z", "2026-08-03T11:00:30Z"},
		{"it is the same morning before them", "UTC", office, nil, "2026-08-03T08:59:59.5Z", "2026-08-03T09:00:00Z"},
		{"it is open at the minute of the opening", "UTC", office, nil, "2026-08-03T09:00:00Z", "2026-08-03T09:00:00Z"},
		{"it is closed at the minute of the end", "UTC", office, nil, "2026-08-03T17:00:00Z", "2026-08-04T09:00:00Z"},
		{"it is Monday after Friday evening", "UTC", office, nil, "2026-08-07T18:00:00Z", "2026-08-10T09:00:00Z"},
		{"it leaves out a closed date", "UTC", office, []string{"2026-12-25"}, "2026-12-24T20:00:00Z", "2026-12-28T09:00:00Z"},
		{"it goes by the zone's clock", "America/New_York", office, nil, "2026-08-03T11:00:00Z", "2026-08-03T13:00:00Z"},
		{"it goes on after midnight", "UTC", []string{"Fri 22:00-02:00"}, nil, "2026-08-08T01:59:00Z", "2026-08-08T01:59:00Z"},
		{"it ends after midnight", "UTC", []string{"Fri 22:00-02:00"}, nil, "2026-08-08T02:00:00Z", "2026-08-14T22:00:00Z"},
		{
			"a closed date cuts off what came over midnight", "UTC", []string{"Fri 22:00-02:00"},
			[]string{"2026-08-08"}, "2026-08-08T01:00:00Z", "2026-08-14T22:00:00Z",
		},
		{"it joins days that touch", "UTC", []string{"Mon,Tue 00:00-24:00"}, nil, "2026-08-03T23:59:59Z", "2026-08-03T23:59:59Z"},
		{"nine stays nine when clocks go forward", "Europe/Madrid", office, nil, "2026-03-27T16:00:00Z", "2026-03-30T07:00:00Z"},
		{"nine stays nine when clocks go back", "Europe/Madrid", office, nil, "2026-10-23T15:00:00Z", "2026-10-26T08:00:00Z"},
		{
			"an opening in the skipped hour is the moment after it", "Europe/Madrid", []string{"Sun 02:30-04:00"}, nil,
			"2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z",
		},
		{
			"a span inside the skipped hour is a week later", "Europe/Madrid", []string{"Sun 02:00-02:59"}, nil,
			"2026-03-29T00:00:00Z", "2026-04-05T00:00:00Z",
		},
		{
			"an hour that comes twice is open twice", "Europe/Madrid", []string{"Sun 02:00-02:30"}, nil,
			"2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z",
		},
		{
			"a day that the zone skipped is no harm", "Pacific/Apia", []string{"Fri,Sat 09:00-17:00"}, nil,
			"2011-12-30T05:00:00Z", "2011-12-30T19:00:00Z",
		},
		{"midnight may be skipped", "America/Santiago", []string{"Sun 00:00-00:30"}, nil, "2026-09-05T12:00:00Z", "2026-09-13T03:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339Nano, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			next, ok := mustTimetable(t, tt.zone, tt.open, tt.closed).Next(at)
			if got := next.UTC().Format(time.RFC3339Nano); !ok || got != tt.want {
				t.Errorf("got %s %v, want %s", got, ok, tt.want)
			}
		})
	}
}

func TestNextGivesUpAfterAYear(t *testing.T) {
	var closed []string
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := range 400 {
		closed = append(closed, from.AddDate(0, 0, day).Format(time.DateOnly))
	}
	if next, ok := mustTimetable(t, "UTC", []string{"daily 09:00-10:00"}, closed).Next(from); ok {
		t.Errorf("got %v for a timetable that is closed for 400 days", next)
	}
}

// genTimetable draws a timetable in its notation.
func genTimetable(t *rapid.T) (open, closed []string) {
	days := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	clock := rapid.IntRange(0, minutesADay-1)
	for range rapid.IntRange(1, 4).Draw(t, "spans") {
		from, to := clock.Draw(t, "from"), clock.Draw(t, "to")
		if from == to {
			to = minutesADay
		}
		first, last := rapid.SampledFrom(days).Draw(t, "first"), rapid.SampledFrom(days).Draw(t, "last")
		open = append(open, fmt.Sprintf("%s-%s %02d:%02d-%02d:%02d", first, last, from/60, from%60, to/60, to%60))
	}
	year := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, day := range rapid.SliceOfN(rapid.IntRange(0, 364), 0, 5).Draw(t, "closed") {
		closed = append(closed, year.AddDate(0, 0, day).Format(time.DateOnly))
	}
	return open, closed
}

// The next opening is the earliest minute that is open, as somebody finds it
// who looks at the clock each minute.
func TestNextIsTheEarliestOpenMinute(t *testing.T) {
	zones := []string{"UTC", "Europe/Madrid", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu"}
	// Days with a change of clocks in one of the zones, and one without.
	days := []string{"2026-03-07", "2026-03-28", "2026-10-03", "2026-10-24", "2026-10-31", "2026-09-05", "2026-04-04", "2026-07-01"}
	rapid.Check(t, func(rt *rapid.T) {
		open, closed := genTimetable(rt)
		table := mustTimetable(t, rapid.SampledFrom(zones).Draw(rt, "zone"), open, closed)
		day, err := time.Parse(time.DateOnly, rapid.SampledFrom(days).Draw(rt, "day"))
		if err != nil {
			rt.Fatal(err)
		}
		at := day.Add(time.Duration(rapid.IntRange(0, 2*minutesADay*60).Draw(rt, "second")) * time.Second)

		next, ok := table.Next(at)
		if !ok {
			rt.Skip("no opening within a year")
		}
		if next.Before(at) || !table.Open(next) {
			rt.Fatalf("%v: next %v is closed, or over", at, next)
		}
		for minute := at; minute.Before(next); minute = minute.Truncate(time.Minute).Add(time.Minute) {
			if table.Open(minute) {
				rt.Fatalf("%v: next is %v, but %v is open", at, next, minute)
			}
		}
	})
}

// Open is what the notation says, read in another way: a minute is open when
// it, or the same minute counted from the day before, is within a span.
func TestOpenIsWhatTheNotationSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		open, closed := genTimetable(rt)
		table := mustTimetable(t, "UTC", open, closed)
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(
			time.Duration(rapid.IntRange(0, 364*minutesADay).Draw(rt, "minute")) * time.Minute)
		want := false
		for _, text := range open {
			want = want || slowOpen(rt, text, at)
		}
		for _, day := range closed {
			want = want && day != at.Format(time.DateOnly)
		}
		if got := table.Open(at); got != want {
			rt.Fatalf("%v: got %v, want %v", at, got, want)
		}
	})
}

func slowOpen(t *rapid.T, text string, at time.Time) bool {
	var first, last string
	var h1, m1, h2, m2 int
	if _, err := fmt.Sscanf(text, "%3s-%3s %02d:%02d-%02d:%02d", &first, &last, &h1, &m1, &h2, &m2); err != nil {
		t.Fatal(err)
	}
	from, to := h1*60+m1, h2*60+m2
	if to <= from {
		to += minutesADay
	}
	for back := range 2 {
		minute := at.Hour()*60 + at.Minute() + back*minutesADay
		if inDays(at.AddDate(0, 0, -back).Format("Mon"), first, last) && minute >= from && minute < to {
			return true
		}
	}
	return false
}

func inDays(day, first, last string) bool {
	for d := time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC); ; d = d.AddDate(0, 0, 1) {
		if d.Format("Mon") != first {
			continue
		}
		for ; ; d = d.AddDate(0, 0, 1) {
			if d.Format("Mon") == day {
				return true
			}
			if d.Format("Mon") == last {
				return false
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	table := mustTimetable(t, "Europe/Madrid", []string{"Mon-Fri 09:00-17:00"}, []string{"2026-12-25"})
	at := time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(100, func() { table.Next(at) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkNext(b *testing.B) {
	table := mustTimetable(b, "Europe/Madrid", []string{"Mon-Fri 09:00-17:00"}, []string{"2026-12-25"})
	at := time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC) // four days before
	b.ReportAllocs()
	for b.Loop() {
		table.Next(at)
	}
}
