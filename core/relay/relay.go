// Package relay carries a question from one session to another and the answer
// back, wherever the two are connected.
//
// A question is known on two nodes: where the session is that asks, which waits
// for so long and no longer, and where the session is that is asked, which is the
// only one whose answer is taken. Nothing is on disk: who asks is told within the
// question's time that there is no answer, whatever happened on the way.
package relay

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/telemetry"
)

// Limits.
const (
	mostAsking = 16  // questions of one session that wait
	mostAsked  = 256 // questions that one session has to answer
	mostFrom   = 32  // of these, from one member, so that nobody takes the last place from others

	// What one member may ask, with all its sessions on this node.
	askRate  = 20 // a second
	askBurst = 100
	askers   = 1 << 16 // members that are remembered

	// mostWaiting is how many bytes of answers may wait for the connection of
	// whoever asked, or for another node; mostOfOne is how many of these for one
	// session that asks, or of one that answers, and mostOfMember for all sessions of
	// one member that asks.
	mostWaiting  = 64 << 20
	mostOfOne    = 8 << 20
	mostOfMember = mostWaiting / 4

	// retryEvery is how often an answer is tried again that a connection had no
	// room for.
	retryEvery = 20 * time.Millisecond
)

// Why says how a question ended that got no answer.
type Why string

// Ends of questions without an answer.
const (
	Away      Why = "away"      // whoever is asked is not connected, or not any more
	Busy      Why = "busy"      // it has too much to answer, or does not read what it is sent
	Late      Why = "late"      // it did not answer in time
	Lost      Why = "lost"      // the answer was lost between two nodes
	Unread    Why = "unread"    // whoever asked does not read what it is sent
	Illegible Why = "illegible" // what came was no answer
)

// Ends of questions beside a [Why].
const (
	answered = "answered"
	left     = "left"
)

// ErrNotAsked is returned for an answer to what the session was not asked, or is not
// asked any more.
var ErrNotAsked = errors.New("nothing that waits for this session has this id")

// ErrCrowded is returned to a session with too many questions.
var ErrCrowded = errors.New("too many questions wait")

// Door finds sessions. Methods may be called concurrently.
type Door interface {
	// Reach is [presence.Directory.Reach].
	Reach(mesh, presenceID string) (conn presence.Conn, node string)
}

// Nodes is the road to the relays of other nodes. What is posted may be lost; what
// comes to one node comes in order.
type Nodes interface {
	Self() string
	Post(node string, message []byte)
}

// Question is what one session asks another. Whoever has asked it does not touch it
// any more.
type Question struct {
	Mesh   string
	Asker  string        // presence id of the session that asks
	Conn   presence.Conn // that it asks over; its end is the end of the question
	Member string        // id of its member
	Asked  string        // presence id of the session that is asked
	Kind   string        // answers of another kind are none
	Hint   string        // what an answer without an id has to name
	ReqID  jsontext.Value
	Within time.Duration

	// Frame returns what the session that is asked gets, with the id that its
	// answer has to name.
	Frame func(id string) ([]byte, error)

	// Failed returns what the session that asks gets when there is no answer.
	Failed func(Why) []byte
}

// Relay is the questions of this node. All methods may be called concurrently.
type Relay struct {
	door  Door
	nodes Nodes // nil for a broker on its own
	rates *bucket.Set[asker]

	// Ended counts questions where they were asked, by how they ended: answered,
	// a [Why], or left, which is that whoever asked did not wait.
	Ended *telemetry.Tally

	mu      sync.Mutex
	waiting map[string]map[string]*waiting // by presence id of who asks, and by id
	open    map[string]map[string]*open    // by presence id of who is asked, and by id
	sending map[string]int                 // answers on their way, by the node that they go to
	queue   []*sending                     // answers on their way, and those that wait for that
	bytes   int                            // of answers that wait
	held    map[string]int                 // of these, by the id of the member that asked
}

// New returns a relay without questions.
func New(door Door, nodes Nodes) *Relay {
	return &Relay{
		door: door, nodes: nodes,
		rates:   bucket.New[asker](bucket.Size{Count: askRate, Per: time.Second, Burst: askBurst, Most: askers}, time.Now()),
		Ended:   telemetry.NewTally(answered, string(Away), string(Busy), string(Late), string(Unread), string(Illegible), left, string(Lost)),
		waiting: map[string]map[string]*waiting{}, open: map[string]map[string]*open{}, sending: map[string]int{},
		held: map[string]int{},
	}
}

// asker is the id of a member that asks.
type asker string

// Hash implements [bucket.Key].
func (a asker) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, string(a)) }

// Keep implements [bucket.Key].
func (a asker) Keep() asker { return asker(strings.Clone(string(a))) }

// waiting is a question where it was asked.
type waiting struct {
	*Question
	id     string
	node   string // of the session that is asked; "" for this one
	ends   time.Time
	timer  *time.Timer
	parts  []byte // of an answer that is on its way
	answer []byte // that waits for the connection
}

// open is a question where it has to be answered.
type open struct {
	letter
	conn  presence.Conn // that it was asked over
	timer *time.Timer
	since time.Time
}

