package presence

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const window = 30 * time.Second

// The status write rule: who may speak is the callers' business, whose word a
// status then is, this rule's.
func TestWrite(t *testing.T) {
	now := time.Now()
	fresh, edge, stale, future := now.Add(-time.Second), now.Add(-window), now.Add(-window-time.Millisecond), now.Add(time.Second)
	tests := []struct {
		name   string
		before state
		status Status
		source Source
		want   state
	}{
		{"replaces another status of a lower source", state{Idle, Inferred, fresh}, Working, Hook, state{Working, Hook, now}},
		{"replaces another status of the same source", state{Working, Hook, fresh}, Idle, Hook, state{Idle, Hook, now}},
		{"replaces another status of a higher source", state{Working, Hook, fresh}, Idle, Inferred, state{Idle, Inferred, now}},
		{"replaces do not disturb", state{DND, Manual, fresh}, Idle, Manual, state{Idle, Manual, now}},
		{"lets a hook take over the same status from a person", state{Working, Manual, fresh}, Working, Hook, state{Working, Hook, now}},
		{"lets a person take over the same status from a guess", state{Idle, Inferred, fresh}, Idle, Manual, state{Idle, Manual, now}},
		{"renews the same status of the same source", state{Working, Hook, fresh}, Working, Hook, state{Working, Hook, now}},
		{"keeps a fresh hook when a person says the same", state{Working, Hook, fresh}, Working, Manual, state{Working, Hook, now}},
		{"keeps a fresh hook when a guess says the same", state{Working, Hook, fresh}, Working, Inferred, state{Working, Hook, now}},
		{"keeps a person's fresh word when a guess says the same", state{Idle, Manual, fresh}, Idle, Inferred, state{Idle, Manual, now}},
		{"keeps a hook at the end of its window", state{Working, Hook, edge}, Working, Manual, state{Working, Hook, now}},
		{"takes the same status over from a stale hook", state{Working, Hook, stale}, Working, Manual, state{Working, Manual, now}},
		{"takes the same status over from a stale person", state{Idle, Manual, stale}, Idle, Inferred, state{Idle, Inferred, now}},
		{"takes the same status over from a hook of the future", state{Working, Hook, future}, Working, Manual, state{Working, Manual, now}},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			if got := tt.before.write(tt.status, tt.source, now, window); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSetStatusKnowsWhoMaySpeak(t *testing.T) {
	tests := []struct {
		name   string
		before Status
		by     Source
		status Status
		source Source
		want   Status
		whose  Source
	}{
		{"lets a person leave do not disturb", DND, Manual, Idle, Manual, Idle, Manual},
		{"lets no hook leave do not disturb", DND, Manual, Working, Hook, DND, Manual},
		{"lets no hook confirm do not disturb", DND, Manual, DND, Hook, DND, Manual},
		{"lets no guess leave do not disturb", DND, Manual, Idle, Inferred, DND, Manual},
		{"lets a hook set do not disturb", Working, Hook, DND, Hook, DND, Hook},
		{"lets a person overrule a hook", Working, Hook, Idle, Manual, Idle, Manual},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute, StatusTTL: time.Minute, HookFresh: window})
			s, _ := r.come(arrival("ada", "s1"))
			r.SetStatus(s, tt.before, tt.by)
			r.pass(time.Second)
			r.SetStatus(s, tt.status, tt.source)
			if v := r.View(s); v.Status != tt.want || v.Source != tt.whose {
				t.Errorf("got %s by %s, want %s by %s", v.Status, v.Source, tt.want, tt.whose)
			}
		})
	}
}

// A guess is made, and taken, only where nobody who knows has spoken lately.
func TestGuessesGiveWay(t *testing.T) {
	tests := []struct {
		name   string
		status Status
		source Source
		age    time.Duration
		free   bool
	}{
		{"takes the place of a guess", Idle, Inferred, 0, true},
		{"takes the place of an old guess", Working, Inferred, time.Hour, true},
		{"takes the place of a hook's word after its window", Working, Hook, window + time.Second, true},
		{"takes the place of a person's word after its window", Idle, Manual, window + time.Second, true},
		{"leaves a hook's word until its window ends", Idle, Hook, window, false},
		{"leaves a person's word until its window ends", Idle, Manual, window, false},
		{"leaves do not disturb for ever", DND, Manual, 100 * time.Hour, false},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute, StatusTTL: time.Minute, HookFresh: window})
			s, _ := r.come(arrival("ada", "s1"))
			r.SetStatus(s, tt.status, tt.source)
			r.pass(tt.age)
			views := r.Guessable()
			if free := len(views) == 1 && views[0].Session == s; free != tt.free || len(views) > 1 {
				t.Errorf("guessable: got %+v, want %v", views, tt.free)
			}
			guess, want, whose := Working, tt.status, tt.source
			if tt.status == Working {
				guess = Idle
			}
			if tt.free {
				want, whose = guess, Inferred
			}
			r.SetStatus(s, guess, Inferred)
			if v := r.View(s); v.Status != want || v.Source != whose {
				t.Errorf("got %s by %s, want %s by %s", v.Status, v.Source, want, whose)
			}
		})
	}
}

