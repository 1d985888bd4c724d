package relay

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/presence"
)

// put asks a session of this node.
func (r *Relay) put(l letter, conn presence.Conn) {
	o := &open{letter: l, conn: conn, since: time.Now()}
	o.Frame = nil
	r.mu.Lock()
	theirs := r.open[l.Asked]
	if crowded(theirs, l.Member) || conn.Full(len(l.Frame)) {
		r.mu.Unlock()
		r.refuse(&l, Busy)
		return
	}
	if theirs == nil {
		theirs = map[string]*open{}
		r.open[l.Asked] = theirs
	}
	theirs[l.Call] = o
	o.timer = time.AfterFunc(l.Within, func() { r.close(l.Asked, l.Call) })
	r.mu.Unlock()
	if !conn.Send(l.Frame) && r.close(l.Asked, l.Call) {
		r.refuse(&l, Away)
	}
}

// crowded reports whether a session has too many questions for another one of a
// member.
func crowded(theirs map[string]*open, member string) bool {
	from := 0
	for _, o := range theirs {
		if o.Member == member {
			from++
		}
	}
	return len(theirs) >= mostAsked || from >= mostFrom
}

// close ends a question where it has to be answered, and reports whether it was
// open.
func (r *Relay) close(asked, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.open[asked][id]
	if o == nil {
		return false
	}
	r.closeLocked(o)
	return true
}

func (r *Relay) closeLocked(o *open) {
	o.timer.Stop()
	delete(r.open[o.Asked], o.Call)
	if len(r.open[o.Asked]) == 0 {
		delete(r.open, o.Asked)
	}
}

// refuse tells whoever asked that there is no answer.
func (r *Relay) refuse(l *letter, why Why) {
	if l.Node == "" {
		r.fail(l.Asker, l.Call, why)
		return
	}
	r.post(l.Node, letter{Op: opFail, Call: l.Call, Asker: l.Asker, Why: why})
}

// Reply is what a session answers.
type Reply struct {
	Mesh  string
	Asked string        // presence id of the session that answers
	Conn  presence.Conn // that it answers over
	ID    string        // that the question came with; "" takes the oldest with the hint
	Kind  string
	Hint  string

	// Frame returns what the session that asked gets, with its own id of the
	// request.
	Frame func(reqID jsontext.Value) ([]byte, error)
}

// Answer passes an answer on. Only the session that was asked can answer, only over
// the connection that it was asked over, and only once. ErrNotAsked.
func (r *Relay) Answer(a *Reply) error {
	r.mu.Lock()
	o := r.findLocked(a)
	if o == nil {
		r.mu.Unlock()
		return ErrNotAsked
	}
	r.closeLocked(o)
	r.mu.Unlock()
	frame, err := a.Frame(o.ReqID)
	if err != nil {
		r.refuse(&o.letter, Illegible)
		return err
	}
	if o.Node == "" {
		r.deliver(o.Asker, o.Call, frame)
		return nil
	}
	r.send(&sending{letter: o.letter, frame: frame, ends: o.since.Add(o.Within)})
	return nil
}

// findLocked returns the question that an answer is for; nil for none.
func (r *Relay) findLocked(a *Reply) *open {
	var found *open
	if a.ID != "" {
		found = r.open[a.Asked][a.ID]
	} else {
		for _, o := range r.open[a.Asked] {
			if o.Kind == a.Kind && o.Hint == a.Hint && (found == nil || o.since.Before(found.since)) {
				found = o
			}
		}
	}
	if found == nil || found.Kind != a.Kind || found.Mesh != a.Mesh || found.conn != a.Conn {
		return nil
	}
	return found
}

// Spoil ends a question whose answer cannot be read.
func (r *Relay) Spoil(presenceID, id string, conn presence.Conn) {
	r.mu.Lock()
	o := r.open[presenceID][id]
	if o == nil || o.conn != conn {
		r.mu.Unlock()
		return
	}
	r.closeLocked(o)
	r.mu.Unlock()
	r.refuse(&o.letter, Illegible)
}
