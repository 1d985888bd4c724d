package presence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestLineage(t *testing.T) {
	tests := []struct {
		group string
		want  []string
	}{
		{"a", []string{"a"}},
		{"a/b", []string{"a/b", "a"}},
		{"a/b/c", []string{"a/b/c", "a/b", "a"}},
		{"ab/c", []string{"ab/c", "ab"}},
	}
	for _, tt := range tests {
		if got := lineage(tt.group); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.group, got, tt.want)
		}
	}
}

// audience returns the names behind the session keys that a target means.
func (r *rig) audience(target string) string {
	r.t.Helper()
	parsed, err := sdk.ParseTarget(target)
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, to := range r.Audience("mesh", parsed, key("sender"), nil) {
		routing := to.Session
		if routing.IsZero() {
			routing = to.Member
		}
		names = append(names, strings.TrimRight(string(routing[:]), "\x00"))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestGroupIndexFollowsChanges(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	a := arrival("ada", "s1")
	a.Groups = []store.Group{{Name: "dev/web"}, {Name: "dev/db"}}
	s1, c1 := r.come(a)
	s2, _ := r.come(arrival("bo", "s2"))
	steps := []struct {
		name string
		do   func()
		want map[string]string // who is in a group
	}{
		{"at first", func() {}, map[string]string{"@dev": "s1", "@dev/web": "s1", "@dev/db": "s1", "@de": "", "@dev/we": ""}},
		{"when one joins below", func() { _ = r.JoinGroup(s2, store.Group{Name: "dev/web/css"}) }, map[string]string{"@dev": "s1 s2", "@dev/web": "s1 s2", "@dev/web/css": "s2", "@dev/db": "s1"}},
		{"when one joins again", func() { _ = r.JoinGroup(s2, store.Group{Name: "dev/web/css", Role: "lead"}) }, map[string]string{"@dev/web/css": "s2"}},
		{"when one leaves one of two", func() { r.LeaveGroup(s1, "dev/web") }, map[string]string{"@dev": "s1 s2", "@dev/web": "s2", "@dev/db": "s1"}},
		{"when one leaves the other too", func() { r.LeaveGroup(s1, "dev/db") }, map[string]string{"@dev": "s2", "@dev/db": ""}},
		{"when one leaves where it is not", func() { r.LeaveGroup(s2, "dev") }, map[string]string{"@dev": "s2"}},
		{"when one hides", func() { r.SetVisible(s2, false) }, map[string]string{"@dev": "", "*": "s1"}},
		{"when one shows itself", func() { r.SetVisible(s2, true) }, map[string]string{"@dev": "s2", "*": "s1 s2"}},
		{"when one is in its grace time", func() { r.Leave(s1, c1, false) }, map[string]string{"*": "s1 s2"}},
		{"when one ends", func() { r.End(s2, 4001, "kicked") }, map[string]string{"@dev": "", "@dev/web/css": "", "*": "s1"}},
	}
	for _, step := range steps {
		step.do()
		for target, want := range step.want {
			if got := r.audience(target); got != want {
				t.Errorf("%s, %s means %q, want %q", step.name, target, got, want)
			}
		}
	}
	if groups := r.mesh("mesh").byGroup; len(groups) > 0 {
		t.Errorf("groups of nobody are left: %v", groups)
	}
}

func TestGroupsHaveALimit(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	s, _ := r.come(arrival("ada", "s1"))
	for i := range maxGroups {
		if err := r.JoinGroup(s, store.Group{Name: fmt.Sprint("g", i)}); err != nil {
			t.Fatalf("group %d: %v", i, err)
		}
	}
	if err := r.JoinGroup(s, store.Group{Name: "more"}); !errors.Is(err, ErrTooManyGroups) {
		t.Errorf("one more group: got %v, want ErrTooManyGroups", err)
	}
	if err := r.JoinGroup(s, store.Group{Name: "g1", Role: "lead"}); err != nil {
		t.Errorf("another role in a group: %v", err)
	}
	if n := len(r.View(s).Groups); n != maxGroups {
		t.Errorf("got %d groups, want %d", n, maxGroups)
	}
}

func TestAudienceMeansEachOnce(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute})
	launch := func(a Arrival, id string) Arrival { a.About.SessionID = id; return a }
	daemon := func(a Arrival) Arrival { a.Role = RoleControl; return a }
	r.come(arrival("sender", "own"))
	r.come(launch(arrival("bo", ""), "1"))
	r.come(launch(arrival("bo", ""), "2"))
	r.come(arrival("bo", "s1"))
	r.come(daemon(arrival("cy", "")))
	if got, want := r.audience("*"), "bo cy s1"; got != want {
		t.Errorf("everybody is %q, want %q: sessions without a key share one copy, the sender's own get none", got, want)
	}
	parsed, _ := sdk.ParseTarget("*")
	if first := r.Audience("mesh", parsed, key("sender"), nil)[0]; first.Member != key("cy") {
		t.Errorf("the first is %s, want the control connection", first.Member)
	}
	if got, ok := r.Here("mesh", key("bo")); !ok || !got.Session.IsZero() {
		t.Errorf("a member's key: got %+v, %v, want all its sessions", got, ok)
	}
	if got, ok := r.Here("mesh", key("s1")); !ok || got.Session != key("s1") || got.Member != key("bo") {
		t.Errorf("a session's key: got %+v, %v, want that session", got, ok)
	}
	if _, ok := r.Here("mesh", key("nobody")); ok {
		t.Error("a key of nobody is here")
	}
}

func TestAllowance(t *testing.T) {
	now := time.Now()
	a := allowance{rate: 10}
	steps := []struct {
		name  string
		after time.Duration
		n     int
		want  bool
	}{
		{"takes a second's worth at once", 0, 10, true},
		{"takes nothing more", 0, 1, false},
		{"takes what came since", 500 * time.Millisecond, 5, true},
		{"keeps what it had when it refused", 200 * time.Millisecond, 3, false},
		{"takes that later", 100 * time.Millisecond, 3, true},
		{"never has more than a second's worth", time.Hour, 11, false},
		{"has a second's worth after an hour", 0, 10, true},
	}
	for _, step := range steps {
		now = now.Add(step.after)
		if got := a.take(step.n, now); got != step.want {
			t.Errorf("it %s: got %v", step.name, got)
		}
	}
	if free := (&allowance{}); !free.take(1<<30, now) {
		t.Error("it has no limit without a rate: got a refusal")
	}
}

func TestAnnounceSpendsTheMeshesAllowance(t *testing.T) {
	r := newRig(t, Options{Grace: time.Minute, Announce: 3})
	s, c := r.come(arrival("ada", "s1"))
	_, other := r.come(arrival("bo", "s2"))
	_, hidden := r.come(arrival("cy", "s3"))
	notAda := Except{Session: s.ID}
	if !r.Announce("mesh", []byte("one"), notAda) {
		t.Error("the first event was dropped")
	}
	if r.Announce("mesh", []byte("two"), notAda) {
		t.Error("an event beyond the allowance was written")
	}
	r.pass(time.Second)
	if !r.Announce("mesh", []byte("three"), notAda) {
		t.Error("an event a second later was dropped")
	}
	for name, got := range map[string][]string{"ada": c.sent, "bo": other.sent, "cy": hidden.sent} {
		want := map[string]string{"ada": "", "bo": "one three", "cy": "one three"}[name]
		if strings.Join(got, " ") != want {
			t.Errorf("%s heard %q, want %q", name, got, want)
		}
	}
	if !r.Announce("nowhere", []byte("x"), notAda) {
		t.Error("an event of a mesh of nobody was dropped")
	}
}