// Of a session that is away nothing is guessed; of the others in every mesh.
func TestGuessableAreHere(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, HookFresh: window})
	elsewhere := arrival("bo", "s2")
	elsewhere.Member.MeshID = "other"
	ada, c := r.come(arrival("ada", "s1"))
	bo, _ := r.come(elsewhere)
	r.attach(arrival("cy", "s3")) // said hello, has no connection yet
	if got := r.Guessable(); len(got) != 2 {
		t.Errorf("got %d sessions, want 2", len(got))
	}
	r.Leave(ada, c, false)
	if got := r.Guessable(); len(got) != 1 || got[0].Session != bo {
		t.Errorf("after one left: got %+v, want only the other", got)
	}
}

func TestStuckStatusIsFreed(t *testing.T) {
	const ttl = time.Minute
	tests := []struct {
		name   string
		status Status
		source Source
		age    time.Duration
		want   Status
		whose  Source
		freed  int
	}{
		{"frees working that has outlived its time", Working, Hook, ttl + time.Second, Idle, Inferred, 1},
		{"frees working that a person said", Working, Manual, ttl + time.Second, Idle, Inferred, 1},
		{"keeps working until its time is over", Working, Hook, ttl, Working, Hook, 0},
		{"keeps do not disturb for ever", DND, Manual, 100 * time.Hour, DND, Manual, 0},
		{"keeps idle", Idle, Hook, 100 * time.Hour, Idle, Hook, 0},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r := newRig(t, Options{Grace: time.Minute, StatusTTL: ttl, HookFresh: window})
			s, _ := r.come(arrival("ada", "s1"))
			r.SetStatus(s, tt.status, tt.source)
			r.pass(tt.age)
			if got := r.FreeStuck(); got != tt.freed {
				t.Errorf("freed: got %d, want %d", got, tt.freed)
			}
			if v := r.View(s); v.Status != tt.want || v.Source != tt.whose {
				t.Errorf("got %s by %s, want %s by %s", v.Status, v.Source, tt.want, tt.whose)
			}
			saved := r.journal.saved(key("s1"))
			if saved == nil || saved.Status != string(tt.want) {
				t.Errorf("saved: got %+v, want %s", saved, tt.want)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]bool{"idle": true, "working": true, "dnd": true, "": false, "Idle": false, "away": false} {
		if got, ok := ParseStatus(text); ok != want || ok && string(got) != text {
			t.Errorf("%q: got %q, %v, want %v", text, got, ok, want)
		}
	}
}

// What a session leaves behind comes back to it: its counters are replaced by
// what it reports, and never added up.
func TestTotalsDoNotDouble(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	want := store.Stats{MessagesIn: 3, MessagesOut: 2, ToolCalls: 5, Errors: 1}
	var saved *store.State
	for i := range 4 {
		a := arrival("ada", "s1")
		a.Saved = saved
		s, c := r.come(a)
		if i == 0 {
			r.SetStats(s, &Stats{MessagesIn: new(2.0), MessagesOut: new(2.0), ToolCalls: new(5.0), Errors: new(1.0)})
		}
		if i == 1 {
			r.SetStats(s, &Stats{MessagesIn: new(3.0)}) // what it leaves out stays
		}
		r.Leave(s, c, true)
		saved = r.journal.saved(key("s1"))
	}
	if saved.Stats != want {
		t.Errorf("got %+v after four sessions, want %+v", saved.Stats, want)
	}
	if member := r.journal.saved(key("")); member == nil || member.Stats != want {
		t.Errorf("the member's row: got %+v, want %+v", member, want)
	}
}
