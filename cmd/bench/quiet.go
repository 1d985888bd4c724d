package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// tries is how often a trial is repeated that others disturbed.
	tries = 8
	// listening is how long others must be quiet before a trial.
	listening = time.Second
	// patience bounds the wait for it.
	patience = 2 * time.Minute
)

// undisturbed measures a trial until others had no more of the cores than the
// plan allows, and returns the least disturbed results.
func (p *plan) undisturbed(ctx context.Context, t trial) (best []*result, err error) {
	for range tries {
		if err := p.awaitQuiet(ctx); err != nil {
			return nil, err
		}
		limited, cancel := context.WithTimeout(ctx, t.timeout())
		results, err := p.measure(limited, t)
		cancel()
		if err != nil {
			return nil, err
		}
		if best == nil || others(results) < others(best) {
			best = results
		}
		if p.others <= 0 || others(best) <= p.others {
			break
		}
		fmt.Fprintf(p.errs, "  others had %.2f cores meanwhile: again\n", others(results))
	}
	return best, nil
}

// others returns how many cores others had during the most disturbed part.
func others(results []*result) (most float64) {
	for _, r := range results {
		most = max(most, r.OthersBusy)
	}
	return most
}

// awaitQuiet returns when the machine has little to do, or when it does not
// come to rest.
func (p *plan) awaitQuiet(ctx context.Context) error {
	if p.others <= 0 {
		return nil
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		before := machineCPU()
		select {
		case <-time.After(listening):
		case <-ctx.Done():
			return ctx.Err()
		}
		if float64(machineCPU()-before)/float64(listening) <= p.others {
			return nil
		}
	}
	return nil
}