// Ask sends a question on its way, and returns before there is an answer. A
// session that repeats a question with its ReqID, while that waits, has asked once,
// and is answered over the connection that it has repeated it over. ErrCrowded; any
// other end comes over the connection.
func (r *Relay) Ask(q *Question) error {
	id := identity.NewUUID()
	frame, err := q.Frame(id)
	if err != nil {
		return err
	}
	q.Frame = nil // what it holds may be large
	conn, node := r.door.Reach(q.Mesh, q.Asked)
	w := &waiting{Question: q, id: id, node: node, ends: time.Now().Add(q.Within)}
	r.mu.Lock()
	mine := r.waiting[q.Asker]
	switch same := repeated(mine, q); {
	case same != nil:
		same.Conn = q.Conn // the session may have come back, and its earlier connection not be over
		r.mu.Unlock()
		return nil
	case len(mine) >= mostAsking:
		r.mu.Unlock()
		return ErrCrowded
	case mine == nil:
		mine = map[string]*waiting{}
		r.waiting[q.Asker] = mine
	}
	mine[id] = w
	w.timer = time.AfterFunc(q.Within, func() { r.fail(q.Asker, id, Late) })
	r.mu.Unlock()
	l := letter{
		Op: opAsk, Call: id, Mesh: q.Mesh, Asker: q.Asker, Asked: q.Asked, Member: q.Member, Kind: q.Kind, Hint: q.Hint,
		ReqID: q.ReqID, Within: q.Within, Frame: frame,
	}
	switch {
	case conn != nil:
		r.put(l, conn)
	case node != "" && r.nodes != nil:
		l.Node = r.nodes.Self()
		r.post(node, l)
	default:
		r.fail(q.Asker, id, Away)
	}
	return nil
}

// Take takes one question from what a member may ask, or returns how long to wait.
func (r *Relay) Take(memberID string) (wait time.Duration, ok bool) {
	return r.rates.Take(asker(memberID), time.Now())
}

// Waiting returns how many questions wait that were asked here.
func (r *Relay) Waiting() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, mine := range r.waiting {
		n += len(mine)
	}
	return n
}

// repeated returns the question that waits already, nil for none.
func repeated(mine map[string]*waiting, q *Question) *waiting {
	if q.ReqID == nil {
		return nil
	}
	for _, w := range mine {
		if w.Kind == q.Kind && w.Hint == q.Hint && w.Asked == q.Asked && string(w.ReqID) == string(q.ReqID) {
			return w
		}
	}
	return nil
}

// take ends a question where it was asked, and returns it; nil when it has ended.
func (r *Relay) take(asker, id string) *waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[asker][id]
	if w != nil {
		r.removeLocked(w)
	}
	return w
}

func (r *Relay) removeLocked(w *waiting) {
	w.timer.Stop()
	r.holdLocked(w.Member, -len(w.answer))
	delete(r.waiting[w.Asker], w.id)
	if len(r.waiting[w.Asker]) == 0 {
		delete(r.waiting, w.Asker)
	}
}

// fail tells whoever asked that there is no answer.
func (r *Relay) fail(asker, id string, why Why) {
	w := r.take(asker, id)
	if w == nil {
		return
	}
	if why == Late && w.answer != nil {
		why = Unread
	}
	r.Ended.Add(string(why))
	w.Conn.Send(w.Failed(why))
	if why == Late || why == Unread {
		r.giveUp(w)
	}
}

// giveUp frees the place of a question that nobody waits for any more.
func (r *Relay) giveUp(w *waiting) {
	if w.node != "" {
		r.post(w.node, letter{Op: opCancel, Call: w.id, Asked: w.Asked})
		return
	}
	r.close(w.Asked, w.id)
}

// deliver writes an answer to whoever asked, as soon as the connection has room
// for it.
func (r *Relay) deliver(asker, id string, frame []byte) {
	r.mu.Lock()
	w := r.waiting[asker][id]
	if w == nil {
		r.mu.Unlock()
		return
	}
	if !w.Conn.Full(len(frame)) {
		r.removeLocked(w)
		r.mu.Unlock()
		r.Ended.Add(answered)
		w.Conn.Send(frame)
		return
	}
	if w.answer == nil {
		if !r.roomLocked(w.Member, len(frame)) || r.unreadLocked(asker)+len(frame) > mostOfOne {
			r.mu.Unlock()
			r.fail(asker, id, Unread)
			return
		}
		w.answer = frame
		r.holdLocked(w.Member, len(frame))
	}
	r.mu.Unlock()
	time.AfterFunc(retryEvery, func() { r.deliver(asker, id, frame) })
}

// unreadLocked returns how many bytes of answers wait for a session.
func (r *Relay) unreadLocked(asker string) (bytes int) {
	for _, w := range r.waiting[asker] {
		bytes += len(w.answer)
	}
	return bytes
}

// Left ends what was asked, and what was to be answered, over a connection that is
// no more.
func (r *Relay) Left(presenceID string, conn presence.Conn) {
	r.mu.Lock()
	var given []*waiting
	for _, w := range r.waiting[presenceID] {
		if w.Conn == conn {
			given = append(given, w)
			r.removeLocked(w)
		}
	}
	var unanswered []*open
	for _, o := range r.open[presenceID] {
		if o.conn == conn {
			unanswered = append(unanswered, o)
			r.closeLocked(o)
		}
	}
	r.mu.Unlock()
	for _, w := range given {
		r.Ended.Add(left)
		r.giveUp(w)
	}
	for _, o := range unanswered {
		r.refuse(&o.letter, Away)
	}
}
