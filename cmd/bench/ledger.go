package main

// faults are what must not happen to messages.
type faults struct {
	Lost       int64 `json:"lost"`       // acknowledged, or sent where nothing is, and never received
	Duplicated int64 `json:"duplicated"` // received again
	Reordered  int64 `json:"reordered"`  // received before an older one of the same sender
	Corrupt    int64 `json:"corrupt"`    // received, but not as sent
	Refused    int64 `json:"refused"`    // not acknowledged
}

func (f *faults) add(o faults) {
	f.Lost += o.Lost
	f.Duplicated += o.Duplicated
	f.Reordered += o.Reordered
	f.Corrupt += o.Corrupt
	f.Refused += o.Refused
}

// total returns the number of all faults.
func (f faults) total() int64 { return f.Lost + f.Duplicated + f.Reordered + f.Corrupt + f.Refused }

// ledger checks what one recipient gets: from each sender the numbers 0, 1, 2,
// … in this order.
type ledger struct {
	due     []uint32           // by sender: the next number
	skipped map[[2]uint32]bool // sender and number that were passed over so far
	faults
}

func newLedger(senders int) ledger {
	return ledger{due: make([]uint32, senders), skipped: map[[2]uint32]bool{}}
}

// enter takes one message and reports whether it is new.
func (l *ledger) enter(from, seq uint32) bool {
	if int(from) >= len(l.due) {
		l.Corrupt++
		return false
	}
	due := l.due[from]
	switch {
	case seq == due:
		l.due[from]++
		return true
	case seq > due:
		l.Reordered++
		for n := due; n < seq; n++ {
			l.skipped[[2]uint32{from, n}] = true
		}
		l.due[from] = seq + 1
		return true
	case l.skipped[[2]uint32{from, seq}]:
		delete(l.skipped, [2]uint32{from, seq})
		return true
	default:
		l.Duplicated++
		return false
	}
}
