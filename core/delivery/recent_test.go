package delivery

import (
	"fmt"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// What is remembered of messages to many is bounded too: the oldest go, those to
// one recipient among them, and no list is kept of a message to more than all may
// have.
func TestRecentIsBounded(t *testing.T) {
	r := newRecent()
	accept := func(id string, recipients int) {
		r.accepted(&store.Message{ID: id, MeshID: "mesh"}, make([]sdk.Recipient, recipients))
	}
	known := func(id string) bool { _, ok := r.byID[id]; return ok }
	check := func() {
		t.Helper()
		ids, many := 0, 0
		for i := range r.ring {
			if r.ring[i].id != "" {
				ids++
			}
			many += len(r.ring[i].many)
		}
		if ids != len(r.byID) || ids != r.held || many != r.many || many > recentDeliveries {
			t.Fatalf("%d are in the ring, %d by id, %d counted, with %d deliveries, %d counted", ids, len(r.byID), r.held, many, r.many)
		}
	}
	accept("first", 1)
	const fit = 64
	for n := range fit + 2 {
		accept(fmt.Sprint("many ", n), recentDeliveries/fit)
		check()
	}
	for id, want := range map[string]bool{"first": false, "many 0": false, "many 1": false, "many 2": true, fmt.Sprint("many ", fit+1): true} {
		if known(id) != want {
			t.Errorf("%s: got %v", id, !want)
		}
	}
	accept("too many", recentDeliveries+1)
	check()
	for n := range recentMax + 5 {
		accept(fmt.Sprint("one ", n), n%3)
	}
	check()
	if known("one 4") || !known("one 5") || len(r.byID) != recentMax {
		t.Errorf("%d are known", len(r.byID))
	}
}
