package conform

import (
	"fmt"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Verdicts as they cross the boundary.
const (
	verdictFailed = 0
	verdictDeny   = 2
	verdictDrop   = 3
)

// check returns what is wrong with the answer to a batch. The broker treats each
// of these as a failure of the stage, and most as a broken plugin.
func (t *talk) check(b *pluginpb.Batch, v *pluginpb.Verdicts) error {
	n := len(b.GetEnvelopes())
	about := fmt.Sprintf("the answer to a batch of %d", n)
	switch {
	case v.GetSeq() != b.GetSeq():
		return fmt.Errorf("%s has the seq %d, the batch had %d", about, v.GetSeq(), b.GetSeq())
	case v.GetCount() != uint32(n):
		return fmt.Errorf("%s has the count %d: count has to be the number of envelopes", about, v.GetCount())
	case v.GetDefaultVerdict() < 1 || v.GetDefaultVerdict() > verdictDrop:
		return fmt.Errorf("%s has the default verdict %d: it has to be 1 continue, 2 deny or 3 drop", about, v.GetDefaultVerdict())
	case v.GetDefaultVerdict() == verdictDrop && !t.granted("verdict.drop"):
		return fmt.Errorf("%s drops, which needs the capability verdict.drop: name it in Describe", about)
	}
	seen := make(map[uint32]bool)
	for _, e := range v.GetExceptions() {
		if i := e.GetIndex(); i >= uint32(n) || seen[i] {
			return fmt.Errorf("%s has an exception for envelope %d, which there is not, or has two", about, i)
		}
		seen[e.GetIndex()] = true
		if err := t.checkOne(e); err != nil {
			return fmt.Errorf("%s, envelope %d (%s): %w", about, e.GetIndex(), b.GetEnvelopes()[e.GetIndex()].GetKind(), err)
		}
	}
	return nil
}

func (t *talk) checkOne(e *pluginpb.Verdict) error {
	lacks := func(what, capability string) error {
		return fmt.Errorf("it %s, which needs the capability %s: name it in Describe, and grant it", what, capability)
	}
	switch {
	case e.GetVerdict() == verdictFailed:
		return fmt.Errorf("the stage failed: %q; the link's on_failure would decide", e.GetError())
	case e.GetVerdict() > verdictDrop:
		return fmt.Errorf("the verdict is %d, which there is not", e.GetVerdict())
	case e.GetVerdict() == verdictDeny && e.GetReason() == "":
		return fmt.Errorf("it is denied without a reason: give a machine word, as in office_hours")
	case e.GetVerdict() == verdictDrop && !t.granted("verdict.drop"):
		return lacks("drops", "verdict.drop")
	case len(e.GetLeaveOut()) > 0 && !t.granted("audience.read"):
		return lacks("leaves out recipients", "audience.read")
	case e.GetSetPriority() > 0 && !t.granted("priority.write"):
		return lacks("changes the priority", "priority.write")
	case e.GetHoldUntilNanos() != 0 && !t.granted("delivery.hold"):
		return lacks("holds a message back", "delivery.hold")
	}
	return nil
}

func (t *talk) granted(capability string) bool { return has(t.s.Link.Plugin.Grants, capability) }
