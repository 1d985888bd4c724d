package sdk_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk"
)

func TestHoldKeepsTheLaterTime(t *testing.T) {
	at := time.Date(2026, 8, 1, 9, 0, 0, 0, time.UTC)
	var e sdk.Envelope
	for _, step := range []struct{ hold, want time.Time }{
		{time.Time{}, time.Time{}},
		{at, at},
		{at.Add(-time.Hour), at},
		{time.Time{}, at},
		{at.Add(time.Hour), at.Add(time.Hour)},
	} {
		e.Hold(step.hold)
		if !e.HoldUntil.Equal(step.want) {
			t.Errorf("after a hold until %v: got %v, want %v", step.hold, e.HoldUntil, step.want)
		}
	}
	e.Reset()
	if !e.HoldUntil.IsZero() {
		t.Error("a reset kept the hold")
	}
}
