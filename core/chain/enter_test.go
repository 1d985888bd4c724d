package chain

import "testing"

// The moment between reading the chain and being counted in it is too short for
// a test to hit, so this one stops the clock there.
func TestEnterOfAChainThatWasSwappedOut(t *testing.T) {
	h, next := NewHolder(), closedChain(newMeters())
	old := h.current.Load()
	if err := h.Swap(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if h.enter(old, 1) || old.inside.inside() != 0 {
		t.Errorf("an envelope got into a chain that was stopped; %d inside", old.inside.inside())
	}
	if c := h.Enter(1); c != next || next.inside.inside() != 1 {
		t.Errorf("an envelope did not get into the chain that runs; %d inside", next.inside.inside())
	}
}
