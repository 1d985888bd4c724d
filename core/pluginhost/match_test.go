package pluginhost

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// A plugin's match comes in wider numbers than the broker's own; none of them
// is taken for another.
func TestMatchesOfPlugins(t *testing.T) {
	many := make([]uint32, maxKinds+1)
	for name, c := range map[string]struct {
		match *pluginpb.Match
		wrong string
	}{
		"a priority that there is not": {&pluginpb.Match{Priorities: []uint32{3}}, "the priority 3,"},
		"a priority in nine bits":      {&pluginpb.Match{Priorities: []uint32{256}}, "the priority 256,"},
		"a target that there is not":   {&pluginpb.Match{Targets: []uint32{1 << 31}}, "the target kind 2147483648,"},
		"a target in nine bits":        {&pluginpb.Match{Targets: []uint32{257}}, "the target kind 257,"},
		"too many priorities":          {&pluginpb.Match{Priorities: many}, "more than 256"},
		"too many kinds":               {&pluginpb.Match{Kinds: slices.Repeat([]string{"send"}, maxKinds+1)}, "more than 256"},
		"a kind without a name":        {&pluginpb.Match{Kinds: []string{""}}, "a kind of 0 bytes"},
		"a kind with a long one":       {&pluginpb.Match{Kinds: []string{strings.Repeat("k", 65)}}, "a kind of 65 bytes"},
		"a size below 0":               {&pluginpb.Match{MinSize: -1}, "a size below 0"},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := matchOf(c.match); err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%+v, %v; want an error with %q", m, err, c.wrong)
			}
		})
	}
	got, err := matchOf(&pluginpb.Match{
		Kinds: []string{"send", "list_*"}, Priorities: []uint32{0, 2}, Targets: []uint32{1}, MinSize: 1, MaxSize: math.MaxInt32,
	})
	want := sdk.Match{
		Kinds: []sdk.Kind{"send", "list_*"}, Priorities: []sdk.Priority{sdk.PriorityNow, sdk.PriorityLow},
		Targets: []sdk.TargetKind{sdk.TargetKey}, MinSize: 1, MaxSize: math.MaxInt32,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if none, err := matchOf(nil); err != nil || !cmp.Equal(none, sdk.Match{}) {
		t.Errorf("no match becomes %+v, %v; want everything", none, err)
	}
}
