package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// page is a server of the world outside, whose page changes.
func page(t *testing.T) (url string, set func(int)) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"n":%d}`, n.Load()) }))
	t.Cleanup(s.Close)
	return s.URL, func(value int) { n.Store(int64(value)) }
}

// nearby lets the broker look at this machine.
func nearby(c *config.Config) { c.Watch.Allow = []string{"127.0.0.1"} }

// watches returns a member's watches.
func (r *rig) watches(member string) []*store.Watch {
	r.t.Helper()
	list, err := r.store.ListWatches(context.Background(), r.mesh.ID, member)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// lookNow makes a member's watch due, and waits until it was looked at.
func (r *rig) lookNow(member string) {
	r.t.Helper()
	w := r.watches(member)[0]
	before := w.CheckedAt
	w.NextAt = time.Now().Add(-time.Second)
	if err := r.store.SetWatchState(context.Background(), w.ID, &w.WatchState); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "a look", func() bool { return r.watches(member)[0].CheckedAt.After(before) })
}

// wantEvent waits for an event with a name, and reads its data.
func (s *socket) wantEvent(name string, data any) {
	s.t.Helper()
	for {
		push, err := wire.Decode[wire.Push]([]byte(s.next(true)))
		if err != nil || push.Event != name {
			continue // another frame
		}
		if err := json.Unmarshal(push.EventData, data); err != nil {
			s.t.Fatal(err)
		}
		return
	}
}

// A watch is its member's: it goes on while nobody is connected, and whoever of the
// member's sessions is, on whatever node, hears of it.
func TestFlawExt51WatchesSurviveReconnects(t *testing.T) {
	n := newNodes(t, 2, nearby)
	a, b := n.both()
	id := a.member("ada", store.RoleAdmin)
	url, set := page(t)
	ada := a.joined(id)
	ada.ask(`{"type":"watch","url":"`+url+`","mode":"json","extract":"n","label":"l"}`, "watch_ack")
	eventually(t, "the baseline", func() bool { return a.watches(id.MemberID)[0].Value == "0" })
	ada.bye()
	here, there, gil := a.joined(id), b.joined(id), b.joined(b.member("gil", store.RoleAdmin))
	set(7)
	a.lookNow(id.MemberID)
	for _, s := range []*socket{here, there} {
		var got wire.WatchTriggered
		s.wantEvent("watch_triggered", &got)
		if got.OldValue != "0" || got.NewValue != "7" || got.URL != url || got.Label != "l" || got.Mode != "json" {
			t.Errorf("got %+v", got)
		}
	}
	for _, frame := range gil.settle() {
		if strings.Contains(string(frame), "watch_triggered") {
			t.Errorf("another member hears %s", frame)
		}
	}
}

func TestWatchOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nearby)
	before.newMesh()
	id := before.member("ada", store.RoleAdmin)
	url, set := page(t)
	before.joined(id).ask(`{"type":"watch","url":"`+url+`","headers":{"Authorization":"Bearer x"}}`, "watch_ack")
	eventually(t, "the baseline", func() bool { return before.watches(id.MemberID)[0].Value != "" })
	before.stop()

	after := start(t, path, nearby)
	after.mesh, after.owner = before.mesh, before.owner
	ada := after.joined(id)
	set(1)
	after.lookNow(id.MemberID)
	var got wire.WatchTriggered
	ada.wantEvent("watch_triggered", &got)
	if got.OldValue == got.NewValue {
		t.Errorf("got %+v", got)
	}
}

// What is seen while nobody is connected, as after a start of the broker, is told to
// whoever of the member's comes first, on whatever node, and to nobody again.
func TestWatchTellsWhoComesBack(t *testing.T) {
	n := newNodes(t, 2, nearby)
	a, b := n.both()
	id := a.member("ada", store.RoleAdmin)
	url, set := page(t)
	ada := a.joined(id)
	ada.ask(`{"type":"watch","url":"`+url+`","mode":"json","extract":"n"}`, "watch_ack")
	eventually(t, "the baseline", func() bool { return a.watches(id.MemberID)[0].Value == "0" })
	ada.bye()
	a.wantOnline(0)
	b.wantOnline(0)
	set(7)
	a.lookNow(id.MemberID)
	if got := a.watches(id.MemberID)[0].Untold; got.Old != "0" || got.New != "7" {
		t.Fatalf("untold: %+v", got)
	}
	var got wire.WatchTriggered
	if b.joined(id).wantEvent("watch_triggered", &got); got.OldValue != "0" || got.NewValue != "7" {
		t.Errorf("got %+v", got)
	}
	eventually(t, "it to be told", func() bool { return a.watches(id.MemberID)[0].Untold == store.Sight{} })
}

// As it is configured by default, the broker looks at nothing of its own network.
func TestFlawExt06BrokerLooksAtNothingPrivate(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleAdmin))
	own := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + "/metrics"
	if got := ada.ask(`{"type":"watch","url":"`+own+`"}`, "watch_ack"); !strings.Contains(got, `"error":"invalid: url: the address is private`) {
		t.Errorf("got %s", got)
	}
}

