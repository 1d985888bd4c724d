package sdk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/claudemesh/broker/sdk"
)

func TestParseTarget(t *testing.T) {
	key := strings.Repeat("a1", 32)
	tests := []struct {
		name, spec string
		kind       sdk.TargetKind
		group      string
		err        error
	}{
		{"reads a key", key, sdk.TargetKey, "", nil},
		{"reads a key in capitals", strings.ToUpper(key), sdk.TargetKey, "", nil},
		{"takes * for everybody", "*", sdk.TargetBroadcast, "", nil},
		{"takes @all for everybody", "@all", sdk.TargetBroadcast, "", nil},
		{"reads a group", "@core", sdk.TargetGroup, "core", nil},
		{"reads a group below another", "@core/be", sdk.TargetGroup, "core/be", nil},
		{"reads a topic", "#general", sdk.TargetTopic, "general", nil},
		{"refuses a lone @", "@", 0, "", sdk.ErrGroup},
		{"refuses a group with an empty part", "@a//b", 0, "", sdk.ErrGroup},
		{"refuses a group that begins with a slash", "@/a", 0, "", sdk.ErrGroup},
		{"refuses a group with a control character", "@a\nb", 0, "", sdk.ErrGroup},
		{"refuses a group that is no UTF-8", "@\xff", 0, "", sdk.ErrGroup},
		{"refuses a group that is too long", "@" + strings.Repeat("g", sdk.MaxGroup+1), 0, "", sdk.ErrGroup},
		{"refuses a display name", "ada", 0, "", sdk.ErrTarget},
		{"refuses the key of nobody", strings.Repeat("0", 64), 0, "", sdk.ErrTarget},
		{"refuses nothing at all", "", 0, "", sdk.ErrTarget},
		{"refuses a lone #", "#", 0, "", sdk.ErrTarget},
		{"refuses what is too long for any", strings.Repeat("x", sdk.MaxTarget+1), 0, "", sdk.ErrTarget},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			got, err := sdk.ParseTarget(tt.spec)
			if !errors.Is(err, tt.err) || got.Kind != tt.kind || (tt.group != "" && got.Name != tt.group) {
				t.Errorf("got %+v, %v, want kind %d, name %q, error %v", got, err, tt.kind, tt.group, tt.err)
			}
		})
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"*", "@all", "@a/b", "#x", strings.Repeat("ab", 32), "@", "@\xff", "ada"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		target, err := sdk.ParseTarget(spec)
		if err != nil {
			return
		}
		if target.Kind == sdk.TargetNone || target.Spec != spec {
			t.Errorf("%q was read as %+v", spec, target)
		}
		if target.Kind == sdk.TargetKey && target.Key.String() != strings.ToLower(spec) {
			t.Errorf("%q gave the key %s", spec, target.Key)
		}
	})
}
