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
	p := pair{cut(stage, roomWord), sdk.Reason(cut(string(reason), roomWord))}
	n := t[p]
	if n == nil {
		n = t.begin(p)
	}
	*n++
}

// begin adds a pair with copies of its texts, or finds the one for what is too
// much: beyond the bound a stage has one for all its other reasons, and beyond
// twice the bound all stages have.
func (t tally) begin(p pair) *uint64 {
	if len(t) >= maxPairs {
		p.reason = reasonOther
	}
	if len(t) >= 2*maxPairs {
		p.stage = ""
	}
	n := t[p]
	if n == nil {
		n = new(uint64)
		t[pair{strings.Clone(p.stage), sdk.Reason(strings.Clone(string(p.reason)))}] = n
	}
	return n
}

func (t tally) list() []Count {
	list := make([]Count, 0, len(t))
	for p, n := range t {
		list = append(list, Count{p.stage, p.reason, *n})
	}
	return list
}
