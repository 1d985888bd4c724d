package presence

import (
	"errors"
	"slices"
)

// Limits of streams.
const (
	maxStreams   = 64  // that one session subscribes to
	maxPublished = 256 // that one session publishes to, while it is connected to one node
)

// Errors of sessions that want too much of streams.
var (
	ErrTooManyStreams   = errors.New("a session can subscribe to 64 streams at most: unsubscribe from one first")
	ErrTooManyPublished = errors.New("a session can publish to 256 streams at most: use one of them")
)

// Subscribe has a session hear of what is published to a stream. It goes on
// hearing when it comes back within its grace time, to whatever node, and one with
// a key of its own also when it comes back later. ErrTooManyStreams.
func (d *Directory) Subscribe(s *Session, stream string) (err error) {
	d.change(s, func(m *mesh) {
		switch {
		case slices.Contains(s.streams, stream):
		case len(s.streams) >= maxStreams:
			err = ErrTooManyStreams
		default:
			m.resubscribeLocked(s, append(slices.Clone(s.streams), stream))
		}
	})
	return err
}

// Unsubscribe is the inverse of Subscribe. A session that does not subscribe to
// the stream stays as it is.
func (d *Directory) Unsubscribe(s *Session, stream string) {
	d.change(s, func(m *mesh) {
		m.resubscribeLocked(s, slices.DeleteFunc(slices.Clone(s.streams), func(x string) bool { return x == stream }))
	})
}

func (m *mesh) resubscribeLocked(s *Session, streams []string) {
	m.removeStreamsLocked(s)
	s.streams = streams
	m.addStreamsLocked(s)
}

func (m *mesh) addStreamsLocked(s *Session) {
	for _, name := range s.streams {
		set := m.byStream[name]
		if set == nil {
			set = map[*Session]struct{}{}
			m.byStream[name] = set
		}
		set[s] = struct{}{}
	}
}

func (m *mesh) removeStreamsLocked(s *Session) {
	for _, name := range s.streams {
		delete(m.byStream[name], s)
		if len(m.byStream[name]) == 0 {
			delete(m.byStream, name)
		}
	}
}

// Published counts what a session publishes to a stream: the first time is 1. It
// begins anew when the session comes to another node. ErrTooManyPublished.
func (d *Directory) Published(s *Session, stream string) (number uint64, err error) {
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.told == nil {
		s.told = map[string]uint64{}
	}
	if _, known := s.told[stream]; !known && len(s.told) >= maxPublished {
		return 0, ErrTooManyPublished
	}
	s.told[stream]++
	return s.told[stream], nil
}

// Subscribers returns how many sessions subscribe to each stream that anybody
// does, on all nodes, those in their grace time too.
func (d *Directory) Subscribers(meshID string) map[string]int {
	counts := map[string]int{}
	m := d.mesh(meshID)
	if m == nil {
		return counts
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for name, set := range m.byStream {
		counts[name] = len(set)
	}
	return counts
}

// TellStream writes a frame to the connected subscribers of a stream on this
// node that allows says yes to. The session with the presence id except is not
// asked. Who has not read what it was sent before misses the frame.
func (d *Directory) TellStream(meshID, stream string, frame []byte, except string, allows func(*Session) bool) {
	m := d.mesh(meshID)
	if m == nil {
		return
	}
	for _, l := range m.subscribed(stream, except) {
		if !l.conn.Full(len(frame)) && allows(l.session) {
			l.conn.Send(frame)
		}
	}
}

// subscribed returns the subscribers that are connected to this node, but for one.
func (m *mesh) subscribed(stream, except string) []listener {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []listener
	for s := range m.byStream[stream] {
		if s.conn != nil && s.ID != except {
			list = append(list, listener{s, s.conn})
		}
	}
	return list
}

// StreamNodes returns the other nodes that have a connected subscriber, each once,
// as far as this node knows.
func (d *Directory) StreamNodes(meshID, stream string) []string {
	m := d.mesh(meshID)
	if m == nil || m.others == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var nodes []string
	for s := range m.byStream[stream] {
		if s.there && !slices.Contains(nodes, s.node) {
			nodes = append(nodes, s.node)
		}
	}
	return nodes
}
