package presence

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// rig is a directory over an engine without a store, with a clock of its own.
type rig struct {
	*Directory
	t       testing.TB
	engine  *delivery.Engine
	journal *journal

	mu  sync.Mutex
	at  time.Time
	seq int
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	if o.MeshLimit == 0 {
		o.MeshLimit = 100
	}
	engine, err := delivery.NewEngine(t.Context(), delivery.Options{
		ExpireAfter: time.Hour, AckTimeout: time.Minute, UnconfirmedBytes: 1 << 20, DrainBatch: 16,
	}, noQueue{}, noCommitter{}, func(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) },
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	r := &rig{t: t, engine: engine, journal: new(journal), at: time.Now()}
	r.Directory = NewDirectory(o, engine, r.journal, slog.New(slog.DiscardHandler))
	r.Directory.now = r.now
	engine.Use(r.Directory)
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

// noQueue is a store that holds nothing.
type noQueue struct{ delivery.Queue }

func (noQueue) LastSeq(context.Context) (int64, error) { return 0, nil }

func (noQueue) Pending(context.Context, store.Drain) ([]store.Waiting, error) { return nil, nil }

// noCommitter writes at once, to nowhere.
type noCommitter struct{}

func (noCommitter) Submit(w commit.Work)          { w.Done(nil) }
func (noCommitter) Settle(store.Settlement) int64 { return 0 }
func (noCommitter) Settled() int64                { return 0 }
func (noCommitter) Barrier(context.Context) error { return nil }

// journal remembers what it was given.
type journal struct {
	SavePresenceFn func(*store.Presence) // called by SavePresence; nil does nothing

	mu        sync.Mutex
	presences []*store.Presence
	states    []*store.State
}

func (j *journal) SavePresence(p *store.Presence) {
	if j.SavePresenceFn != nil {
		j.SavePresenceFn(p)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.presences = append(j.presences, p)
}

func (j *journal) SaveState(s *store.State) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.states = append(j.states, s)
}

// saved returns the newest row of a session key, nil when there is none.
func (j *journal) saved(key sdk.Key) *store.State {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found *store.State
	for _, s := range j.states {
		if s.SessionKey == key {
			found = s
		}
	}
	return found
}

// conn is a connection that remembers what was written to it.
type conn struct {
	seen time.Time

	mu     sync.Mutex
	pushed []string
	sent   []string
	closed string
}

// Full implements delivery.Link: there is always room.
func (*conn) Full(int) bool { return false }

func (c *conn) Push(frame []byte) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != "" {
		return 0, false
	}
	c.pushed = append(c.pushed, string(frame))
	return uint64(len(c.pushed)), true
}

func (c *conn) Send(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, string(frame))
	return c.closed == ""
}

func (c *conn) CloseWith(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = fmt.Sprint(code, " ", reason)
}

func (c *conn) LastSeen() time.Time { return c.seen }

func (c *conn) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.pushed...)
}

func (c *conn) how() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// member returns the row that goes by a name. Its key begins with the name.
func member(name string) *store.Member {
	return &store.Member{ID: "id-" + name, MeshID: "mesh", Key: key(name), DisplayName: name}
}

func key(name string) sdk.Key {
	var k sdk.Key
	copy(k[:], name)
	return k
}

// arrival is a member's hello with a session key, empty for none.
func arrival(name, session string) Arrival {
	a := Arrival{Member: member(name), Role: RoleSession, About: About{Name: name, SessionID: "launch", Hostname: "host"}}
	if session != "" {
		a.Key = key(session)
	}
	return a
}

// attach is Attach that must succeed.
func (r *rig) attach(a Arrival) Attached {
	r.t.Helper()
	s, err := r.Attach(a)
	if err != nil {
		r.t.Fatalf("attach: %v", err)
	}
	return s
}

// come attaches an arrival and gives it a connection.
func (r *rig) come(a Arrival) (*Session, *conn) {
	r.t.Helper()
	s := r.attach(a)
	c := &conn{seen: r.now()}
	r.Online(s, c)
	return s.Session, c
}

// send sends a message to a key and returns how many sessions it was pushed to.
func (r *rig) send(to sdk.Key) int {
	r.t.Helper()
	r.seq++
	m := &store.Message{
		ID: fmt.Sprint("m", r.seq), MeshID: "mesh", SenderMember: key("sender"), TargetSpec: to.String(), Priority: sdk.PriorityNow,
	}
	recipient, ok := r.Here("mesh", to)
	if !ok {
		return 0
	}
	a := r.engine.Accept(m, []sdk.Recipient{recipient}, nil, r.now())
	a.Done(nil)
	return a.Pushed
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
