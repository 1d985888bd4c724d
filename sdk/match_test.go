package sdk_test

import (
	"testing"

	"github.com/claudemesh/broker/sdk"
)

func TestMatchAccepts(t *testing.T) {
	direct := sdk.Target{Kind: sdk.TargetKey}
	send := sdk.Envelope{Kind: sdk.KindSend, Target: direct, Priority: sdk.PriorityNext, Size: 100}
	list := sdk.Envelope{Kind: "list_peers", Size: 100}
	tests := []struct {
		name  string
		match sdk.Match
		env   sdk.Envelope
		want  bool
	}{
		{"the zero match wants everything", sdk.Match{}, send, true},
		{"it wants a kind that it names", sdk.Match{Kinds: []sdk.Kind{"hello", "send"}}, send, true},
		{"it does not want another kind", sdk.Match{Kinds: []sdk.Kind{"hello"}}, send, false},
		{"it wants a family", sdk.Match{Kinds: []sdk.Kind{"list_*"}}, list, true},
		{"it wants every kind with a star alone", sdk.Match{Kinds: []sdk.Kind{"*"}}, list, true},
		{"it wants a priority that it names", sdk.Match{Priorities: []sdk.Priority{sdk.PriorityNow, sdk.PriorityNext}}, send, true},
		{"it does not want another priority", sdk.Match{Priorities: []sdk.Priority{sdk.PriorityNow}}, send, false},
		{"a priority does not constrain what has no target", sdk.Match{Priorities: []sdk.Priority{sdk.PriorityLow}}, list, true},
		{"it wants a target that it names", sdk.Match{Targets: []sdk.TargetKind{sdk.TargetGroup, sdk.TargetKey}}, send, true},
		{"it does not want another target", sdk.Match{Targets: []sdk.TargetKind{sdk.TargetGroup}}, send, false},
		{"a target does not constrain what has none", sdk.Match{Targets: []sdk.TargetKind{sdk.TargetGroup}}, list, true},
		{"it takes both bounds as wanted", sdk.Match{MinSize: 100, MaxSize: 100}, send, true},
		{"it does not want what is too small", sdk.Match{MinSize: 101}, send, false},
		{"it does not want what is too large", sdk.Match{MaxSize: 99}, send, false},
		{"a size below 0 is no bound", sdk.Match{MinSize: -1, MaxSize: -1}, send, true},
		{
			"every field has to accept",
			sdk.Match{Kinds: []sdk.Kind{"send"}, Targets: []sdk.TargetKind{sdk.TargetKey}, MaxSize: 10}, send, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.match.Accepts(&tt.env); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if n := testing.AllocsPerRun(100, func() { tt.match.Accepts(&tt.env) }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}
