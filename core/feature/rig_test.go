package feature

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/roster"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// rig is all that stands behind the handlers, but for sockets and the chain.
// The mesh belongs to ada; gil is an admin, bo and cy are members.
type rig struct {
	t         testing.TB
	store     *sqlite.Store
	committer *commit.Committer
	engine    *delivery.Engine
	dir       *presence.Directory
	roster    *roster.Roster
	relay     *relay.Relay
	reg       *Registry
	mesh      *store.Mesh
	members   map[string]*store.Member
	ended     []sdk.Envelope // what the chain's observers hear of
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOn(t, openStore(t))
}

// openStore returns an empty store. Rigs that share one have a mesh each.
func openStore(t testing.TB) *sqlite.Store {
	t.Helper()
	return openStoreAt(t, filepath.Join(t.TempDir(), "broker.db"))
}

func openStoreAt(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	freshtest.File(t, path)
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func newRigOn(t testing.TB, st *sqlite.Store) *rig {
	t.Helper()
	ctx := t.Context()
	r := &rig{t: t, store: st, members: map[string]*store.Member{}}
	var err error
	log := slog.New(slog.DiscardHandler)
	r.committer = commit.New(st, store.NewPatience(0, log), log)
	journal := commit.NewJournal(r.committer)
	r.engine, err = delivery.NewEngine(ctx, delivery.Options{
		ExpireAfter: time.Hour, KeepDelivered: time.Hour, AckTimeout: time.Minute, UnconfirmedBytes: 1 << 20, DrainBatch: 16,
	}, st, r.committer, encodeForTest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.dir = presence.NewDirectory(presence.Options{
		Grace: time.Minute, StatusTTL: time.Minute, HookFresh: time.Minute, MeshLimit: 100, Announce: 1000,
	}, r.engine, journal, slog.New(slog.DiscardHandler))
	r.engine.Use(r.dir)
	r.roster = roster.New(st, r.dir, journal, nil)
	r.relay = relay.New(r.dir, nil)
	r.roster.UseTopics(NewTopicAudience(NewTopicBook(st, r.roster), r.dir))
	r.reg = All(Deps{
		Directory: r.dir, Engine: r.engine, Roster: r.roster, Store: st, Sessions: r,
		Send: SendOptions{MessageBytes: 1 << 16}, Announcer: announcer{r}, Caster: announcer{r}, Relay: r.relay,
	})
	t.Cleanup(func() {
		r.engine.Close()
		if err := r.committer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.enrol()
	return r
}

func encodeForTest(dst []byte, m *store.Message) []byte { return append(dst, m.ID...) }

// enrol makes the mesh.
func (r *rig) enrol() {
	r.t.Helper()
	joined, mesh := time.Now(), identity.NewID()
	var members []*store.Member
	for i, name := range []string{"ada", "gil", "bo", "cy"} {
		m := &store.Member{
			ID: identity.NewID(), MeshID: mesh, Key: keyOf(name), DisplayName: name,
			Role: store.RoleMember, MessageMode: "push", JoinedAt: joined.Add(time.Duration(i) * time.Millisecond),
		}
		if name == "gil" {
			m.Role = store.RoleAdmin
		}
		r.members[name] = m
		members = append(members, m)
	}
	r.mesh = &store.Mesh{ID: mesh, Slug: mesh, Name: "mesh", OwnerKey: keyOf("ada"), CreatedAt: joined, Policy: store.Policy{Groups: true}}
	if err := r.store.CreateMesh(r.t.Context(), r.mesh, members); err != nil {
		r.t.Fatal(err)
	}
}

// keyOf returns the key that goes by a name in tests. It signs nothing.
func keyOf(name string) sdk.Key {
	seed := sha256.Sum256([]byte(name))
	return sdk.Key(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

// End implements [Ender] as the broker does.
func (r *rig) End(s *presence.Session, code int, reason string) bool {
	last, ended := r.dir.End(s, code, reason)
	if ended {
		var env sdk.Envelope
		Left(r.dir, last, &env, time.Now())()
		r.reg.Left(context.Background(), last)
		r.ended = append(r.ended, env)
	}
	return ended
}

// Revoked implements [Ender] as the broker does.
func (r *rig) Revoked(memberID string) {
	r.roster.Forget(memberID)
	for _, s := range r.dir.OfMember(memberID) {
		r.End(s, int(wire.CloseBanned.Code), wire.CloseBanned.Reason)
	}
}

// Disconnect implements [Ender].
func (r *rig) Disconnect(s *presence.Session, code int, reason string) {
	r.dir.Disconnect(s, code, reason)
}

// peer is one connected session.
type peer struct {
	*conn
	rig     *rig
	member  *store.Member
	session *presence.Session
	name    string
}

// join connects a session of a member: "bo" is a session with a key of its own
// and the member's name.
func (r *rig) join(member string, edit ...func(*presence.Arrival)) *peer {
	r.t.Helper()
	m := r.members[member]
	a := presence.Arrival{
		Member: m, Key: keyOf("session of " + member), Role: presence.RoleSession, Acks: true,
		About: presence.About{Name: member, SessionID: "launch-" + member, Pid: 7, Cwd: "/src/" + member},
	}
	for _, f := range edit {
		f(&a)
	}
	s, err := r.dir.Attach(a)
	if err != nil {
		r.t.Fatal(err)
	}
	p := &peer{conn: &conn{seen: time.Now()}, rig: r, member: m, session: s.Session, name: a.About.Name}
	r.dir.Online(s, p.conn)
	return p
}

// ready waits until a message for the session is pushed at once: what may have
// waited for it has been looked for.
func (p *peer) ready() *peer {
	p.rig.t.Helper()
	to := []sdk.Recipient{{MemberID: p.member.ID, Member: p.member.Key, Session: p.session.Key}}
	for deadline := time.Now().Add(10 * time.Second); ; {
		m := &store.Message{
			ID: identity.NewID(), MeshID: p.session.Mesh, Priority: sdk.PriorityNow, TargetSpec: p.session.Routing().String(),
		}
		a := p.rig.engine.Accept(m, to, nil, time.Now())
		p.rig.committer.Submit(a)
		p.confirm(m.ID)
		if a.Pushed > 0 {
			return p
		}
		if time.Now().After(deadline) {
			p.rig.t.Fatalf("%s is never ready", p.name)
		}
	}
}

// confirm lets a session confirm a message when it comes.
func (p *peer) confirm(id string) {
	p.rig.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !p.session.Box.Acked(id, ""); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.rig.t.Fatalf("%s was not pushed to %s", id, p.name)
		}
	}
	p.rig.settle()
}

// named gives an arrival a display name and a session key of its own.
func named(name string) func(*presence.Arrival) {
	return func(a *presence.Arrival) { a.About.Name, a.Key = name, keyOf("session of "+name) }
}

// control makes an arrival a daemon's own connection.
func control(a *presence.Arrival) {
	a.Role, a.Key, a.About.Name = presence.RoleControl, sdk.Key{}, a.About.Name+"'s daemon"
}

// conn is a connection that only remembers.
type conn struct {
	mu     sync.Mutex
	pushed []string // ids of messages
	events []string
	closed string
	seen   time.Time
}

func (c *conn) ID() uint64 { return 1 }

func (c *conn) Local() bool { return false }

// Full implements delivery.Link: there is always room.
func (*conn) Full(int) bool { return false }

func (c *conn) Push(frame []byte) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed = append(c.pushed, string(frame))
	return uint64(len(c.pushed)), true
}

func (c *conn) Send(frame []byte) bool {
	head, err := wire.Peek(frame)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(head.Type) != "push" {
		c.events = append(c.events, string(frame))
		return true
	}
	push, err := wire.Decode[wire.Push](frame)
	if err != nil {
		panic(err)
	}
	c.events = append(c.events, push.Event+" "+string(push.EventData))
	return true
}

func (c *conn) CloseWith(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = strconv.Itoa(code) + " " + reason
}

func (c *conn) LastSeen() time.Time { return c.seen }

// heard returns the events since the last call.
func (c *conn) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.events
	c.events = nil
	return events
}

// how returns how the connection was closed.
func (c *conn) how() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// ask lets a session ask something and returns the answer as it goes over the
// wire, empty for none, with the audit records that the request leaves.
func (p *peer) ask(frame string) (answer string, records []sdk.Record) {
	p.rig.t.Helper()
	return p.askOf(p.rig.reg, frame)
}

func (p *peer) askOf(reg *Registry, frame string) (answer string, records []sdk.Record) {
	t := p.rig.t
	t.Helper()
	head, err := wire.Peek([]byte(frame))
	if err != nil {
		t.Fatal(err)
	}
	owner := reg.Owner(string(head.Type))
	if owner == nil {
		t.Fatalf("nobody owns %s", head.Type)
	}
	call, reply := p.call(owner, frame)
	if reply == nil {
		reply = p.decide(reg, owner, call)
	}
	if reply == nil {
		return "", call.Env.Records
	}
	b, err := wire.AppendReply(nil, reply, call.ReqID)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), call.Env.Records
}

// call returns the request that a frame is, or the refusal of a frame that is
// none.
func (p *peer) call(owner *Owner, frame string) (*Call, wire.Frame) {
	t, r := p.rig.t, p.rig
	t.Helper()
	head, err := wire.Peek([]byte(frame))
	if err != nil {
		t.Fatal(err)
	}
	call := &Call{Session: p.session, Peer: p.conn, ID: head.ID, ReqID: head.ReqID}
	call.Env = &sdk.Envelope{
		Kind: sdk.Kind(head.Type), Mesh: r.mesh.ID, Arrived: time.Now(), Body: call, Directory: r.roster,
		Sender: sdk.Sender{MemberID: p.member.ID, Member: p.member.Key, Session: p.session.Key, Name: p.name},
	}
	var refused *wire.DecodeError
	if call.Request, err = owner.Decode([]byte(frame)); errors.As(err, &refused) {
		call.Body = []byte(frame)
		return call, owner.Refusal(call, refused.Code, refused.Message)
	}
	return call, nil
}

// decide does what the broker does around a handler.
func (p *peer) decide(reg *Registry, owner *Owner, call *Call) wire.Frame {
	t, r := p.rig.t, p.rig
	t.Helper()
	if m, ok := call.Request.(*wire.Send); ok {
		target, err := sdk.ParseTarget(m.TargetSpec)
		if err != nil {
			t.Fatal(err)
		}
		call.Env.Target, call.Env.Priority = target, m.Priority
	}
	d, err := reg.Dispatch(t.Context(), call.Env)
	if err != nil {
		t.Fatal(err)
	}
	if call.Accepted != nil {
		r.committer.Submit(call.Accepted)
		r.settle()
	}
	if d.Verdict == sdk.Deny {
		return owner.Refusal(call, d.Reason, d.Text)
	}
	if call.After != nil {
		call.After()
	}
	reply, _ := d.Reply.(wire.Frame)
	return reply
}

// settle waits until everything so far is on disk.
func (r *rig) settle() {
	r.t.Helper()
	if err := r.committer.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// record appends entries to the audit log.
func (r *rig) record(entries ...*audit.Entry) {
	r.t.Helper()
	r.append(entries...)
	r.settle()
}

func (r *rig) append(entries ...*audit.Entry) {
	for _, e := range entries {
		e.MeshID, e.CreatedAt = r.mesh.ID, time.Now()
	}
	commit.NewJournal(r.committer).Append(entries...)
}

// recorded returns records as text.
func recorded(records []sdk.Record) []string {
	var list []string
	for _, rec := range records {
		list = append(list, rec.Event+" "+string(rec.Payload))
	}
	return list
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n\t%s\nwant\n\t%s", got, want)
	}
}

func wantList(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n\t%q\nwant\n\t%q", what, got, want)
	}
}
