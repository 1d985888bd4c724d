package officehours

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNotation(t *testing.T) {
	tests := []struct {
		name string
		open []string
		want map[time.Weekday][]span
	}{
		{"one day", []string{"Mon 09:00-17:00"}, map[time.Weekday][]span{1: {{540, 1020}}}},
		{"names may be long, in any case", []string{"SUNDAY 9:00-17:00"}, map[time.Weekday][]span{0: {{540, 1020}}}},
		{"days go round the week", []string{"Sat-Mon 09:00-10:00"}, map[time.Weekday][]span{6: {{540, 600}}, 0: {{540, 600}}, 1: {{540, 600}}}},
		{"lists of days and times", []string{"Mon,Wed 09:00-10:00, 11:00-12:00"}, map[time.Weekday][]span{
			1: {{540, 600}, {660, 720}}, 3: {{540, 600}, {660, 720}},
		}},
		{"over midnight", []string{"Sat 22:00-02:00"}, map[time.Weekday][]span{6: {{1320, 1440}}, 0: {{0, 120}}}},
		{"to midnight, either way", []string{"Mon 22:00-24:00", "Tue 22:00-00:00"}, map[time.Weekday][]span{1: {{1320, 1440}}, 2: {{1320, 1440}}}},
		{"spans that touch are one", []string{"Mon 10:00-12:00", "Mon 09:00-10:00,11:00-13:00"}, map[time.Weekday][]span{1: {{540, 780}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := NewTimetable(time.UTC, tt.open, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[time.Weekday][]span{}
			for day, list := range table.week {
				if list != nil {
					got[time.Weekday(day)] = list
				}
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(span{})); diff != "" {
				t.Errorf("week (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotationSaysWhatIsWrong(t *testing.T) {
	tests := []struct{ open, closed, want string }{
		{open: "Mon-Fri", want: `open.0: "Mon-Fri" lacks days or times`},
		{open: "Mo 09:00-17:00", want: `open.0: "Mo" is no day`},
		{open: "Mon-Fir 09:00-17:00", want: `open.0: "Fir" is no day`},
		{open: "Mon 0900-1700", want: `"0900" is no time of day`},
		{open: "Mon 09:00", want: `"09:00" is no span`},
		{open: "Mon 09:60-17:00", want: `"09:60" is no time of day`},
		{open: "Mon 09:00-24:01", want: `"24:01" is no time of day`},
		{open: "Mon 09:5-24:00", want: `"09:5" is no time of day`},
		{open: "Mon 24:00-09:00", want: "00:00 of the next day"},
		{open: "Mon 09:00-09:00", want: `a whole day is "00:00-24:00"`},
		{closed: "25.12.2026", want: `closed.0: "25.12.2026" is no date`},
		{closed: "2026-02-30", want: `closed.0: "2026-02-30" is no date`},
	}
	for _, tt := range tests {
		t.Run(tt.open+tt.closed, func(t *testing.T) {
			open, closed := []string{"Mon 09:00-17:00"}, []string(nil)
			if tt.open != "" {
				open = []string{tt.open}
			}
			if tt.closed != "" {
				closed = []string{tt.closed}
			}
			_, err := NewTimetable(time.UTC, open, closed)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func FuzzNotation(f *testing.F) {
	for _, seed := range []string{"Mon-Fri 09:00-17:00", "daily 22:00-06:00", "Sat,Sun 10:00-12:00,13:00-14:00", "- :-:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := NewTimetable(time.UTC, []string{text}, nil)
		if err != nil {
			return
		}
		if _, ok := table.Next(time.Unix(0, 0)); !ok {
			t.Errorf("%q is never open", text)
		}
	})
}
