package app

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// The page says of when its numbers are, as soon as that is not just now.
func TestAboutRows(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 30, 0, 0, time.UTC)
	away := errors.New("the store is away")
	for _, tt := range []struct {
		name string
		at   time.Time
		err  error
		want []string // parts of the one warning; nil: there is none
	}{
		{"new", now.Add(-time.Second), nil, nil},
		{"as old as a slow store makes them", now.Add(-keptRest - rowsTimeout), nil, nil},
		{"older than that", now.Add(-time.Hour), nil, []string{"as of 11:30:00 UTC", "has not answered since"}},
		{"the store fails", now.Add(-time.Second), away, []string{"as of 12:29:59 UTC", away.Error()}},
		{"the store has failed from the start", time.Time{}, away, []string{"not known: ", away.Error()}},
		{"the store has not answered yet", time.Time{}, nil, []string{"not known yet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := aboutRows(now, tt.at, tt.err)
			if len(got) != min(len(tt.want), 1) {
				t.Fatalf("got %q", got)
			}
			for _, part := range tt.want {
				if !strings.Contains(got[0], part) {
					t.Errorf("got %q, want %q in it", got[0], part)
				}
			}
		})
	}
}
