package chain_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// owner is a stage that answers.
type owner struct {
	fake

	answer func() (sdk.Decision, error)
}

func (o *owner) Answer(context.Context, *sdk.Envelope, []byte) (sdk.Decision, error) {
	return o.answer()
}

func (*owner) Terms(kind sdk.Kind) chain.Terms { return chain.Terms{Permission: "may " + string(kind)} }

func owning(name string, s sdk.Stage, kinds ...sdk.Kind) chain.LinkSpec {
	f := factory(chain.RoleOwner, s)
	f.Owns, f.Policies = kinds, []chain.Policy{chain.FailClosed}
	return chain.LinkSpec{Stage: name, Enabled: true, Use: f}
}

func TestOutside(t *testing.T) {
	o := &owner{}
	c, err := chain.Build(chain.Spec{Links: append(on("auth", "route"), owning("notes", o, "note_put", "note_get"))}, builtin)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	put := c.Outside("note_put")
	if c.Outside("send") != nil || put == nil || put.Link() != "notes" || put.Terms().Permission != "may note_put" {
		t.Fatalf("the owner is %+v", put)
	}
	env := &sdk.Envelope{Kind: "note_put", Sender: sdk.Sender{Conn: 1}}
	answers := []func() (sdk.Decision, error){
		func() (sdk.Decision, error) { return sdk.Decision{Verdict: sdk.Answer}, nil },
		func() (sdk.Decision, error) { return sdk.Refuse("too_long", "shorten it"), nil },
		func() (sdk.Decision, error) { return sdk.Decision{}, errors.New("its process has ended") },
		func() (sdk.Decision, error) { return sdk.Next(), nil }, // which is no answer
		func() (sdk.Decision, error) { panic("as told") },
	}
	var got []string
	for _, o.answer = range answers {
		d := put.Answer(t.Context(), env, nil)
		got = append(got, d.Verdict.String()+" "+string(d.Reason))
	}
	want := []string{"answer ", "deny too_long", "deny unavailable", "deny unavailable", "deny unavailable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, s := range c.Stats() {
		if s.Link == "notes" && (s.Total(sdk.Answer) != 1 || s.Total(sdk.Deny) != 4 || s.Failed() != 3 || s.Timing.Count != 5) {
			t.Errorf("counted %+v", s)
		}
	}
	// It is on no path, whatever its stage would say.
	d := c.Describe(false)
	for _, p := range d.Paths {
		if strings.Contains(strings.Join(p.Links, " "), "notes") {
			t.Errorf("%s visits %v", p.Kind, p.Links)
		}
	}
	if l := d.Links[2]; l.Role != "owner" || len(l.Kinds) != 2 {
		t.Errorf("described as %+v", l)
	}
}

func TestOwnersOfKinds(t *testing.T) {
	spec := chain.Spec{
		Links:    append(on("auth"), owning("a", &owner{}, "x", "y"), owning("b", &owner{}, "y"), owning("c", &owner{}, "send"), on("route")[0]),
		Reserved: []sdk.Kind{"send"},
	}
	_, err := chain.Build(spec, builtin)
	want := "pipeline[2] b: y is owned by pipeline[1] a; take it out of plugin.kinds of one of them\n" +
		"pipeline[3] c: the broker answers send itself; take it out of plugin.kinds"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
