package main

import (
	"context"
	"time"
)

// scenario is one way to put load on a server.
type scenario struct {
	name, doc string
	defaults  load
	threads   int    // of the generator; 1 is the cheapest where the load keeps it busy
	peers     string // generation of peers when none is asked for
	do        func(context.Context, *task) ([]*result, error)

	// members returns how many meshes, and members in each, a load needs.
	members func(load) (meshes, each int)

	brokerOnly bool // a relay cannot do it
}

// scenarios returns all of them.
func scenarios() []scenario {
	oneMesh := func(l load) (int, int) { return 1, l.Count }
	return []scenario{
		{
			name: "direct", doc: "direct messages between random peers, a window of unacknowledged ones for each",
			defaults: load{Count: 100, Window: 16, Body: 512, Seconds: 10},
			threads:  1, peers: oldPeers, do: direct, members: oneMesh,
		},
		{
			name: "open", doc: "the same at a fixed rate, whatever the server does: how long does a message take?",
			defaults: load{Count: 200, Rate: 2000, Body: 512, Seconds: 10},
			threads:  2, peers: oldPeers, do: open, members: oneMesh,
		},
		{
			name: "audit", doc: "direct messages, one at a time for each of many peers: each is an entry of the mesh's audit chain",
			defaults: load{Count: 1000, Window: 1, Body: 512, Seconds: 10},
			threads:  1, peers: oldPeers, do: direct, members: oneMesh,
		},
		{
			name: "topic", doc: "one member posts to a topic that all peers are in: what counts is each copy",
			defaults: load{Count: 100, Window: 16, Body: 512, Seconds: 10},
			threads:  1, peers: oldPeers, do: topic, members: oneMesh,
		},
		{
			name: "http", doc: "POST /v1/messages with an API key, a window of posts at a time, to peers that are connected; the relay has none",
			defaults: load{Count: 100, Window: 64, Body: 512, Seconds: 10},
			threads:  2, peers: oldPeers, do: gateway, members: oneMesh, brokerOnly: true,
		},
		{
			name: "connect", doc: "connections that log in and leave, so many dialers at a time, each in a mesh of its own",
			defaults: load{Count: 32, Seconds: 10},
			threads:  1, peers: memberPeers, do: connect, members: func(l load) (int, int) { return l.Count, 1 },
		},
		{
			name: "storm", doc: "the same in one mesh, so that each hears of the others",
			defaults: load{Count: 32, Seconds: 10},
			threads:  1, peers: memberPeers, do: connect, members: oneMesh,
		},
		{
			name: "idle", doc: "connections that say nothing: how much memory does one take?",
			defaults: load{Count: 5000, Seconds: 5},
			threads:  1, peers: oldPeers, do: idle, members: oneMesh,
		},
		{
			name: "growth", doc: "direct messages between a few, with more and more idle connections beside them",
			defaults: load{Count: 10, Window: 16, Body: 512, Sizes: []int{10, 100, 1000, 10000}, Seconds: 5},
			threads:  1, peers: oldPeers, do: growth,
			members: func(l load) (int, int) { return 1, l.Count + l.largest() },
		},
	}
}

// largest returns the largest of the sizes.
func (l load) largest() int {
	largest := 0
	for _, size := range l.Sizes {
		largest = max(largest, size)
	}
	return largest
}

// direct measures a closed loop.
func direct(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.connected(ctx)
	if err != nil {
		return nil, err
	}
	r, err := f.closed(ctx, t.Count, t.Window, t.Seconds)
	return f.finish([]*result{r}, err)
}

// connected returns the fleet of a task, ready to send.
func (t *task) connected(ctx context.Context) (*fleet, error) {
	f, err := t.fleet(t.Count)
	if err != nil {
		return nil, err
	}
	for _, p := range f.peers {
		p.arm(t.Count)
	}
	return f, f.join(ctx, t.Count)
}

// join connects the first peers, and returns when all is quiet. With an error, all
// are gone.
func (f *fleet) join(ctx context.Context, count int) error {
	err := f.connect(ctx, 0, count, busyBuffer)
	if err == nil {
		err = f.settle(ctx)
	}
	if err != nil {
		f.leave()
	}
	return err
}

// open measures an open loop.
func open(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.connected(ctx)
	if err != nil {
		return nil, err
	}
	pacing, stop := context.WithCancel(ctx)
	paced := make(chan struct{})
	go func() {
		defer close(paced)
		f.pace(pacing, t.Rate)
	}()
	r, err := f.during(ctx, t.Seconds)
	stop()
	<-paced
	if err == nil {
		err = f.drain(ctx)
	}
	return f.finish([]*result{r}, err)
}

// pace sends messages of random peers at a rate until ctx ends. It falls behind
// only when the generator's core is taken away, and catches up then.
func (f *fleet) pace(ctx context.Context, rate int) {
	gap := time.Second / time.Duration(rate)
	dice := uint64(0x9e3779b97f4a7c15)
	for due := time.Now(); ctx.Err() == nil; due = due.Add(gap) {
		if early := time.Until(due); early > 0 {
			nap(early)
		}
		f.peers[random(&dice)%uint64(len(f.peers))].send(1)
	}
}

// growth measures a closed loop of a few peers again and again, while the mesh
// grows.
func growth(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.fleet(t.Count + t.largest())
	if err != nil {
		return nil, err
	}
	for _, p := range f.peers[:t.Count] {
		p.arm(t.Count)
	}
	if err := f.connect(ctx, 0, t.Count, busyBuffer); err != nil {
		return f.finish(nil, err)
	}
	return f.finish(f.grow(ctx, t))
}

// grow connects and measures in turns.
func (f *fleet) grow(ctx context.Context, t *task) (results []*result, err error) {
	here := t.Count
	for _, size := range t.Sizes {
		if err := f.connect(ctx, here, t.Count+size, idleBuffer); err != nil {
			return nil, err
		}
		here = max(here, t.Count+size)
		if err := f.settle(ctx); err != nil {
			return nil, err
		}
		r, err := f.closed(ctx, t.Count, t.Window, t.Seconds)
		if err != nil {
			return nil, err
		}
		r.Idle = size
		results = append(results, r)
	}
	return results, nil
}

// collectGarbage asks the servers to free what they do not need, and gives them
// the time to.
func (f *fleet) collectGarbage(ctx context.Context, seconds float64) error {
	if err := f.processes.collectGarbage(); err != nil {
		return err
	}
	return f.wait(ctx, time.Duration(seconds*float64(time.Second)))
}
