package presence

import (
	"maps"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	a, b, rows := twoNodes(t)
	s1, c1 := a.come(arrival("ada", "s1"))
	s2, _ := a.come(arrival("bo", "s2"))
	b.come(arrival("cy", "s3"))
	a.mirror(rows(b))
	b.mirror(rows(a))
	want := func(when string, r *rig, counts map[string]Counts) {
		t.Helper()
		if got := r.Counts(); !maps.Equal(got, counts) {
			t.Errorf("%s: got %+v, want %+v", when, got, counts)
		}
	}
	want("at first, the node of two", a, map[string]Counts{"mesh": {Here: 2, There: 1}})
	want("at first, the node of one", b, map[string]Counts{"mesh": {Here: 1, There: 2}})
	a.Leave(s1, c1, false)
	b.mirror(rows(a))
	want("one in its grace time", a, map[string]Counts{"mesh": {Here: 1, There: 1, Away: 1}})
	want("one in its grace time elsewhere", b, map[string]Counts{"mesh": {Here: 1, There: 1}})
	a.End(s2, 4001, "kicked")
	want("one gone", a, map[string]Counts{"mesh": {There: 1, Away: 1}})
	lonely := newRig(t, Options{Grace: time.Minute})
	want("nobody ever here", lonely, map[string]Counts{})
	s, _ := lonely.come(arrival("ada", "s1"))
	lonely.End(s, 4001, "kicked")
	want("nobody any more", lonely, map[string]Counts{})
}
