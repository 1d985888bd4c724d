package gaps_test

import (
	"testing"

	"github.com/claudemesh/broker/core/bus/internal/gaps"
)

func TestGap(t *testing.T) {
	var seen gaps.Seen
	s, late := gaps.NewSender(), gaps.NewSender()
	late.Next()
	steps := []struct {
		name   string
		sender uint64
		number uint64
		want   bool
	}{
		{"it expects a new sender to begin at 1", s.ID, s.Next(), false},
		{"it finds nothing in a row", s.ID, s.Next(), false},
		{"it finds what was missed before listening", late.ID, late.Next(), true},
		{"it keeps senders apart", s.ID, s.Next(), false},
	}
	for _, step := range steps {
		if got := seen.Gap(step.sender, step.number); got != step.want {
			t.Errorf("%s: got %t", step.name, got)
		}
	}
	s.Skip()
	if !seen.Gap(s.ID, s.Next()) {
		t.Error("a number that was left out is not missed")
	}
	if seen.Gap(s.ID, s.Next()) {
		t.Error("a gap is found twice")
	}
}

func TestSeenIsBounded(t *testing.T) {
	var seen gaps.Seen
	for id := range uint64(5000) {
		if seen.Gap(id, 1) {
			t.Fatalf("sender %d begins with a gap", id)
		}
	}
	if !seen.Gap(0, 2) {
		t.Error("the first of 5000 senders is still known")
	}
}
