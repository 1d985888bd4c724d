package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A link that owns kinds waits as long as clients do, and need not be there.
func TestOwnerDefaults(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{File: []byte("insecure: true\npipeline:\n  - stage: vector\n    plugin: {path: /opt/v, role: owner, kinds: [a_b, c]}\n"), Builtins: builtins()})
	if err != nil {
		t.Fatal(err)
	}
	p := newPlugin()
	p.Path, p.Role, p.Kinds, p.InFlight = "/opt/v", Owner, []string{"a_b", "c"}, ownerHand
	want := Link{
		Stage: "vector", Name: "vector", Enabled: true, OnFailure: FailClosed, Deadline: ownerDeadline, Plugin: &p,
	}
	if diff := cmp.Diff(want, l.Config.Pipeline[0], cmpopts.IgnoreUnexported(Link{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
