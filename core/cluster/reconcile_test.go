package cluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Two looks in a row are no proof: a row is written a moment after it was told.
func TestSuspectsAreGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s suspects
		for _, step := range []struct {
			name  string
			after time.Duration
			now   suspects
			want  []string
		}{
			{"the first look", 0, suspects{"a": {version: 1}, "b": {version: 1}}, nil},
			{"one right behind it", time.Millisecond, suspects{"a": {version: 1}, "b": {version: 1}}, nil},
			{"after some time, when one has changed", suspectFor, suspects{"a": {version: 1}, "b": {version: 2}}, []string{"a"}},
			{"when one was right in between", time.Second, suspects{"b": {version: 2}}, nil},
			{"the other is new again", suspectFor - time.Second, suspects{"a": {version: 1}, "b": {version: 2}}, []string{"b"}},
		} {
			time.Sleep(step.after)
			if got := s.again(step.now); !slices.Equal(got, step.want) {
				t.Errorf("%s: got %v, want %v", step.name, got, step.want)
			}
		}
	})
}

func TestInterestFollowsTheSessions(t *testing.T) {
	i := newInterest()
	a, b := address{mesh: "m", key: [32]byte{1}}, address{mesh: "m", key: [32]byte{2}}
	i.add(a, 1)
	i.add(a, 1)
	i.add(b, 1)
	i.add(b, -1)
	if got := i.take(); !got[a] || got[b] || len(got) != 2 {
		t.Errorf("got %v, want only the first key to have a session", got)
	}
	i.add(a, -1)
	if got := i.take(); !got[a] {
		t.Error("a key with one session left has none")
	}
	if got := i.byMesh()["m"]; len(got) != 1 {
		t.Errorf("got %v, want the first key", got)
	}
}
