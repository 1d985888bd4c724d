package presence

import (
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// others notes what a directory tells other nodes.
type others struct {
	mu     sync.Mutex
	listen map[sdk.Key]int
	events int
}

func (o *others) Forward(string, []byte, Except) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events++
}
func (o *others) Held() bool                   { return true }
func (o *others) Listen(_ string, k sdk.Key)   { o.add(k, 1) }
func (o *others) Unlisten(_ string, k sdk.Key) { o.add(k, -1) }
func (o *others) add(k sdk.Key, by int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listen[k] += by; o.listen[k] == 0 {
		delete(o.listen, k)
	}
}

// twoNodes returns two directories that hear of each other only when the test
// says so: the rows that each saves wait in a list.
func twoNodes(t *testing.T) (a, b *rig, rowsOf func(*rig) []*store.Presence) {
	t.Helper()
	saved := map[*rig]*[]*store.Presence{}
	node := func(name string) *rig {
		r := newRig(t, Options{Grace: time.Minute, Node: name, Others: &others{listen: map[sdk.Key]int{}}})
		list := new([]*store.Presence)
		r.journal.SavePresenceFn = func(p *store.Presence) { *list = append(*list, p) }
		saved[r] = list
		return r
	}
	a, b = node("a"), node("b")
	return a, b, func(r *rig) []*store.Presence {
		rows := *saved[r]
		*saved[r] = nil
		return rows
	}
}

func (r *rig) mirror(rows []*store.Presence) {
	r.t.Helper()
	for _, p := range rows {
		if err := r.Mirror(p); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestMirrorShowsAnotherNodesSession(t *testing.T) {
	a, b, rows := twoNodes(t)
	s, c := a.come(arrival("ada", "s1"))
	a.SetSummary(s, "first")
	if err := a.JoinGroup(s, store.Group{Name: "crew/night"}); err != nil {
		t.Fatal(err)
	}
	a.SetStatus(s, Working, Hook)
	all := rows(a)
	newest := all[len(all)-1:]
	b.mirror(newest)
	b.mirror(all) // older versions change nothing
	v := b.Views("mesh")
	if len(v) != 1 || !v[0].Online || v[0].Summary != "first" || v[0].Status != Working || v[0].Name != "ada" || v[0].ID != s.ID || !v[0].Elsewhere() {
		t.Fatalf("got %+v", v)
	}
	got := b.Audience("mesh", sdk.Target{Kind: sdk.TargetGroup, Name: "crew"}, sdk.Key{}, nil)
	if len(got) != 1 || got[0].Session != key("s1") {
		t.Errorf("the group means %+v, want ada's session", got)
	}
	if !b.Elsewhere("mesh", key("s1")) || b.Elsewhere("mesh", key("s2")) {
		t.Error("which key is elsewhere is not known")
	}
	if b.SetSummary(v[0].Session, "stolen"); b.Views("mesh")[0].Summary != "first" {
		t.Error("another node's session was changed here")
	}
	if _, ended := b.End(v[0].Session, 4001, "kicked"); ended {
		t.Error("another node's session was ended here")
	}
	a.Leave(s, c, true)
	b.mirror(rows(a))
	if n := len(b.Views("mesh")); n != 0 {
		t.Errorf("%d sessions are left, want none", n)
	}
}

func TestTwoNodesThatGiveOneKeyASession(t *testing.T) {
	a, b, rows := twoNodes(t)
	older, c := a.come(arrival("ada", "s1"))
	b.pass(time.Second)
	younger, d := b.come(arrival("ada", "s1"))
	ofA, ofB := rows(a), rows(b)
	b.mirror(ofA)
	a.mirror(ofB)
	if c.how() != "1000 session_replaced" || d.how() != "" {
		t.Errorf("closed: got the older %q, the younger %q, want the older replaced", c.how(), d.how())
	}
	if _, live := a.Live(older); live {
		t.Error("the older session goes on")
	}
	for name, r := range map[string]*rig{"a": a, "b": b} {
		if v := r.Views("mesh"); len(v) != 1 || v[0].ID != younger.ID {
			t.Errorf("node %s shows %+v, want the younger session", name, v)
		}
	}
	last := rows(a)
	if len(last) != 1 || last[0].ID != older.ID || last[0].DisconnectedAt.IsZero() {
		t.Errorf("the older session's row was not ended: %+v", last)
	}
}

// The session goes on where its newest connection is, and the version of its
// row only rises.
func TestSessionIsTakenOver(t *testing.T) {
	a, b, rows := twoNodes(t)
	s, c := a.come(arrival("ada", "s1"))
	a.SetSummary(s, "kept")
	b.mirror(rows(a))
	at := b.attach(arrival("ada", "s1"))
	if !at.Resumed || at.ID != s.ID {
		t.Fatalf("got a new session: %+v", at)
	}
	b.Online(at, new(conn))
	a.mirror(rows(b))
	if c.how() != "1000 session_replaced" {
		t.Errorf("the older connection was closed with %q", c.how())
	}
	if v := a.Views("mesh"); len(v) != 1 || !v[0].Elsewhere() || v[0].Summary != "kept" {
		t.Errorf("the first node shows %+v", v)
	}
	if got := a.options.Others.(*others).listen; len(got) != 0 {
		t.Errorf("the first node still listens for %v", got)
	}
	if n := len(rows(a)); n != 0 {
		t.Errorf("the first node wrote %d rows of a session that is not its own", n)
	}
}

func TestOrphansHaveTheirGraceTime(t *testing.T) {
	a, b, rows := twoNodes(t)
	a.come(arrival("ada", "s1"))
	b.mirror(rows(a))
	died := b.now()
	dead := func(string) (time.Time, bool) { return died, true }
	lives := func(string) (time.Time, bool) { return time.Time{}, false }
	for _, step := range []struct {
		name   string
		after  time.Duration
		dead   func(string) (time.Time, bool)
		online bool
		ended  int
	}{
		{"when its node lives", 0, lives, true, 0},
		{"when its node has died", 0, dead, false, 0},
		{"when its node was not dead after all", time.Second, lives, true, 0},
		{"when its node has died again", time.Second, func(string) (time.Time, bool) { return b.now(), true }, false, 0},
		{"in its grace time", 59 * time.Second, dead, false, 0},
		{"after it", 2 * time.Second, dead, false, 1},
	} {
		b.pass(step.after)
		b.Orphan(step.dead)
		if v := b.Views("mesh"); len(v) != 1 || v[0].Online != step.online {
			t.Errorf("%s: got %+v, want it online: %v", step.name, v, step.online)
		}
		if ended := b.EndOrphans(step.dead); len(ended) != step.ended {
			t.Errorf("%s: %d sessions ended, want %d", step.name, len(ended), step.ended)
		}
	}
	if last := rows(b); len(last) != 1 || last[0].DisconnectedAt.IsZero() {
		t.Errorf("its row was not ended: %+v", last)
	}
}

// A node that has lost a session says that it ended: that counts nothing where
// the session is now.
func TestEndOnTheOldNodeEndsNothing(t *testing.T) {
	for name, how := range map[string]func(a *rig, s *Session, c *conn){
		"the old connection says goodbye": func(a *rig, s *Session, c *conn) { a.Leave(s, c, true) },
		"the old grace time ends":         func(a *rig, s *Session, c *conn) { a.Leave(s, c, false); a.pass(2 * time.Minute); a.EndExpired() },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, rows := twoNodes(t)
			s, c := a.come(arrival("ada", "s1"))
			b.mirror(rows(a))
			at, next := b.attach(arrival("ada", "s1")), new(conn)
			b.Online(at, next)
			a.pass(time.Second)
			how(a, s, c)
			b.mirror(rows(a))
			if _, live := b.Live(at.Session); !live || next.how() != "" {
				t.Errorf("the session on the new node: live %v, closed %q", live, next.how())
			}
		})
	}
}

