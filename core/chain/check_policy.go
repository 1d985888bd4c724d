package chain

import (
	"fmt"
	"slices"
	"strings"
)

// policy checks what an enabled link does when its stage fails.
func (k *checker) policy(i int, ls LinkSpec) {
	f := k.factories.find(ls)
	allowed := f.policies()
	if ls.OnFailure != "" {
		k.choice(i, "on_failure", ls.OnFailure, allowed)
	}
	policy, then := ls.policy(f)
	switch {
	case ls.Then != "" && policy != Hold:
		k.add(i, "then has no effect without on_failure: hold", "take it out")
	case policy == Hold:
		k.choice(i, "then", then, slices.DeleteFunc(slices.Clone(allowed), func(p Policy) bool { return p == Hold }))
	}
	k.fallback(i, ls, policy == Fallback || then == Fallback)
}

// choice checks a policy against those that the stage allows.
func (k *checker) choice(i int, key string, p Policy, allowed []Policy) {
	switch {
	case slices.Contains(allowed, p):
	case p == FailOpen && k.spec.Insecure:
	case p == FailOpen:
		k.add(i, key+": fail_open would let everything through while the stage is broken",
			"write fail_closed, or say `insecure: true` if that is what you want")
	default:
		words := make([]string, len(allowed))
		for i, p := range allowed {
			words[i] = string(p)
		}
		k.add(i, fmt.Sprintf("%s cannot be %q", key, p), "it can be "+strings.Join(words, " or "))
	}
}

// fallback checks the stage that steps in. It is one of the program's own, so
// that it is there when a plugin is not.
func (k *checker) fallback(i int, ls LinkSpec, needed bool) {
	switch {
	case ls.Fallback == nil && needed:
		k.add(i, "no stage is named to fall back on", "write `fallback: NAME`")
		return
	case ls.Fallback == nil:
		return
	case !needed:
		k.add(i, "fallback has no effect without on_failure: fallback", "take it out")
	}
	name := ls.Fallback.Stage
	f, known := k.factories[name]
	switch near := k.nearest(name); {
	case !known && near != "":
		k.add(i, fmt.Sprintf("fallback: there is no stage %q", name), fmt.Sprintf("did you mean %q?", near))
	case !known:
		k.add(i, fmt.Sprintf("fallback: there is no stage %q", name), k.known())
	case f.Role != RoleGate:
		k.add(i, fmt.Sprintf("fallback: %s is no gate but of the role %s, so it cannot judge in place of another", name, f.Role),
			"name a stage that judges")
	}
}