// A start of the broker has nobody connected, and says nothing of who is about to
// come back: the clock goes on for as long as they have time to.
func TestClockGoesOnOverARestart(t *testing.T) {
	const grace = 2 * time.Second
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, func(c *config.Config) { c.Presence.Grace = time.Hour })
	before.newMesh()
	id := before.member("ada", store.RoleAdmin)
	before.joined(id).ask(`{"type":"set_clock","speed":1}`, "clock_status")
	before.stop()

	begun := time.Now()
	after := start(t, path, func(c *config.Config) { c.Presence.Grace = grace })
	eventually(t, "the clock to pause", func() bool {
		c, err := after.store.Clock(context.Background(), before.mesh.ID)
		if err == nil && c.Paused && c.Since.Sub(begun) < grace {
			t.Fatalf("it stands after %s", c.Since.Sub(begun))
		}
		return err == nil && c.Paused
	})
}

// turnBack lets a mesh's clock have run for d more.
func (r *rig) turnBack(d time.Duration) {
	r.t.Helper()
	c, err := r.store.Clock(context.Background(), r.mesh.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	earlier := *c
	earlier.Since = c.Since.Add(-d)
	if err := r.store.SetClock(context.Background(), &earlier, c); err != nil {
		r.t.Fatal(err)
	}
}

// A mesh has one clock on all nodes, everybody hears each tick once, and it stands
// while nobody is connected.
func TestFlawExt58ClockIsOneOverNodes(t *testing.T) {
	n := newNodes(t, 2, func(c *config.Config) { c.Presence.Grace = 100 * time.Millisecond })
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	ada.ask(`{"type":"set_clock","speed":1}`, "clock_status")
	a.turnBack(61 * time.Second)
	for _, s := range []*socket{ada, bo} {
		var got wire.Tick
		s.wantEvent("tick", &got)
		if got.Tick != 1 || got.Speed != 1 {
			t.Errorf("got %+v", got)
		}
	}
	if got := bo.ask(`{"type":"get_clock"}`, "clock_status"); !strings.Contains(got, `"paused":false,"tick":1`) {
		t.Errorf("the other node says %s", got)
	}
	a.turnBack(time.Minute)
	for _, s := range []*socket{ada, bo} {
		var got wire.Tick
		if s.wantEvent("tick", &got); got.Tick != 2 {
			t.Errorf("got %+v, and each tick comes once", got)
		}
	}
	ada.bye()
	bo.bye()
	eventually(t, "the clock to pause", func() bool {
		c, err := a.store.Clock(context.Background(), a.mesh.ID)
		return err == nil && c.Paused && c.Tick >= 2
	})
}
