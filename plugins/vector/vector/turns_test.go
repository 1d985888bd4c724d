package vector

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// A mesh searches once at a time, whatever it asks for; others are not held up, and
// nothing is kept of who searches no more.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		begin := func(mesh string) func() {
			end, err := all.begin(t.Context(), mesh)
			if err != nil {
				t.Fatal(err)
			}
			return end
		}
		first, other := begin("m1"), begin("m2")
		if _, err := all.begin(t.Context(), "m1"); !errors.Is(err, errBusy) {
			t.Errorf("a second search beside the first: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := all.begin(gone, "m1"); !errors.Is(err, context.Canceled) {
			t.Errorf("a search that nobody waits for: %v", err)
		}
		next := make(chan func(), 1)
		go func() { next <- begin("m1") }()
		synctest.Wait()
		first()
		(<-next)()
		other()
		if len(all.meshes) > 0 {
			t.Errorf("%d meshes are kept", len(all.meshes))
		}
	})
}
