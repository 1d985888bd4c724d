package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// connect measures how many connections a second log in, and how long one
// takes. Each dialer connects, logs in, leaves politely, and begins anew.
func connect(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.fleet(t.Count)
	if err != nil {
		return nil, err
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	var made atomic.Int64
	var dialing sync.WaitGroup
	for _, p := range f.peers {
		dialing.Go(func() {
			for work.Err() == nil {
				if err := p.visit(work, &made); err != nil && work.Err() == nil {
					f.broken <- fmt.Errorf("dialer %d: %w", p.n, err)
					return
				}
			}
		})
	}
	r, err := f.duringConnects(ctx, &made, t.Seconds)
	stop()
	go func() {
		for range f.broken { // let dialers end that failed too
		}
	}()
	dialing.Wait()
	close(f.broken)
	f.leave()
	if err != nil {
		return nil, err
	}
	return []*result{r}, nil
}

// visit makes one connection.
func (p *peer) visit(ctx context.Context, made *atomic.Int64) error {
	began := time.Now()
	p.socket = socket{}
	if err := p.login(ctx, idleBuffer); err != nil {
		return err
	}
	p.fleet.latencies.Load().observe(time.Since(began))
	made.Add(1)
	return p.goodbye()
}

func (f *fleet) duringConnects(ctx context.Context, made *atomic.Int64, seconds float64) (*result, error) {
	length := time.Duration(seconds * float64(time.Second))
	if err := f.wait(ctx, time.Duration(warmth*float64(length))); err != nil {
		return nil, err
	}
	m, err := f.newMeter(made.Load())
	if err != nil {
		return nil, err
	}
	if err := f.wait(ctx, length); err != nil {
		return nil, err
	}
	return m.read(made.Load())
}

// idle measures the memory that connections take which say nothing.
func idle(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.fleet(t.Count)
	if err != nil {
		return nil, err
	}
	r, err := f.fill(ctx, t)
	return f.finish([]*result{r}, err)
}

// fill connects everybody and compares the server's memory before and after.
func (f *fleet) fill(ctx context.Context, t *task) (*result, error) {
	before, err := f.resident(ctx, t)
	if err != nil {
		return nil, err
	}
	m, err := f.newMeter(0)
	if err != nil {
		return nil, err
	}
	if err := f.connect(ctx, 0, t.Count, idleBuffer); err != nil {
		return nil, err
	}
	if err := f.settle(ctx); err != nil {
		return nil, err
	}
	r, err := m.read(int64(t.Count))
	if err != nil {
		return nil, err
	}
	if err := f.wait(ctx, time.Duration(t.Seconds*float64(time.Second))); err != nil {
		return nil, err
	}
	full, err := t.Processes.resident()
	if err != nil {
		return nil, err
	}
	r.Resident = (full - before) / float64(t.Count)
	if t.Collects {
		collected, err := f.resident(ctx, t)
		if err != nil {
			return nil, err
		}
		r.Collected = (collected - before) / float64(t.Count)
	}
	return r, nil
}

// resident returns the server's memory, after a collection where it can be
// asked for one.
func (f *fleet) resident(ctx context.Context, t *task) (float64, error) {
	if t.Collects {
		if err := f.collectGarbage(ctx, min(t.Seconds, 2)); err != nil {
			return 0, err
		}
	}
	return t.Processes.resident()
}
