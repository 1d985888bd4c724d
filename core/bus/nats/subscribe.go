package nats

import (
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/claudemesh/broker/core/bus"
)

// Subscribe implements [bus.Bus].
func (b *Bus) Subscribe(subject string, f func(data []byte)) (cancel func()) {
	if !bus.ValidSubject(subject) || !b.enter(subject) {
		return func() {}
	}
	remove := b.table.Add(subject, f)
	if b.Up() {
		b.flush()
	}
	return sync.OnceFunc(func() {
		remove()
		b.leave(subject)
	})
}

// enter makes sure that the server sends us the subject, unless the bus is
// closed. While the bus is away the library keeps the subscription for later.
func (b *Bus) enter(subject string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.subs[subject]; s != nil {
		s.listeners++
		return true
	}
	sub, err := b.nc.ChanSubscribe(b.opts.Prefix+"."+subject, b.in)
	if err != nil {
		b.opts.Log.Debug("bus subscribe", "subject", subject, "err", err)
		return false // closed: there is no other way to fail
	}
	b.subs[subject] = &subscription{sub: sub, listeners: 1}
	return true
}

func (b *Bus) leave(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subs[subject]
	if s.listeners--; s.listeners > 0 {
		return
	}
	delete(b.subs, subject)
	delete(b.slow, s.sub)
	if err := s.sub.Unsubscribe(); err != nil {
		b.opts.Log.Debug("bus unsubscribe", "subject", subject, "err", err)
	}
}

// noteSlow remembers a subscription that has lost messages because too many
// were unread. The library tells of the first one only, until the subscription
// has a message again, so the rest is found by recountSlow.
func (b *Bus) noteSlow(sub *nats.Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sub != nil {
		b.slow[sub], _ = sub.Dropped() // its error says that the subscription is over
	}
	b.tellLost()
}

// recountSlow tells of a loss when a slow subscription has lost more.
func (b *Bus) recountSlow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for sub, told := range b.slow {
		dropped, err := sub.Dropped()
		switch {
		case err != nil:
			delete(b.slow, sub)
		case dropped > told:
			b.slow[sub] = dropped
			b.tellLost()
		}
	}
}
