package chain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/sdk"
)

// Problem is one reason why a chain cannot run.
type Problem struct {
	Index int    // position in the list, from 0; -1 for the chain as a whole
	Link  string // empty for the chain as a whole, and where the entry names no stage
	Where string // file and line; may be empty
	Text  string // what is wrong
	Fix   string // what to do; empty where Text says it
}

// String returns the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString("pipeline")
	if p.Index >= 0 {
		fmt.Fprintf(&b, "[%d]", p.Index)
	}
	if p.Link != "" {
		b.WriteString(" " + p.Link)
	}
	if p.Where != "" {
		fmt.Fprintf(&b, " (%s)", p.Where)
	}
	b.WriteString(": " + p.Text)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// IllegalError lists everything that is wrong with a chain.
type IllegalError struct{ Problems []Problem }

func (e *IllegalError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// checker collects problems.
type checker struct {
	spec      Spec
	factories Factories
	problems  []Problem
	first     map[string]int   // where a name was first used
	owner     map[sdk.Kind]int // who owns a kind
	route     int              // index of the first route, -1 before it
	decider   bool             // a link that judges was seen
}

// check returns what is wrong with the names, the order and the policies. What
// a stage thinks of its options, its factory says.
func check(spec Spec, factories Factories) []Problem {
	k := &checker{spec: spec, factories: factories, first: make(map[string]int), owner: make(map[sdk.Kind]int), route: -1}
	for i, ls := range spec.Links {
		k.link(i, ls)
	}
	k.whole()
	return k.problems
}

func (k *checker) add(i int, text, fix string) {
	p := Problem{Index: i, Text: text, Fix: fix}
	if i >= 0 {
		p.Link, p.Where = k.spec.Links[i].name(), k.spec.Links[i].Where
	}
	k.problems = append(k.problems, p)
}

func (k *checker) link(i int, ls LinkSpec) {
	role, known := k.roleOf(ls)
	switch near := k.nearest(ls.Stage); {
	case ls.Stage == "":
		k.add(i, "the entry names no stage", "write `stage: NAME`; "+k.known())
	case !known && near != "":
		k.add(i, fmt.Sprintf("there is no stage %q", ls.Stage), fmt.Sprintf("did you mean %q?", near))
	case !known:
		k.add(i, fmt.Sprintf("there is no stage %q", ls.Stage), k.known())
	}
	if j, taken := k.first[ls.name()]; taken && ls.Stage != "" {
		k.add(i, fmt.Sprintf("the name %q is taken by pipeline[%d]", ls.name(), j),
			"give one of them another `name`")
	} else {
		k.first[ls.name()] = i
	}
	if ls.Deadline < 0 {
		k.add(i, fmt.Sprintf("the deadline %v is negative", ls.Deadline), "leave it out for none")
	}
	if !ls.Enabled {
		return
	}
	if known {
		k.policy(i, ls)
	}
	if ls.Shadow && role != RoleGate {
		k.add(i, fmt.Sprintf("shadow is for stages that judge, and this one is of the role %s", role), "take shadow out")
	}
	if known && role == RoleOwner {
		k.owns(i, k.factories.find(ls).Owns)
	}
	k.order(i, role)
}

// owns checks that each kind has one owner.
func (k *checker) owns(i int, kinds []sdk.Kind) {
	for _, kind := range kinds {
		j, taken := k.owner[kind]
		switch {
		case slices.Contains(k.spec.Reserved, kind):
			k.add(i, fmt.Sprintf("the broker answers %s itself", kind), "take it out of plugin.kinds")
		case taken && j != i:
			k.add(i, fmt.Sprintf("%s is owned by pipeline[%d] %s", kind, j, k.spec.Links[j].name()), "take it out of plugin.kinds of one of them")
		default:
			k.owner[kind] = i
		}
	}
}

// order checks the link's place among those before it.
func (k *checker) order(i int, role Role) {
	if role == RoleObserver || role == RoleOwner {
		return
	}
	switch {
	case k.route >= 0:
		k.add(i, fmt.Sprintf("it comes after %q, which answers every envelope, so it would never be asked",
			k.spec.Links[k.route].name()), "move it before the route, or remove it")
	case role != RoleAuth && !k.decider && k.has(RoleAuth):
		k.add(i, "it comes before auth, so it would judge a sender that nobody has proved",
			"move auth to the front")
	}
	k.decider = true
	if role == RoleRoute && k.route < 0 {
		k.route = i
	}
}

// whole checks what no single link can be blamed for.
func (k *checker) whole() {
	const all = -1
	if !slices.ContainsFunc(k.spec.Links, func(ls LinkSpec) bool { return ls.Enabled }) {
		k.add(all, "no stage is enabled, so every envelope would be denied",
			"list at least auth and route, or leave `pipeline` out for the default")
		return
	}
	if k.spec.Insecure {
		return
	}
	if !k.has(RoleAuth) {
		k.add(all, "there is no auth, so anybody could send as anybody",
			k.enable(RoleAuth, "add `- stage: auth` as the first entry")+", or say `insecure: true`")
	}
	if !k.has(RoleRoute) {
		k.add(all, "there is no route, so no envelope would be answered",
			k.enable(RoleRoute, "add `- stage: route` after the stages that judge")+", or say `insecure: true`")
	}
}

// has reports whether an enabled link has the role. A misspelt stage counts as
// the one that it was meant to be, so that one mistake is reported once.
func (k *checker) has(role Role) bool {
	return slices.ContainsFunc(k.spec.Links, func(ls LinkSpec) bool {
		r, known := k.roleOf(ls)
		return ls.Enabled && r == role && (known || k.nearest(ls.Stage) != "")
	})
}

// enable returns the advice to switch on a link that is there, else add.
func (k *checker) enable(role Role, add string) string {
	for i, ls := range k.spec.Links {
		if r, known := k.roleOf(ls); known && r == role {
			return fmt.Sprintf("set `enabled: true` on pipeline[%d] %s", i, ls.name())
		}
	}
	return add
}

func (k *checker) roleOf(ls LinkSpec) (role Role, known bool) {
	if f := k.factories.find(ls); f != nil {
		return f.Role, true
	}
	if f, ok := k.factories[k.nearest(ls.Stage)]; ok {
		return f.Role, false
	}
	return RoleGate, false
}

// known lists the stages that exist.
func (k *checker) known() string {
	return "the stages are " + strings.Join(slices.Sorted(maps.Keys(k.factories)), ", ") +
		"; a plugin needs a `plugin` block"
}

// nearest returns the known stage that was probably meant, or nothing when none
// is near.
func (k *checker) nearest(name string) string {
	return nearest.Of(name, slices.Sorted(maps.Keys(k.factories)))
}
