package app_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// joined connects a new session of a member.
func (r *rig) joined(id dial.Identity) *socket {
	r.t.Helper()
	return r.greet(r.vouched(session(id), time.Now()), socketOptions{})
}

// change is a state_change, or what is asked of shared state.
type change struct {
	Type, Key string
	Value     json.RawMessage
	UpdatedBy string
	Error     string
}

// told waits for the next state_change.
func (s *socket) told() string {
	s.t.Helper()
	var c change
	if err := json.Unmarshal([]byte(s.wantFrame("state_change")), &c); err != nil {
		s.t.Fatal(err)
	}
	return c.Key + "=" + string(c.Value)
}

func (s *socket) wantTold(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if got := s.told(); got != w {
			s.t.Fatalf("told of %.100s, want %.100s", got, w)
		}
	}
}

// asked returns a value, which must be what is true.
func (s *socket) asked(key string) string {
	s.t.Helper()
	s.write(`{"type":"get_state","key":"` + key + `"}`)
	var c change
	if err := json.Unmarshal([]byte(s.wantFrame("state_result")), &c); err != nil || c.Error != "" {
		s.t.Fatal(err, c.Error)
	}
	s.wantFrame("state_value")
	return string(c.Value)
}

func set(key, value string) string {
	return `{"type":"set_state","key":"` + key + `","value":` + value + `}`
}

func TestStateCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	adaID, boID := a.member("ada", store.RoleMember), a.member("bo", store.RoleMember)
	ada, sibling, bo, cy := a.joined(adaID), b.joined(adaID), b.joined(boID), b.joined(b.member("cy", store.RoleMember))
	cy.write(`{"type":"set_visible","visible":false}`)
	cy.wantFrame("ack")

	large := `"` + strings.Repeat("ä<", 10_000) + `"` // no bus carries that in one datagram
	for _, value := range []string{`{"b":1.0,"a":[]}`, large, "null"} {
		ada.write(set("k", value))
		for _, peer := range []*socket{sibling, bo, cy} {
			peer.wantTold("k=" + value)
		}
		if got := bo.asked("k"); got != value {
			t.Errorf("the other node has %.100s, want %.100s", got, value)
		}
	}
	bo.write(set("k", "2"))
	ada.wantTold("k=2") // and nothing of its own before

	// Grants hold on every node for what comes after their answer.
	bo.write(`{"type":"set_grants","grants":{` + frameOf(t, adaID.Hello(time.Now())).value("pubkey") + `:[]}}`)
	bo.wantFrame("grants")
	cy.wantTold("k=2")
	sibling.wantTold("k=2")
	ada.write(set("k2", "3"))
	cy.wantTold("k2=3")
	sibling.wantTold("k2=3")
	for _, quiet := range []*socket{bo, ada} {
		if came := quiet.settle(); len(came) != 0 {
			t.Errorf("somebody was told who should not be: %s", came)
		}
	}
	cy.write(set("k3", "5"))
	ada.wantTold("k3=5") // its node has read what bo said before
	ada.write(set("k", "4"))
	if refused := ada.wantFrame("ack"); !strings.Contains(refused, "forbidden") {
		t.Errorf("got %s", refused)
	}
}

// A hint that is lost delays what is told, and loses nothing of it.
func TestStateCrossesNodesWithoutABus(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	n.net.DropIf(func(string, []byte) bool { return true })
	var want []string
	for i := range 20 {
		ada.write(set("k", fmt.Sprint(i)))
		want = append(want, fmt.Sprintf("k=%d", i))
	}
	bo.wantTold(want...)
}

// Of members that set one key at once, everybody hears in one order, and what
// was heard last is what is kept.
func TestStateIsHeardInOneOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(*testing.T) []*rig
	}{
		{"one broker", func(t *testing.T) []*rig { r := newRig(t, nil); return []*rig{r, r} }},
		{"two nodes", func(t *testing.T) []*rig { return newNodes(t, 2, nil).list }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nodes := tt.begin(t)
			var watchers, writers []*socket
			for i, r := range nodes {
				watchers = append(watchers, r.joined(r.member(fmt.Sprint("watcher ", i), store.RoleMember)))
				writers = append(writers, r.joined(r.member(fmt.Sprint("writer ", i), store.RoleMember)))
			}
			const each = 60
			var all sync.WaitGroup
			for i, w := range writers {
				all.Go(func() {
					for j := range each {
						w.write(set("k", fmt.Sprint(i*each+j)))
					}
				})
			}
			all.Wait()
			heard := make([][]string, len(watchers))
			for i, w := range watchers {
				for range each * len(writers) {
					heard[i] = append(heard[i], w.told())
				}
			}
			if !slices.Equal(heard[0], heard[1]) {
				t.Errorf("one watcher heard\n%q\nthe other\n%q", heard[0], heard[1])
			}
			last := heard[0][len(heard[0])-1]
			for _, w := range watchers {
				if got := "k=" + w.asked("k"); got != last {
					t.Errorf("%s is kept, %s was heard last", got, last)
				}
			}
		})
	}
}

func TestStateOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	id := before.member("ada", store.RoleMember)
	ada := before.joined(id)
	ada.write(set("k", `{"z":1,"a":2.50}`))
	ada.asked("k")
	before.stop()

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	if got := after.joined(id).asked("k"); got != `{"z":1,"a":2.50}` {
		t.Errorf("got %s", got)
	}
}

// Who tells others of too much is refused, and can still ask.
func TestAnnouncingIsLimited(t *testing.T) {
	r := newRig(t, nil)
	id := r.member("ada", store.RoleMember)
	ada, sibling, bo := r.joined(id), r.joined(id), r.joined(r.member("bo", store.RoleMember))
	refused := func(s *socket) bool {
		s.write(set("gone", "null")) // nothing to delete: it costs little, and counts
		return slices.ContainsFunc(s.settle(), func(f []byte) bool {
			return strings.Contains(string(f), `"error":"rate_limit: max 20 changes/s`)
		})
	}
	for i := 0; !refused(ada); i++ {
		if i == 5000 {
			t.Fatal("nothing is refused")
		}
	}
	if !refused(ada) && !refused(sibling) && !refused(ada) {
		t.Error("each session has a limit of its own")
	}
	if refused(bo) {
		t.Error("it is another member's limit too")
	}
}
