package delivery

import (
	"fmt"
	"testing"
	"time"

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

// A confirmation is noted for its recipient alone, in short lists and in long ones,
// also of one that is in the audience twice.
func TestRecentDelivered(t *testing.T) {
	for _, n := range []int{1, 2, long - 1, long, 10 * long} {
		r := newRecent()
		var audience []sdk.Recipient
		for i := range n {
			key := sdk.Key{byte(i * 7), byte(i >> 8), byte(i)}
			audience = append(audience, sdk.Recipient{Member: key, MemberID: key.String()})
		}
		audience = append(audience, audience[n/2])
		r.accepted(&store.Message{ID: "m", MeshID: "mesh"}, audience)
		at := time.Now()
		r.delivered("m", audience[n/2].Member, at)
		r.delivered("m", audience[n/2].Member, at.Add(time.Second))
		r.delivered("m", sdk.Key{1, 2, 3, 4}, at)
		status := r.ring[r.byID["m"]].status()
		done := 0
		for _, d := range status.Deliveries {
			if d.MemberID != d.Recipient.String() {
				t.Fatalf("of %d: got %+v", n, d)
			}
			if d.DeliveredAt.IsZero() != (d.Recipient != audience[n/2].Member) || !d.DeliveredAt.IsZero() && !d.DeliveredAt.Equal(at) {
				t.Errorf("of %d: got %+v", n, d)
			}
			if !d.DeliveredAt.IsZero() {
				done++
			}
		}
		if len(status.Deliveries) != n+1 || done != 2 {
			t.Errorf("of %d: %d of %d are delivered", n, done, len(status.Deliveries))
		}
	}
}
