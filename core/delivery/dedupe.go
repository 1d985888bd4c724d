package delivery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/claudemesh/broker/core/store"
)

// ErrFingerprint is returned by [Engine.Earlier] when a client_message_id comes
// back with another content.
var ErrFingerprint = errors.New("the same client_message_id was used for another message")

// Earlier is a send that was accepted before under the same client_message_id.
type Earlier struct {
	id   string
	open *send // nil: on disk already
}

// State tells how the earlier send stands: settled means that it is on disk and
// that its id may be acknowledged again; failed that it was refused after all.
// Neither means that its transaction is still to come.
func (x *Earlier) State() (settled, failed bool) {
	if x.open == nil {
		return true, false
	}
	switch x.open.fate.Load() {
	case fateSettled:
		return true, false
	case fateFailed:
		return false, true
	}
	return false, false
}

// MessageID returns the id that the earlier send got. It is known when the
// send is settled.
func (x *Earlier) MessageID() string {
	if x.open != nil {
		if id := x.open.id.Load(); id != nil {
			return *id
		}
	}
	return x.id
}

// Earlier finds out whether a member has sent this client_message_id before. It
// returns nil when it has not; the id is then reserved for the caller, who must
// hand the next message with it to [Engine.Accept], or call [Engine.Release].
// ErrFingerprint: it has, with another fingerprint.
func (e *Engine) Earlier(ctx context.Context, mesh, memberID, id, fingerprint string) (*Earlier, error) {
	key := sendKey{mesh, memberID, id}
	if open := e.sends.reserve(key, fingerprint); open != nil {
		return e.duplicate(&Earlier{open: open}, open.fingerprint, fingerprint)
	}
	old, err := e.queue.FindSent(ctx, mesh, memberID, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	e.sends.release(key)
	if err != nil {
		return nil, err
	}
	return e.duplicate(&Earlier{id: old.MessageID}, old.Fingerprint, fingerprint)
}

// Release gives up an id that Earlier has reserved.
func (e *Engine) Release(mesh, memberID, id string) {
	e.sends.release(sendKey{mesh, memberID, id})
}

func (e *Engine) duplicate(x *Earlier, old, now string) (*Earlier, error) {
	if old != now {
		return nil, ErrFingerprint
	}
	e.Counters.Duplicates.Add(1)
	return x, nil
}

// sendKey names a send: ids are the sender's own.
type sendKey struct{ mesh, member, id string }

// Fates of an open send.
const (
	fateOpen int32 = iota
	fateSettled
	fateFailed
)

// send is a send between its reservation and its transaction.
type send struct {
	fingerprint string
	id          atomic.Pointer[string]
	fate        atomic.Int32
}

// sends holds the sends that are not on disk yet. What is on disk is found
// there.
type sends struct {
	mu   sync.Mutex
	open map[sendKey]*send
}

func newSends() *sends { return &sends{open: map[sendKey]*send{}} }

// reserve returns the open send of the key, or nil after making one.
func (s *sends) reserve(k sendKey, fingerprint string) *send {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.open[k]; old != nil {
		return old
	}
	s.open[k] = &send{fingerprint: fingerprint}
	return nil
}

func (s *sends) release(k sendKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := s.open[k]; open != nil {
		open.fate.Store(fateFailed)
		delete(s.open, k)
	}
}

// accepted tells which message the reserved send became.
func (s *sends) accepted(m *store.Message) {
	if m.ClientMessageID == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := sendKey{m.MeshID, m.SenderMemberID, m.ClientMessageID}
	open := s.open[k]
	if open == nil {
		open = &send{fingerprint: m.Fingerprint}
		s.open[k] = open
	}
	open.id.Store(&m.ID)
}

// done ends the send of an acceptance.
func (s *sends) done(a *Acceptance, err error) {
	m := a.msg
	if m.ClientMessageID == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := sendKey{m.MeshID, m.SenderMemberID, m.ClientMessageID}
	if open := s.open[k]; open != nil {
		id := a.MessageID()
		open.id.Store(&id)
		open.end(err)
		delete(s.open, k)
	}
}

func (s *send) end(err error) {
	if err != nil {
		s.fate.Store(fateFailed)
		return
	}
	s.fate.Store(fateSettled)
}
