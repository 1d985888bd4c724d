package plugin

import (
	"log/slog"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// outcomes is an Outcomes on its way to the observer.
type outcomes struct {
	pb *pluginpb.Outcomes
	to observedBy
}

// observedBy is told when the observer has seen outcomes.
type observedBy interface{ observed(o *outcomes) }

// tell hands outcomes to the observer and never waits for it.
func (in *instance) tell(pb *pluginpb.Outcomes, to observedBy) error {
	o := &outcomes{pb: pb, to: to}
	in.mu.Lock()
	if in.held+len(pb.Outcomes) > mostHeld {
		in.mu.Unlock()
		return errTooMany
	}
	in.held += len(pb.Outcomes)
	in.mu.Unlock()
	if in.observer == nil || !in.outcomes.put(o) {
		to.observed(o)
	}
	return nil
}

// observe gives the observer its outcomes, one at a time and in order.
func (in *instance) observe() {
	var v view
	for {
		o, ok := in.outcomes.take()
		if !ok {
			return
		}
		if o.pb.Missed > 0 {
			in.missed(o.pb.Missed)
		}
		for _, outcome := range o.pb.Outcomes {
			if in.ctx.Err() != nil {
				break // abandoned
			}
			in.done(&v, outcome)
		}
		o.to.observed(o)
	}
}

// missed is Missed, with a panic contained. What nobody wants to know is logged.
func (in *instance) missed(n uint64) {
	defer func() {
		if r := recover(); r != nil {
			_ = in.service.panicked(in.ctx, "Missed", in, r)
		}
	}()
	if m, ok := in.observer.(sdk.MissedObserver); ok {
		m.Missed(n)
		return
	}
	in.service.log.WarnContext(in.ctx, "outcomes were left out, since the stage is behind",
		slog.String("stage", in.stage), slog.Uint64("missed", n))
}

// done is Done, with a panic contained.
func (in *instance) done(v *view, pb *pluginpb.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			_ = in.service.panicked(in.ctx, "Done", in, r)
		}
	}()
	if pb.Envelope == nil {
		return
	}
	in.observer.Done(v.show(pb.Envelope, rights{}), sdk.Outcome{
		Decision: sdk.Decision{Verdict: sdk.Verdict(pb.Verdict), Reason: sdk.Reason(pb.Reason)},
		Stage:    pb.Stage,
		Took:     time.Duration(pb.TookNanos), Settled: time.Duration(pb.SettledNanos),
		Recipients: int(pb.Recipients), Pushed: int(pb.Pushed), Queued: int(pb.Queued),
	})
}

// countOut counts outcomes out that were seen or given up.
func (in *instance) countOut(o *outcomes) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.countOutLocked(len(o.pb.Outcomes))
}
