package chain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// builtin are factories like those of the broker, with stages that do nothing.
var builtin = chain.Factories{
	"auth":       {Role: chain.RoleAuth, Policies: []chain.Policy{chain.FailClosed}, New: nothing},
	"grants":     {Role: chain.RoleGate, Policies: []chain.Policy{chain.FailClosed}, New: nothing},
	"rate-limit": {Role: chain.RoleGate, New: nothing},
	"route":      {Role: chain.RoleRoute, Policies: []chain.Policy{chain.FailClosed}, New: nothing},
	"audit":      {Role: chain.RoleObserver, New: nothing},
	"picky": {New: func(chain.LinkSpec) (sdk.Stage, error) {
		return nil, errors.New("with.burst must be at least 1, it is 0")
	}},
}

func nothing(chain.LinkSpec) (sdk.Stage, error) { return new(fake), nil }

// on makes enabled links of stage names.
func on(stages ...string) (links []chain.LinkSpec) {
	for _, s := range stages {
		links = append(links, chain.LinkSpec{Stage: s, Enabled: true})
	}
	return links
}

// with changes the link at i.
func with(links []chain.LinkSpec, i int, change func(*chain.LinkSpec)) []chain.LinkSpec {
	change(&links[i])
	return links
}

// fallingBack is a chain whose rate limit falls back on a stage.
func fallingBack(stage string) []chain.LinkSpec {
	return with(on("auth", "rate-limit", "route"), 1, func(l *chain.LinkSpec) {
		l.OnFailure, l.Fallback = chain.Fallback, &chain.LinkSpec{Stage: stage}
	})
}

// holding is a link with a stage that waits by itself and guards something.
func holding(then chain.Policy, name string) []chain.LinkSpec {
	f := factory(chain.RoleGate, new(fake))
	f.Policies = []chain.Policy{chain.Hold, chain.FailClosed, chain.Fallback}
	return []chain.LinkSpec{{Stage: name, Enabled: true, Use: f, Then: then}}
}

func holdingGuard() []chain.LinkSpec {
	links := on("auth", "route")
	return []chain.LinkSpec{links[0], holding(chain.FailOpen, "a")[0], links[1]}
}

