package delivery

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// Options are the engine's limits.
type Options struct {
	ExpireAfter      time.Duration // a message that waited for so long is given up
	KeepDelivered    time.Duration // how long a finished message's row is kept
	AckTimeout       time.Duration // a client_ack that takes longer makes the push repeat
	UnconfirmedBytes int           // most bytes pushed to one session and not confirmed
	DrainBatch       int           // messages read from the store at once

	// Slot tells the messages of nodes that share a store apart: 0 for a broker
	// on its own.
	Slot int64

	// Others are the other nodes; nil for a broker on its own.
	Others Others

	// Traces makes the spans of pushes; nil makes none.
	Traces *tracing.Tracer
}

// Others are the other nodes that share the store.
type Others interface {
	// Wake tells the nodes on which a key has a session that the store holds
	// something of priority p for it. It returns at once.
	Wake(mesh string, key sdk.Key, p sdk.Priority)

	// Held reports whether this node may still push. A node whose lease is over
	// may not: others have taken over its recipients.
	Held() bool

	// Alone runs f while no other node runs what has the same name. It reports
	// false, and has done nothing, when another node does.
	Alone(ctx context.Context, name string, f func(context.Context) error) (bool, error)
}

// Directory finds the mailboxes behind a key: of one session, or of all
// sessions of a member. It appends to dst. Mailboxes of a member come with the
// control connection first: copies share the client's memory of ids, and that
// connection is the one whose copy reaches every session.
type Directory interface {
	Mailboxes(mesh string, key sdk.Key, dst []*Mailbox) []*Mailbox
	EachMailbox(func(*Mailbox))

	// Elsewhere reports whether a session behind a key is connected to another
	// node, and DaemonElsewhere whether a member's control connection is.
	Elsewhere(mesh string, key sdk.Key) bool
	DaemonElsewhere(mesh string, member sdk.Key) bool
}

// Queue is what the engine reads from the store.
type Queue interface {
	store.Holds
	Pending(ctx context.Context, d store.Drain) ([]store.Waiting, error)
	FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (*store.Sent, error)
	MessageStatus(ctx context.Context, mesh, idPrefix string) ([]*store.Status, error)
	Expire(ctx context.Context, now time.Time, limit int) (int64, error)
	PruneQueue(ctx context.Context, t time.Time, limit int) (int64, error)
	LastSeq(ctx context.Context) (int64, error)
}

// Committer is the group commit.
type Committer interface {
	Submit(commit.Work)
	Settle(store.Settlement) (number int64)
	Settled() int64
	Barrier(ctx context.Context) error
}

// Encode appends the push frame of a message. It is called once per message
// and process.
type Encode func(dst []byte, m *store.Message) []byte

// Engine accepts messages and sees to it that they arrive. All methods may be
// called concurrently.
type Engine struct {
	options   Options
	queue     Queue
	committer Committer
	encode    Encode
	log       *slog.Logger
	dir       Directory // set by Use, before the first message

	seq     atomic.Int64
	drains  chan struct{} // bounds how many drains read the store at once
	tasks   sync.WaitGroup
	closing sync.Mutex      // held while a drain starts, so that Close waits for all
	ctx     context.Context // ends drains
	cancel  context.CancelFunc

	recent   *recent
	sends    *sends
	releases *releases

	Counters Counters
}

// Counters count messages since the start.
type Counters struct {
	Routed      [3]atomic.Int64 // pushes written, by priority
	Drained     atomic.Int64    // of these, from the store
	Repeated    atomic.Int64    // of these, pushed to the same connection again
	Confirmed   atomic.Int64    // deliveries that a recipient confirmed
	Direct      atomic.Int64    // of these, before a row was needed
	Expired     atomic.Int64    // deliveries given up
	Released    atomic.Int64    // deliveries that were held back until now
	Duplicates  atomic.Int64    // sends answered from the memory of ids
	DrainErrors atomic.Int64
	Catching    atomic.Int64 // sessions that are sent now what waited for them: a gauge
	Histories   atomic.Int64 // messages that go into the histories of topics

	// From a message's acceptance to its first push to a session: of pushes on
	// acceptance, and of those that were read from the store, which waited there.
	PushedAtOnce, PushedLater telemetry.Histogram

	// From the last push of a delivery to a session until that one confirmed it.
	Confirmation telemetry.Histogram
}

// drainsAtOnce bounds concurrent drains, so that a thousand sessions that
// reconnect together queue up instead of thrashing the store.
const drainsAtOnce = 8

