package celpolicy

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/claudemesh/broker/sdk"
)

// compiled is a policy that is ready to run. It is never changed, and may be
// used concurrently.
type compiled struct {
	rules     []rule
	otherwise sdk.Decision
}

// rule is one rule, ready to run.
type rule struct {
	name     string
	program  cel.Program
	decision sdk.Decision
	hold     time.Duration // 0: not
	priority sdk.Priority
	sets     bool // the priority
}

func newRule(r *Rule, program cel.Program) rule {
	priority, _ := sdk.ParsePriority(r.Priority) // check has looked
	return rule{
		name: r.Name, program: program, decision: r.decision(),
		hold: time.Duration(r.For), priority: priority, sets: r.Priority != "",
	}
}

// judge asks the rules in their order. An expression that fails, or costs too
// much, fails the envelope: what comes after it cannot be meant.
func (c *compiled) judge(a *activation) (sdk.Decision, error) {
	for i := range c.rules {
		r := &c.rules[i]
		applies, _, err := r.program.Eval(a)
		switch {
		case a.long:
			return sdk.Decision{}, fmt.Errorf("the rule %s: %w", r.name, errLongText)
		case err != nil:
			return sdk.Decision{}, fmt.Errorf("the rule %s: %w", r.name, err)
		case applies == types.True:
			return r.apply(a.env), nil
		case applies != types.False:
			return sdk.Decision{}, fmt.Errorf("the rule %s is neither true nor false", r.name)
		}
	}
	return c.otherwise, nil
}

// apply does what the rule says.
func (r *rule) apply(env *sdk.Envelope) sdk.Decision {
	if r.sets {
		env.Priority = r.priority
	}
	if r.hold > 0 {
		env.Hold(env.Arrived.Add(r.hold))
	}
	return r.decision
}
