package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// dialers is how many connections are made at once where their number does
	// not matter.
	dialers = 32
	// quiet is how long nothing must come before the load begins.
	quiet = 300 * time.Millisecond
	// quietTimeout bounds the wait for it.
	quietTimeout = 20 * time.Second
	// drainTimeout is how long messages may be under way after the load.
	drainTimeout = 20 * time.Second
)

// fleet is all peers of one task.
type fleet struct {
	addrs        []string // of the servers; peer n is connected to that of n modulo their number
	pairs        string   // samePairs, crossPairs, or empty
	dialect      dialect
	sessionHello bool
	bodies       *bodies
	copies       int64 // of each message that arrive
	began        time.Time
	peers        []*peer
	processes    processes

	readers sync.WaitGroup
	broken  chan error // holds the first error of a reader
	leaving atomic.Bool

	refilling atomic.Bool // a closed loop: every answer is followed by a send
	pump      *pump
	latencies atomic.Pointer[latencies]

	sent, received, accepted, denied, frames atomic.Int64

	denial atomic.Pointer[string] // the first refusal
}

// now is the clock of stamps.
func (f *fleet) now() int64 { return int64(time.Since(f.began)) }

// addr returns the address of the server of peer n.
func (f *fleet) addr(n int) string { return f.addrs[n%len(f.addrs)] }

// paired reports whether one peer sends to another.
func (f *fleet) paired(from, to int) bool {
	if f.pairs == "" {
		return true
	}
	same := from%len(f.addrs) == to%len(f.addrs)
	return same == (f.pairs == samePairs)
}

// refused notes a refusal.
func (f *fleet) refused(frame []byte) {
	f.denied.Add(1)
	if f.denial.Load() == nil {
		f.denial.Store(new(string(frame)))
	}
}

// connect logs in the peers from the first up to, not including, the last, and
// starts their readers.
func (f *fleet) connect(ctx context.Context, first, last, buffer int) error {
	next := atomic.Int64{}
	next.Store(int64(first))
	errs := make([]error, dialers)
	var dialing sync.WaitGroup
	for i := range errs {
		dialing.Go(func() {
			for n := next.Add(1) - 1; n < int64(last) && errs[i] == nil; n = next.Add(1) - 1 {
				errs[i] = f.start(ctx, f.peers[n], buffer)
			}
		})
	}
	dialing.Wait()
	return errors.Join(errs...)
}

// start logs one peer in and reads for it from then on.
func (f *fleet) start(ctx context.Context, p *peer, buffer int) error {
	if err := p.login(ctx, buffer); err != nil {
		return fmt.Errorf("peer %d: %w", p.n, err)
	}
	f.readers.Go(func() {
		if err := p.read(); !p.ended(err) {
			select {
			case f.broken <- fmt.Errorf("peer %d: %w", p.n, err):
			default:
			}
		}
	})
	return nil
}

// leave ends all connections.
func (f *fleet) leave() {
	f.leaving.Store(true)
	for _, p := range f.peers {
		if p.conn != nil {
			_ = p.conn.Close()
		}
	}
	f.readers.Wait()
	f.pump.stop()
}

// wait waits, or returns why it makes no sense to wait longer.
func (f *fleet) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-f.broken:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until nothing comes any more, such as news of peers that join.
func (f *fleet) settle(ctx context.Context) error {
	for deadline := time.Now().Add(quietTimeout); time.Now().Before(deadline); {
		before := f.frames.Load()
		if err := f.wait(ctx, quiet); err != nil {
			return err
		}
		if f.frames.Load() == before {
			return nil
		}
	}
	return nil
}

// drain ends the load and waits until everything that was sent has come to its
// end.
func (f *fleet) drain(ctx context.Context) error {
	f.refilling.Store(false)
	for deadline := time.Now().Add(drainTimeout); time.Now().Before(deadline); {
		if err := f.wait(ctx, 10*roundTrip); err != nil { // the pump may be about to send
			return err
		}
		if f.done() {
			return nil
		}
	}
	return nil
}

// done reports whether nothing is under way.
func (f *fleet) done() bool {
	sent, denied := f.sent.Load(), f.denied.Load()
	if f.dialect.acks() && f.accepted.Load()+denied < sent {
		return false
	}
	return f.received.Load() >= (sent-denied)*f.copies
}

// faults adds up what went wrong. The readers must have ended.
func (f *fleet) faults() faults {
	var sum faults
	for _, p := range f.peers {
		sum.add(p.faults)
	}
	sum.Refused = f.denied.Load()
	sum.Lost = max(0, (f.sent.Load()-f.denied.Load())*f.copies-f.received.Load()-sum.Corrupt)
	return sum
}
