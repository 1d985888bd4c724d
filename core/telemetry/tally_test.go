package telemetry

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	t.Parallel()
	tally := NewTally("kept", "gone", "other")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			tally.Add("gone")
			tally.Add("a stranger's word")
		})
	}
	all.Wait()
	want := []Sample{{[]string{"disk", "kept"}, 0}, {[]string{"disk", "gone"}, 4}, {[]string{"disk", "other"}, 4}}
	if diff := cmp.Diff(want, tally.Samples("disk")); diff != "" {
		t.Error(diff)
	}
	if got := tally.Count("gone"); got != 4 || tally.Count("a stranger's word") != 0 || tally.Words() != "kept, gone, other" {
		t.Errorf("got %d of %s", got, tally.Words())
	}
	var none *Tally
	none.Add("kept")
	if none.Count("kept") != 0 || none.Samples() != nil || none.Words() != "" {
		t.Error("a nil tally counts")
	}
}