// NewEngine returns an engine. Call [Engine.Use] before anything else.
func NewEngine(ctx context.Context, o Options, q Queue, c Committer, encode Encode, log *slog.Logger) (*Engine, error) {
	last, err := q.LastSeq(ctx)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options: o, queue: q, committer: c, encode: encode, log: log,
		drains:   make(chan struct{}, drainsAtOnce),
		recent:   newRecent(),
		sends:    newSends(),
		releases: newReleases(),
	}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.seq.Store(last)
	return e, nil
}

// Use gives the engine the directory of mailboxes.
func (e *Engine) Use(dir Directory) { e.dir = dir }

// Close ends all drains and waits for them. What is nudged later stays in the
// store.
func (e *Engine) Close() {
	e.closing.Lock()
	e.cancel()
	e.closing.Unlock()
	e.tasks.Wait()
}

// start runs a drain, unless the engine is closed.
func (e *Engine) start(drain func()) {
	e.closing.Lock()
	defer e.closing.Unlock()
	if e.ctx.Err() != nil {
		return
	}
	e.Counters.Catching.Add(1)
	e.tasks.Go(func() {
		defer e.Counters.Catching.Add(-1)
		drain()
	})
}

// frameOverhead is about what a push has around the sender's own texts.
const frameOverhead = 640

// encodeNew returns the push frame of a message.
func (e *Engine) encodeNew(m *store.Message) []byte {
	return e.encode(make([]byte, 0, frameOverhead+len(m.Nonce)+len(m.Ciphertext)), m)
}

// nextSeq returns a strictly increasing [store.Message] Seq of this node, also
// when the clock goes backwards.
func (e *Engine) nextSeq(now time.Time) int64 {
	for {
		last := e.seq.Load()
		next := max(store.SeqAt(now), (last/store.MaxNodes+1)*store.MaxNodes) + e.options.Slot
		if e.seq.CompareAndSwap(last, next) {
			return next
		}
	}
}

// held reports whether this node may push.
func (e *Engine) held() bool { return e.options.Others == nil || e.options.Others.Held() }

// daemonElsewhere reports whether a member's control connection is on another
// node. It must not be called with a mailbox locked.
func (e *Engine) daemonElsewhere(mesh string, member sdk.Key) bool {
	return e.options.Others != nil && e.dir.DaemonElsewhere(mesh, member)
}

// settle marks the row of a delivery that is confirmed now, and returns the
// number of the mark; 0 when there is no row. It was pushed at pushed.
func (e *Engine) settle(d *delivery, pushed time.Time) (mark int64) {
	e.Counters.Confirmed.Add(1)
	now := time.Now()
	e.Counters.Confirmation.Observe(now.Sub(pushed))
	if d.confirm() {
		mark = e.committer.Settle(store.Settlement{Seq: d.msg.Seq, Recipient: d.to, At: now})
		d.mark.Store(mark)
	} else if mark = d.mark.Load(); mark == 0 {
		e.Counters.Direct.Add(1)
	}
	e.recent.delivered(d.msg.ID, d.to, now)
	return mark
}

// nudge tells every mailbox behind a key, on every node, to look into the store.
func (e *Engine) nudge(mesh string, key sdk.Key, p sdk.Priority) {
	e.Nudge(mesh, key, p)
	if e.options.Others != nil {
		e.options.Others.Wake(mesh, key, p)
	}
}

// Nudge tells every mailbox behind a key on this node that the store may hold
// something of priority p for it.
func (e *Engine) Nudge(mesh string, key sdk.Key, p sdk.Priority) {
	var buf [4]*Mailbox
	for _, m := range e.dir.Mailboxes(mesh, key, buf[:0]) {
		m.nudge(p)
	}
}

// NudgeAll tells every mailbox on this node to look into the store.
func (e *Engine) NudgeAll() {
	e.dir.EachMailbox(func(m *Mailbox) { m.nudge(sdk.PriorityNow) })
}

// Connected reports whether any session behind a key has a connection now, on
// whatever node.
func (e *Engine) Connected(mesh string, key sdk.Key) bool {
	var buf [4]*Mailbox
	for _, m := range e.dir.Mailboxes(mesh, key, buf[:0]) {
		if m.connected() {
			return true
		}
	}
	return e.dir.Elsewhere(mesh, key)
}

func (m *Mailbox) connected() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link != nil
}
