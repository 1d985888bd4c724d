package celpolicy

import (
	"fmt"
	"regexp"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Then says what a rule does with the envelopes that it is about.
type Then string

// What a rule does.
const (
	Continue Then = "continue" // lets it go on, and asks no other rule
	Refuse   Then = "refuse"   // tells the sender why
	Drop     Then = "drop"     // lets the sender believe that it was delivered
	Hold     Then = "hold"     // delivers it later
)

// Reason is the machine word of a refusal whose rule has none.
const Reason sdk.Reason = "policy"

// mostRules bounds a policy; each rule is asked for each envelope.
const mostRules = 1000

// Policy is what a rule file says.
type Policy struct {
	Default Then   `json:"default" jsonschema:"enum=continue,enum=refuse" doc:"what happens when no rule applies"`
	Rules   []Rule `json:"rules" doc:"asked in their order; the first whose expression is true decides"`
}

// Rule is one rule of a policy.
type Rule struct {
	Name       string          `json:"name" doc:"for logs and errors"`
	When       string          `json:"when" doc:"CEL expression that is true or false"`
	Then       Then            `json:"then" jsonschema:"enum=continue,enum=refuse,enum=drop,enum=hold" doc:"what happens when it is true"`
	Reason     sdk.Reason      `json:"reason,omitempty" doc:"with refuse and drop: machine word; policy unless set"`
	Text       string          `json:"text,omitempty" doc:"with refuse: what the sender reads"`
	RetryAfter plugin.Duration `json:"retry_after,omitzero" doc:"with refuse: when the sender may try again"`
	For        plugin.Duration `json:"for,omitzero" doc:"with hold: how long after its arrival the message is held, at most a year"`
	Priority   string          `json:"priority,omitempty" doc:"with continue and hold: now, next or low; the priority from then on"`
}

var reasons = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// longestHold is what the broker counts longer holds as.
const longestHold = plugin.Duration(366 * 24 * time.Hour)

// mistake is what is wrong with one part of a rule.
type mistake struct {
	rule      int // from 0; -1: of the policy itself
	name      string
	field     string
	line, col int // in the field, from 1; 0: all of it
	message   string
}

// check says what is wrong with a rule, but for its expression.
func (r *Rule) check(granted plugin.Grants) (wrong []mistake) {
	bad := func(when bool, field, format string, args ...any) {
		if when {
			wrong = append(wrong, mistake{name: r.Name, field: field, message: fmt.Sprintf(format, args...)})
		}
	}
	refuses := r.Then == Refuse || r.Then == Drop
	bad(r.Name == "", "name", "is empty; logs and errors need it")
	bad(r.When == "", "when", "is empty; write true for all envelopes")
	switch r.Then {
	case Continue, Refuse:
	case Drop:
		bad(!granted.Has(plugin.VerdictDrop), "then", "drop needs verdict.drop; the link has to grant it")
	case Hold:
		bad(!granted.Has(plugin.DeliveryHold), "then", "hold needs delivery.hold; the link has to grant it")
	default:
		bad(true, "then", "%q is none of continue, refuse, drop, hold", string(r.Then))
	}
	bad(r.Reason != "" && !refuses, "reason", "is only for refuse and drop")
	bad(r.Reason != "" && !reasons.MatchString(string(r.Reason)), "reason",
		"%q is no machine word; write small letters, digits and underscores", string(r.Reason))
	bad(r.Text != "" && r.Then != Refuse, "text", "is only for refuse; nobody else would read it")
	bad(r.RetryAfter != 0 && r.Then != Refuse, "retry_after", "is only for refuse")
	bad(r.RetryAfter < 0, "retry_after", "is negative")
	bad(r.For != 0 && r.Then != Hold, "for", "is only for hold")
	bad(r.Then == Hold && (r.For <= 0 || r.For > longestHold), "for", "has to be above 0s, and at most a year")
	_, known := sdk.ParsePriority(r.Priority)
	bad(!known, "priority", "%q is none of now, next, low", r.Priority)
	bad(r.Priority != "" && refuses, "priority", "is only for continue and hold")
	bad(r.Priority != "" && !granted.Has(plugin.PriorityWrite), "priority", "needs priority.write; the link has to grant it")
	return wrong
}

// decision is what a rule answers.
func (r *Rule) decision() sdk.Decision {
	d := sdk.Decision{Reason: r.Reason, Text: r.Text, RetryAfter: time.Duration(r.RetryAfter)}
	if d.Reason == "" {
		d.Reason = Reason
	}
	switch r.Then {
	case Refuse:
		d.Verdict = sdk.Deny
		if d.Text == "" {
			d.Text = "refused by the rule " + r.Name
		}
		return d
	case Drop:
		d.Verdict = sdk.Drop
		return d
	default: // continue and hold
		return sdk.Next()
	}
}