// A hello whose connection never comes takes no session from another node.
func TestHelloWithoutAConnectionTakesNothing(t *testing.T) {
	for name, end := range map[string]func(b *rig, at Attached){
		"its time is over": func(b *rig, _ Attached) { b.pass(2 * time.Minute); b.EndExpired() },
		"it is refused":    func(b *rig, at Attached) { b.End(at.Session, 4002, "banned") },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, rows := twoNodes(t)
			s, c := a.come(arrival("ada", "s1"))
			all := rows(a)
			b.mirror(all)
			end(b, b.attach(arrival("ada", "s1")))
			a.mirror(rows(b))
			if _, live := a.Live(s); !live || c.how() != "" {
				t.Errorf("the session that is connected: live %v, closed %q", live, c.how())
			}
			b.mirror(all)
			if v := b.Views("mesh"); len(v) != 1 || !v[0].Online {
				t.Errorf("the other node shows %+v", v)
			}
		})
	}
}

// Two nodes that take over one session at the same moment agree on one of them,
// also when both clocks are behind what was said before.
func TestTakeoversAtOnceAgree(t *testing.T) {
	a, b, rows := twoNodes(t)
	a.options.Slot, b.options.Slot = 3, 4
	s, c := a.come(arrival("ada", "s1"))
	a.Leave(s, c, false)
	all := rows(a)
	ahead := *all[len(all)-1]
	ahead.ID, ahead.Node, ahead.Version = "elsewhere", "x", ahead.Version+int64(time.Hour/time.Microsecond)
	ahead.SessionKey = key("s2")
	a.mirror([]*store.Presence{&ahead})
	b.mirror([]*store.Presence{&ahead})
	atA, atB := a.attach(arrival("ada", "s2")), b.attach(arrival("ada", "s2"))
	onA, onB := new(conn), new(conn)
	a.Online(atA, onA)
	b.Online(atB, onB)
	ofA, ofB := rows(a), rows(b)
	a.mirror(ofB)
	b.mirror(ofA)
	if (onA.how() == "") == (onB.how() == "") {
		t.Errorf("closed: got %q and %q, want one of them", onA.how(), onB.how())
	}
}

func TestStatsOfASessionThatIsOverChangeNothing(t *testing.T) {
	a, _, rows := twoNodes(t)
	s, c := a.come(arrival("ada", "s1"))
	a.Leave(s, c, true)
	rows(a)
	if a.SetStats(s, &Stats{}); len(rows(a)) != 0 {
		t.Error("the row of a session that is over was opened again")
	}
}
