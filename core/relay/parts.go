package relay

import (
	"slices"
	"time"
)

const (
	// partBytes is how much of an answer goes into one letter: with base64 and the
	// names around it well below what a bus carries.
	partBytes = 128 << 10

	// mostSending is how many answers with several parts are on their way to one
	// other node at the same time, one part of each: a bus is for what is short, and
	// what it has no room for it drops, whoever it is of. A node that has died takes
	// nothing from the others.
	mostSending = 4

	// mostAnswer bounds what is put together of an answer. No frame is longer.
	mostAnswer = 64 << 20
)

// sending is an answer on its way to another node, one part at a time.
type sending struct {
	letter
	frame  []byte
	sent   int // bytes that were posted
	begun  bool
	ends   time.Time
	expiry *time.Timer
}

// send sends an answer to the node of whoever asked. One that fits into a letter
// goes at once; others take turns.
func (r *Relay) send(s *sending) {
	if len(s.frame) <= partBytes {
		r.post(s.Node, s.next())
		return
	}
	r.mu.Lock()
	busy, ready := r.giveWayLocked(s)
	if r.roomLocked(s.Member, len(s.frame)) && r.unsentLocked(s.Asked)+len(s.frame) <= mostOfOne {
		r.holdLocked(s.Member, len(s.frame))
		r.queue = append(r.queue, s)
		s.expiry = time.AfterFunc(time.Until(s.ends), func() { r.unsend(s.Call) })
		ready = append(ready, r.readyLocked()...)
	} else {
		busy = append(busy, s)
	}
	r.mu.Unlock()
	r.postAll(ready)
	for _, s := range busy {
		r.refuse(&s.letter, Busy)
	}
}

// unsentLocked returns how many bytes of a session's answers wait for other nodes.
func (r *Relay) unsentLocked(asked string) (bytes int) {
	for _, s := range r.queue {
		if s.Asked == asked {
			bytes += len(s.frame)
		}
	}
	return bytes
}

// readyLocked begins answers that have got their turn, and returns their first
// parts.
func (r *Relay) readyLocked() (parts []letter) {
	for s := r.turnLocked(); s != nil; s = r.turnLocked() {
		s.begun = true
		r.sending[s.Node]++
		parts = append(parts, s.next())
	}
	return parts
}

func (r *Relay) postAll(parts []letter) {
	for _, l := range parts {
		r.post(l.Node, l)
	}
}

// next returns the next part, addressed to the node of whoever asked.
func (s *sending) next() letter {
	at := s.sent
	s.sent = min(at+partBytes, len(s.frame))
	return letter{Op: opPart, Call: s.Call, Asker: s.Asker, Node: s.Node, At: at, Total: len(s.frame), Frame: s.frame[at:s.sent]}
}

// more sends the part behind one that has come.
func (r *Relay) more(l letter) {
	r.mu.Lock()
	i := slices.IndexFunc(r.queue, func(s *sending) bool { return s.Call == l.Call })
	if i < 0 || r.queue[i].sent != l.At {
		r.mu.Unlock()
		return
	}
	parts := []letter{r.queue[i].next()}
	if r.queue[i].sent == len(r.queue[i].frame) {
		parts = append(parts, r.dropLocked(i)...)
	}
	r.mu.Unlock()
	r.postAll(parts)
}

// unsend forgets an answer that is on its way.
func (r *Relay) unsend(id string) {
	r.mu.Lock()
	var parts []letter
	if i := slices.IndexFunc(r.queue, func(s *sending) bool { return s.Call == id }); i >= 0 {
		parts = r.dropLocked(i)
	}
	r.mu.Unlock()
	r.postAll(parts)
}

// dropLocked ends the way of an answer, and returns what goes in its place.
func (r *Relay) dropLocked(i int) []letter {
	s := r.queue[i]
	s.expiry.Stop()
	r.holdLocked(s.Member, -len(s.frame))
	if s.begun {
		r.sending[s.Node]--
	}
	if r.sending[s.Node] == 0 {
		delete(r.sending, s.Node)
	}
	r.queue = slices.Delete(r.queue, i, i+1)
	return r.readyLocked()
}

// join takes a part of an answer, and asks for the next one.
func (r *Relay) join(l letter) {
	r.mu.Lock()
	w := r.waiting[l.Asker][l.Call]
	if w == nil || w.answer != nil {
		r.mu.Unlock()
		return
	}
	end := l.At + len(l.Frame)
	if l.At != len(w.parts) || end > l.Total || l.Total > mostAnswer || len(l.Frame) == 0 {
		r.mu.Unlock()
		r.fail(l.Asker, l.Call, Lost)
		r.giveUp(w)
		return
	}
	w.parts = append(w.parts, l.Frame...)
	whole := w.parts
	node, asked := w.node, w.Asked
	r.mu.Unlock()
	if end == l.Total {
		r.deliver(l.Asker, l.Call, whole)
		return
	}
	r.post(node, letter{Op: opMore, Call: l.Call, Asked: asked, At: end})
}