func TestBuildRefuses(t *testing.T) {
	tests := []struct {
		name     string
		links    []chain.LinkSpec
		insecure bool
		want     string // the problems, a line each
	}{
		{"it takes the usual order", on("auth", "grants", "rate-limit", "route", "audit"), false, ""},
		{"it takes an observer anywhere", on("audit", "auth", "route"), false, ""},
		{"it takes a stage twice under two names", with(on("auth", "rate-limit", "rate-limit", "route"), 2,
			func(l *chain.LinkSpec) { l.Name = "rate-limit-2" }), false, ""},
		{
			"it refuses an empty chain", nil, true,
			"pipeline: no stage is enabled, so every envelope would be denied; " +
				"list at least auth and route, or leave `pipeline` out for the default",
		},
		{
			"it refuses a chain without auth and without route", on("grants"), false,
			"pipeline: there is no auth, so anybody could send as anybody; " +
				"add `- stage: auth` as the first entry, or say `insecure: true`\n" +
				"pipeline: there is no route, so no envelope would be answered; " +
				"add `- stage: route` after the stages that judge, or say `insecure: true`",
		},
		{"it takes a chain without either that is said to be insecure", on("grants"), true, ""},
		{
			"it says which link to switch on", with(on("auth", "route"), 0, func(l *chain.LinkSpec) { l.Enabled = false }), false,
			"pipeline: there is no auth, so anybody could send as anybody; " +
				"set `enabled: true` on pipeline[0] auth, or say `insecure: true`",
		},
		{
			"it refuses a stage twice under one name", on("auth", "grants", "grants", "route"), false,
			"pipeline[2] grants: the name \"grants\" is taken by pipeline[1]; give one of them another `name`",
		},
		{
			"it refuses what comes after the route", on("auth", "route", "grants", "rate-limit"), false,
			"pipeline[2] grants: it comes after \"route\", which answers every envelope, so it would never be asked; " +
				"move it before the route, or remove it\n" +
				"pipeline[3] rate-limit: it comes after \"route\", which answers every envelope, so it would never be asked; " +
				"move it before the route, or remove it",
		},
		{
			"it refuses what judges before auth, insecure or not", on("grants", "auth", "route"), true,
			"pipeline[0] grants: it comes before auth, so it would judge a sender that nobody has proved; " +
				"move auth to the front",
		},
		{
			"it offers the nearest name for a stage that is unknown, and complains once", on("aut", "route"), false,
			"pipeline[0] aut: there is no stage \"aut\"; did you mean \"auth\"?",
		},
		{
			"it lists the stages when none is near", on("auth", "sausage", "route"), false,
			"pipeline[1] sausage: there is no stage \"sausage\"; the stages are audit, auth, grants, picky, rate-limit, route; " +
				"a plugin needs a `plugin` block",
		},
		{
			"it refuses an unknown stage that is off", with(on("auth", "grant", "route"), 1, func(l *chain.LinkSpec) { l.Enabled = false }), false,
			"pipeline[1] grant: there is no stage \"grant\"; did you mean \"grants\"?",
		},
		{
			"it refuses an entry without a stage", on("auth", "", "route"), false,
			"pipeline[1]: the entry names no stage; write `stage: NAME`; " +
				"the stages are audit, auth, grants, picky, rate-limit, route; a plugin needs a `plugin` block",
		},
		{
			"it refuses grants that fail open", with(on("auth", "grants", "route"), 1,
				func(l *chain.LinkSpec) { l.OnFailure, l.Where = chain.FailOpen, "broker.yaml:7" }), false,
			"pipeline[1] grants (broker.yaml:7): on_failure: fail_open would let everything through while the stage is broken; " +
				"write fail_closed, or say `insecure: true` if that is what you want",
		},
		{"it takes grants that fail open in an insecure chain", with(on("auth", "grants", "route"), 1,
			func(l *chain.LinkSpec) { l.OnFailure = chain.FailOpen }), true, ""},
		{"it takes a rate limit that fails open", with(on("auth", "rate-limit", "route"), 1,
			func(l *chain.LinkSpec) { l.OnFailure = chain.FailOpen }), false, ""},
		{
			"it refuses an unknown policy", with(on("auth", "rate-limit", "route"), 1,
				func(l *chain.LinkSpec) { l.OnFailure = "ignore" }), false,
			"pipeline[1] rate-limit: on_failure cannot be \"ignore\"; it can be fail_closed or fail_open or fallback",
		},
		{
			"it refuses hold where the stage does not wait by itself", with(on("auth", "rate-limit", "route"), 1,
				func(l *chain.LinkSpec) { l.OnFailure = chain.Hold }), false,
			"pipeline[1] rate-limit: on_failure cannot be \"hold\"; it can be fail_closed or fail_open or fallback",
		},
		{
			"it refuses then without hold", with(on("auth", "rate-limit", "route"), 1,
				func(l *chain.LinkSpec) { l.Then = chain.FailOpen }), false,
			"pipeline[1] rate-limit: then has no effect without on_failure: hold; take it out",
		},
		{"it takes hold with each end", append(holding(chain.FailClosed, "a"), holding("", "b")...), true, ""},
		{
			"it refuses hold after hold", holding(chain.Hold, "a"), true,
			"pipeline[0] a: then cannot be \"hold\"; it can be fail_closed or fallback",
		},
		{
			"it refuses hold that ends in fail_open where fail_open is refused", holdingGuard(), false,
			"pipeline[1] a: then: fail_open would let everything through while the stage is broken; " +
				"write fail_closed, or say `insecure: true` if that is what you want",
		},
		{
			"it refuses a fallback that is not named", with(on("auth", "rate-limit", "route"), 1,
				func(l *chain.LinkSpec) { l.OnFailure = chain.Fallback }), false,
			"pipeline[1] rate-limit: no stage is named to fall back on; write `fallback: NAME`",
		},
		{
			"it refuses hold that ends in a fallback that is not named", holding(chain.Fallback, "a"), true,
			"pipeline[0] a: no stage is named to fall back on; write `fallback: NAME`",
		},
		{
			"it refuses a fallback that has no effect", with(on("auth", "rate-limit", "route"), 1,
				func(l *chain.LinkSpec) { l.Fallback = &chain.LinkSpec{Stage: "rate-limit"} }), false,
			"pipeline[1] rate-limit: fallback has no effect without on_failure: fallback; take it out",
		},
		{
			"it refuses a fallback that does not exist", fallingBack("grant"), false,
			"pipeline[1] rate-limit: fallback: there is no stage \"grant\"; did you mean \"grants\"?",
		},
		{
			"it refuses a fallback that does not judge", fallingBack("route"), false,
			"pipeline[1] rate-limit: fallback: route is no gate but of the role route, so it cannot judge in place of another; " +
				"name a stage that judges",
		},
		{
			"it reports what the fallback's factory refuses", fallingBack("picky"), false,
			"pipeline[1] rate-limit: fallback picky: with.burst must be at least 1, it is 0",
		},
		{"it takes a fallback that judges", fallingBack("grants"), false, ""},
		{
			"it refuses a negative deadline", with(on("auth", "route"), 1,
				func(l *chain.LinkSpec) { l.Deadline = -time.Second }), false,
			"pipeline[1] route: the deadline -1s is negative; leave it out for none",
		},
		{
			"it reports what a factory refuses with the rest", on("auth", "picky", "rout"), false,
			"pipeline[1] picky: with.burst must be at least 1, it is 0\n" +
				"pipeline[2] rout: there is no stage \"rout\"; did you mean \"route\"?",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := chain.Build(chain.Spec{Links: tt.links, Insecure: tt.insecure}, builtin)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if (c == nil) != (err != nil) {
				t.Errorf("got chain %v and error %v, want one of them", c, err)
			}
		})
	}
}

func TestBuildPassesOptions(t *testing.T) {
	type options struct{ Zone string }
	var got options
	f := &chain.Factory{New: func(ls chain.LinkSpec) (sdk.Stage, error) {
		got = options{Zone: "UTC"}
		return new(fake), ls.Options(&got)
	}}
	ls := chain.LinkSpec{Stage: "hours", Enabled: true, Use: f}
	mustBuild(t, ls)
	if got.Zone != "UTC" {
		t.Errorf("without `with` the default became %q", got.Zone)
	}
	ls.With = func(into any) error { into.(*options).Zone = "Europe/Madrid"; return nil }
	mustBuild(t, ls)
	if got.Zone != "Europe/Madrid" {
		t.Errorf("got zone %q from `with`", got.Zone)
	}
}
