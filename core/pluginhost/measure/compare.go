package measure

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Series is what is compared: every target under every load.
type Series struct {
	Targets []Target
	Loads   []Load
	Rounds  int // each load lasts so many times as long as it says
	Env     func(caller int) *sdk.Envelope
}

// Compare measures in rounds, in each of which every target has its turn, so
// that what else the machine does at a time falls on all of them. It returns
// the medians of the rounds, by load and then by target, and calls after at the
// end of each round.
//
// CPU time that a system counts in steps is exact to a step a round.
func Compare(ctx context.Context, s Series, after func(round int)) ([]Result, error) {
	found := make([][]Result, len(s.Loads)*len(s.Targets))
	for round := range s.Rounds {
		for i := range found {
			load, target := s.Loads[i/len(s.Targets)], s.Targets[i%len(s.Targets)]
			r, err := Run(ctx, target, load, s.Env)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", target.Name, load.Name, err)
			}
			found[i] = append(found[i], r)
		}
		after(round + 1)
	}
	medians := make([]Result, len(found))
	for i, rounds := range found {
		medians[i] = medianOf(rounds)
	}
	return medians, nil
}

// medianOf returns the median of each figure; what is counted is added up.
func medianOf(rounds []Result) Result {
	m := Result{
		Target: rounds[0].Target, Load: rounds[0].Load,
		PerSecond: median(rounds, func(r Result) float64 { return r.PerSecond }),
		P50:       median(rounds, func(r Result) time.Duration { return r.P50 }),
		P99:       median(rounds, func(r Result) time.Duration { return r.P99 }),
		CPU:       median(rounds, func(r Result) time.Duration { return r.CPU }),
		Allocs:    median(rounds, func(r Result) float64 { return r.Allocs }),
	}
	for _, r := range rounds {
		m.Envelopes += r.Envelopes
		m.Failed += r.Failed
	}
	return m
}

func median[T cmp.Ordered](rounds []Result, figure func(Result) T) T {
	values := make([]T, len(rounds))
	for i, r := range rounds {
		values[i] = figure(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
