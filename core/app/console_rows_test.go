package app

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/console"
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

// A store may have any number of meshes; the page is given the busiest, and told
// how many it is not given.
func TestBusiestMeshes(t *testing.T) {
	var all []console.Mesh
	for i := range consoleMeshes + 21 {
		all = append(all, console.Mesh{ID: strconv.Itoa(i), Peers: i % 7, Queue: i})
	}
	shown, left := busiest(all)
	if len(shown) != consoleMeshes || left != 21 || shown[0].Peers != 6 || shown[0].Queue < consoleMeshes {
		t.Errorf("got %d and %d more, first %+v", len(shown), left, shown[0])
	}
	for _, m := range shown[consoleMeshes-690:] {
		if m.Peers > 0 {
			t.Fatalf("%+v is among the last", m)
		}
	}
}
