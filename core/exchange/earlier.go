package exchange

import (
	"errors"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
)

// errAwaits says that a repetition was submitted again, behind what it repeats.
var errAwaits = errors.New("the first one is still on its way to the disk")

// await returns how the transaction of a repetition ended, given how the one that
// it came into did: a repetition is on disk when what it repeats is. Where that is
// still to come, the work is submitted again, and the error is errAwaits. first is
// nil for what repeats nothing.
func (x *Exchange) await(first *delivery.Earlier, w commit.Work, err error) error {
	if first == nil || err != nil {
		return err
	}
	switch settled, failed := first.State(); {
	case failed:
		return store.ErrClosed
	case !settled:
		x.committer.Submit(w)
		return errAwaits
	default:
		return nil
	}
}
