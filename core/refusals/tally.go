package refusals

import (
	"strings"

	"github.com/claudemesh/broker/sdk"
)

// maxPairs is how many pairs of a stage and a reason are told apart. Stages are
// those of the config, but a plugin may make up reasons.
const maxPairs = 256

// reasonOther stands for the reasons of a stage beyond maxPairs.
const reasonOther sdk.Reason = "other"

// pair is what a tally counts by.
type pair struct {
	stage  string
	reason sdk.Reason
}

// tally counts refusals since the start.
type tally map[pair]*uint64

func (t tally) add(stage string, reason sdk.Reason) {
	n := t[pair{stage, reason}]
	if n == nil {
		n = t.begin(stage, reason)
	}
	*n++
}

// begin adds a pair with copies of its texts, or finds the one for what is too
// much. Stages beyond twice the bound share one, too.
func (t tally) begin(stage string, reason sdk.Reason) *uint64 {
	p := pair{strings.Clone(cut(stage)), sdk.Reason(strings.Clone(cut(string(reason))))}
	if len(t) >= maxPairs {
		p.reason = reasonOther
	}
	if len(t) >= 2*maxPairs {
		p.stage = ""
	}
	if t[p] == nil {
		t[p] = new(uint64)
	}
	return t[p]
}

// cut returns what of a text has room in a slot.
func cut(s string) string {
	var w word
	w.set(s)
	return s[:w.n]
}

func (t tally) list() []Count {
	list := make([]Count, 0, len(t))
	for p, n := range t {
		list = append(list, Count{p.stage, p.reason, *n})
	}
	return list
}
