// Package sdktest holds the rules that every stage keeps, built in or plugged
// in, as tests.
//
//	func TestStage(t *testing.T) {
//		sdktest.Run(t, func() sdk.Stage { return office.New(hours) })
//	}
//
// Run it with -race: half of the rules are about what happens at the same time.
package sdktest

import (
	"testing"

	"github.com/claudemesh/broker/sdk"
)

// Run checks that the stages that newStage makes keep the rules of [sdk.Stage].
// Every rule is a subtest and gets stages of its own.
//
// The stage is shown envelopes that its Kinds and its Match accept, from senders
// known and unknown, to targets of each form. Their body is nil. A stage that looks
// into the body, or that does something else of interest with an envelope of
// the caller's own, is given it by one of more; each call makes a new envelope.
func Run(t *testing.T, newStage func() sdk.Stage, more ...func() *sdk.Envelope) {
	t.Helper()
	s := suite{newStage: newStage, more: more}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, broken := range r.check(s) {
				t.Error(broken)
			}
		})
	}
}

// RunObserver is [Run] for what only observes: the type has no Handle, as one that
// plugin.DefineObserver takes.
func RunObserver(t *testing.T, newObserver func() sdk.Observer, more ...func() *sdk.Envelope) {
	t.Helper()
	Run(t, func() sdk.Stage { return observing{newObserver()} }, more...)
}

// suite is what the rules are checked with.
type suite struct {
	newStage func() sdk.Stage
	more     []func() *sdk.Envelope
}

// rule is one thing that every stage does. check returns what it found broken.
type rule struct {
	name  string
	check func(suite) []string
}

var rules = []rule{
	{"it names the kinds that it wants", suite.kinds},
	{"it decides about every envelope", suite.decides},
	{"it leaves alone what an envelope is", suite.leavesAlone},
	{"it returns when its context ends", suite.heedsContext},
	{"it works for 32 goroutines at once", suite.concurrent},
	{"it keeps nothing of an envelope", suite.keepsNothing},
	{"it starts, works and stops", suite.lives},
	{"it stops although it never started", suite.stopsUnstarted},
}
