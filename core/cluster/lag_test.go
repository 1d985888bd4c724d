package cluster

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

func TestReadWake(t *testing.T) {
	tests := []struct {
		name, in string
		want     sdk.Priority
		sent     int64
	}{
		{"one of this release", string(appendWake(nil, sdk.PriorityLow, 1763895000000000)), sdk.PriorityLow, 1763895000000000},
		{"one of an older release", "1", sdk.PriorityNext, 0},
		{"one of a later release", "1 1763895000000000 more", sdk.PriorityNow, 0},
		{"an unknown priority", "71763895000000000", sdk.PriorityNow, 0},
		{"nothing", "", sdk.PriorityNow, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if p, sent := readWake([]byte(tt.in)); p != tt.want || sent != tt.sent {
				t.Errorf("got %v sent at %d, want %v sent at %d", p, sent, tt.want, tt.sent)
			}
		})
	}
}

func TestLate(t *testing.T) {
	n := new(Node)
	n.late(0) // of an older release
	n.late(time.Now().Add(-time.Minute).UnixMicro())
	n.late(time.Now().Add(time.Hour).UnixMicro()) // of a clock that is ahead
	s := n.Counters.Lag.Series(time.Second)
	if s.Count != 2 || s.Sum < 60 || s.Sum > 600 {
		t.Errorf("counted %d messages that were %v s late in all, want 2 and a minute", s.Count, s.Sum)
	}
}
