package main

import "context"

// topicTarget is what everybody in a mesh is in; the relay takes it for everybody.
const topicTarget = "#general"

// topic measures a closed loop of one member that posts to a topic of all peers. What
// counts is each copy that arrives.
func topic(ctx context.Context, t *task) ([]*result, error) {
	f, err := t.fleet(t.Count)
	if err != nil {
		return nil, err
	}
	f.copies = int64(t.Count - 1)
	for _, p := range f.peers {
		p.ledger = newLedger(1)
	}
	f.peers[0].armTopic()
	if err := f.join(ctx, t.Count); err != nil {
		return nil, err
	}
	r, err := f.closed(ctx, 1, t.Window, t.Seconds)
	return f.finish([]*result{r}, err)
}

// armTopic makes the peer one that sends to all others at once.
func (p *peer) armTopic() {
	p.message = p.fleet.dialect.template(p.key, p.n, p.fleet.bodies.size, topicTarget)
	p.toAll, p.sent = true, make([]uint32, 1)
}

// opens reports whether a message that this peer has got opens its sender's window,
// where the server acknowledges nothing: of a message to all, one peer's does.
func (p *peer) opens() bool { return p.fleet.copies == 1 || p.n == 1 }
