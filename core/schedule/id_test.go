package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

func TestMessageID(t *testing.T) {
	row := store.Schedule{ID: "1f0c", Secret: "s", DueAt: time.UnixMilli(1_798_000_000_000)}
	id := messageID(&row)
	if again := messageID(&row); again != id {
		t.Errorf("got %q and %q for one time, want one id on every node", id, again)
	}
	for _, tt := range []struct {
		name string
		edit func(*store.Schedule)
	}{
		{"the next time", func(s *store.Schedule) { s.DueAt = s.DueAt.Add(time.Minute) }},
		{"another schedule", func(s *store.Schedule) { s.ID = "2f0c" }},
		{"another secret", func(s *store.Schedule) { s.Secret = "t" }},
	} {
		t.Run("it is another one for "+tt.name, func(t *testing.T) {
			other := row
			tt.edit(&other)
			if got := messageID(&other); got == id {
				t.Errorf("both got %q", got)
			}
		})
	}
	row.Secret = ""
	if got, want := messageID(&row), "schedule:1f0c:20261223T042640.000Z"; got != want {
		t.Errorf("an earlier release: got %q, want %q", got, want)
	}
}

// Recipients have seen the id of an earlier release, and with it those of all times
// to come.
func TestIDsOfEarlierSchedulesAreGuessedOnce(t *testing.T) {
	r := newRig(t)
	id := r.plan(time.Minute, "tea", cronned("* * * * *"))
	n := r.node()
	for range 2 {
		r.pass(time.Minute)
		r.look(n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	told := 0
	for sent := range r.sent {
		if strings.Contains(sent, id) {
			told++
		}
	}
	if len(r.sent) != 2 || told != 1 {
		t.Errorf("sent %v, want the first of two with the id of the schedule", r.sent)
	}
}
