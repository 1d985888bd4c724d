package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

var presences = []test{
	{"presences that an earlier process left open are closed once", presenceClose},
	{"a presence is replaced by its id", presenceReplace},
	{"presences that ended long ago are deleted", presencePrune},
}

var states = []test{
	{"a state comes back as it was written", stateRoundTrip},
	{"a session without a state gets its member's", stateFallback},
	{"a state is replaced by its key, the last one of a batch wins", stateReplace},
	{"a member that was never here has no state", stateNotFound},
}

func presence(n int) *store.Presence {
	return &store.Presence{
		ID: id("presence", n), MeshID: "mesh", MemberID: "member", SessionKey: key(byte(n)), SessionID: "launch-1",
		DisplayName: "Ада", Role: "session", Pid: 1 << 40, Cwd: "/home/ada/größe", ConnectedAt: now(),
	}
}

// wantClosed closes the open presences and checks how many there were.
func (s *suite) wantClosed(want int64) {
	s.Helper()
	if n, err := s.CloseOpenPresences(s.ctx, now()); err != nil || n != want {
		s.Errorf("closed %d presences, error %v; want %d", n, err, want)
	}
}

func (s *suite) wantPruned(t time.Time, want int64) {
	s.Helper()
	if n, err := s.PrunePresences(s.ctx, t); err != nil || n != want {
		s.Errorf("deleted %d presences, error %v; want %d", n, err, want)
	}
}

func presenceClose(s *suite) {
	ended := presence(3)
	ended.DisconnectedAt = now()
	bare := &store.Presence{ID: "bare", ConnectedAt: now()}
	s.commit(store.Batch{Presences: []*store.Presence{presence(1), presence(2), ended, bare}})
	s.wantClosed(3)
	s.wantClosed(0)
}

func presenceReplace(s *suite) {
	s.commit(store.Batch{Presences: []*store.Presence{presence(1), presence(2)}})
	left := presence(1)
	left.DisconnectedAt = now()
	s.commit(store.Batch{Presences: []*store.Presence{left}})
	s.wantClosed(1)
	s.wantPruned(now().Add(time.Hour), 2)
}

func presencePrune(s *suite) {
	var b store.Batch
	for n := range 5 {
		p := presence(n)
		p.DisconnectedAt = now().Add(time.Duration(n) * time.Hour)
		b.Presences = append(b.Presences, p)
	}
	b.Presences = append(b.Presences, presence(9)) // still here
	s.commit(b)
	s.wantPruned(now(), 0)
	s.wantPruned(now().Add(2*time.Hour), 2)
	s.wantPruned(now().Add(100*time.Hour), 3)
	s.wantClosed(1)
}

func fullState() *store.State {
	return &store.State{
		MeshID: "mesh", MemberID: "member", SessionKey: key(7), Visible: true, Summary: "räumt \"auf\" <🧹>",
		Groups: []store.Group{{Name: "ops", Role: "lead"}, {Name: "ops/night"}},
		Profile: store.Profile{
			Avatar: new("🦊"), Title: new(""), Bio: new("line\nline"), Capabilities: new([]string{"go", "sql & more"}),
		},
		Status: "dnd", StatusSource: "manual", StatusUpdatedAt: now().Add(-time.Minute),
		Stats:      store.Stats{MessagesIn: 1, MessagesOut: 2.5, ToolCalls: 1e15, Errors: -0.25},
		LastSeenAt: now(),
		Kept:       store.Kept{Streams: []string{"größe", "\"b\""}, Serves: true},
	}
}

func (s *suite) wantState(session byte, want *store.State) {
	s.Helper()
	k := key(session)
	if session == 0 {
		k = store.State{}.SessionKey
	}
	got, err := s.State(s.ctx, "mesh", "member", k)
	s.must(err)
	same(s, got, want)
}

func stateRoundTrip(s *suite) {
	bare := &store.State{MeshID: "mesh", MemberID: "member", SessionKey: key(1)}
	emptied := &store.State{
		MeshID: "mesh", MemberID: "member", SessionKey: key(2), LastSeenAt: now(),
		Profile: store.Profile{Title: new(""), Capabilities: &[]string{}},
	}
	s.commit(store.Batch{States: []*store.State{bare, emptied, fullState()}})
	s.wantState(1, bare)
	s.wantState(2, emptied)
	s.wantState(7, fullState())
}

func stateFallback(s *suite) {
	own := &store.State{MeshID: "mesh", MemberID: "member", Summary: "the member's"}
	session := &store.State{MeshID: "mesh", MemberID: "member", SessionKey: key(1), Summary: "the session's"}
	other := &store.State{MeshID: "mesh", MemberID: "other", SessionKey: key(2), Summary: "another's"}
	s.commit(store.Batch{States: []*store.State{own, session, other}})
	s.wantState(1, session)
	s.wantState(2, own)
	s.wantState(0, own)
}

func stateReplace(s *suite) {
	a, b, c := fullState(), fullState(), fullState()
	a.Summary, b.Summary, c.Summary, c.Groups, c.Visible = "a", "b", "c", nil, false
	s.commit(store.Batch{States: []*store.State{a, b}})
	s.wantState(7, b)
	s.commit(store.Batch{States: []*store.State{c}})
	s.wantState(7, c)
}

func stateNotFound(s *suite) {
	s.commit(store.Batch{States: []*store.State{fullState()}})
	for _, who := range [][2]string{{"mesh", "other"}, {"other", "member"}} {
		_, err := s.State(s.ctx, who[0], who[1], key(7))
		s.wantErr(err, store.ErrNotFound)
	}
	// A session's state is not its member's.
	_, err := s.State(s.ctx, "mesh", "member", key(8))
	s.wantErr(err, store.ErrNotFound)
}
