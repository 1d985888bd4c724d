package api

import (
	"fmt"
	"testing"
	"time"
)

// Whoever begins too many keeps others out as late as can be: an address its
// region, fifteen regions the others, and nobody this machine.
func TestBegunHoldsBackInTurn(t *testing.T) {
	now := time.Now()
	b := newBegun(now)
	flood := func(local bool, address string) (begun int) {
		for {
			if _, ok := b.take(address, local, now); !ok {
				return begun
			}
			begun++
		}
	}
	if n := flood(false, "192.0.2.1"); n != begunPerAddress {
		t.Errorf("one address began %d", n)
	}
	for _, tt := range []struct{ one, other string }{
		{"198.51.0.%d", "198.52.0.1"},
		{"2001:db8:0:%x::1", "2001:db9::1"},
	} {
		sum := 0
		for i := range 20 {
			sum += flood(false, fmt.Sprintf(tt.one, i))
		}
		if sum != begunPerRegion {
			t.Errorf("the addresses %s began %d", tt.one, sum)
		}
		if n := flood(false, tt.other); n != begunPerAddress {
			t.Errorf("%s began %d", tt.other, n)
		}
	}
	for i := range 40 {
		for j := range 10 {
			flood(false, fmt.Sprintf("10.%d.0.%d", i, j))
		}
	}
	wait, ok := b.take("172.16.0.1", false, now)
	if ok || wait <= 0 {
		t.Errorf("all networks together: %v, %v", wait, ok)
	}
	if n := flood(true, "127.0.0.1"); n != begunHere {
		t.Errorf("this machine began %d", n)
	}
	now = now.Add(signInTTL)
	if n := flood(false, "172.16.0.1"); n != begunPerAddress {
		t.Errorf("five minutes later an address began %d", n)
	}
}
