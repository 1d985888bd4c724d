package app_test

import (
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// limit sets how many sessions a mesh may have, and how long they outlive their
// connections.
func limit(sessions int, grace time.Duration) func(*config.Config) {
	return func(c *config.Config) {
		c.Limits.ConnectionsPerMesh, c.Presence.Grace = sessions, grace
	}
}

func TestMeshIsFull(t *testing.T) {
	r := newRig(t, limit(2, time.Minute))
	ada, bo, cy := session(r.member("ada", store.RoleMember)), session(r.member("bo", store.RoleMember)), session(r.member("cy", store.RoleMember))
	refused := func(when string) {
		t.Helper()
		s := open(t, r.url, socketOptions{})
		s.write(r.vouched(cy, time.Now()).String())
		t.Log(when, "it is refused")
		s.wantError("capacity")
		s.wantClosed(1008, "capacity")
	}
	first := r.dial(ada, dial.Options{})
	r.dial(bo, dial.Options{})
	refused("with two here")
	first.Abort()
	r.wantOnline(1)
	refused("with one here and one in its grace time")

	// Who comes back needs no place, in its grace time or before.
	again := r.dial(ada, dial.Options{})
	r.dial(ada, dial.Options{})
	r.ended(again)
	refused("when the first is back")

	// Another mesh has places of its own.
	r.dial(r.otherMesh(false), dial.Options{})

	if err := r.dial(bo, dial.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	r.wantLeft(2, 2)
	r.dial(cy, dial.Options{})
}

// Many that come at once do not get past the limit.
func TestPlacesAreTakenOneByOne(t *testing.T) {
	r := newRig(t, limit(3, time.Minute))
	ada := r.member("ada", store.RoleMember)
	var wg sync.WaitGroup
	for range 12 {
		s := open(t, r.url, socketOptions{})
		hello := r.vouched(session(ada), time.Now()).String()
		wg.Go(func() { s.write(hello) })
	}
	wg.Wait()
	eventually(t, "the others to be refused", func() bool { return r.app.Peers() == 3 })
	r.wantLeft(3, 3)
}

// Whoever asks for a place is known first: a stranger does not learn that a mesh
// is full.
func TestStrangersDoNotLearnThatAMeshIsFull(t *testing.T) {
	r := newRig(t, limit(1, time.Minute))
	r.dial(r.member("ada", store.RoleMember), dial.Options{})
	s := open(t, r.url, socketOptions{})
	s.write(r.hello(stranger(r), time.Now()).String())
	s.wantError("unauthorized")
	s.wantClosed(1008, "unauthorized")
}

// Connections that break off at any moment give back their place.
func TestPlacesDoNotLeak(t *testing.T) {
	const places, rounds, workers = 40, 50, 4
	r := newRig(t, limit(places, 50*time.Millisecond))
	ada := r.member("ada", store.RoleMember)
	hello := func(s *socket) { s.write(r.vouched(session(ada), time.Now()).String()) }
	ways := []func(){
		func() { s := open(t, r.url, socketOptions{}); hello(s); s.cut() },                   // before the answer
		func() { s := open(t, r.url, socketOptions{}); hello(s); s.take(patience); s.cut() }, // behind it
		func() { open(t, r.url, socketOptions{}).cut() },                                     // without a hello
		func() { s := open(t, r.url, socketOptions{}); hello(s); hello(s); s.bye() },         // politely, after two
	}
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for round := range rounds {
				ways[(worker+round)%len(ways)]()
			}
		})
	}
	wg.Wait()
	r.wantLeft(0, 0)
	for range places {
		r.dial(session(ada), dial.Options{})
	}
	s := open(t, r.url, socketOptions{})
	hello(s)
	s.wantError("capacity")
}
