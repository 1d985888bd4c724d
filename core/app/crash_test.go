package app_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// A run of the whole promise: make crash, or
// go test ./core/app -run Crash -crash.rounds=20 -crash.sends=5000.
var (
	crashRounds = flag.Int("crash.rounds", 1, "rounds of TestCrashLosesNothingAcknowledged")
	crashSends  = flag.Int("crash.sends", 1500, "messages in a round")
)

const (
	crashSenders    = 4
	crashRecipients = 4
	crashWindow     = 32
)

// TestCrashLosesNothingAcknowledged sends while the broker is killed with
// SIGKILL again and again. Every message that was acknowledged has to arrive,
// a repeated push has to carry the same id, and the audit chain has to verify.
// One recipient in two confirms by client_ack, the others by pong alone.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	for round := range *crashRounds {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			t.Logf("seed %d", seed)
			crashRound(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// storm is one round.
type storm struct {
	t     *testing.T
	url   atomic.Pointer[string] // of the broker that runs now
	ctx   context.Context
	start time.Time

	mu       sync.Mutex
	acked    map[string]string // text → message id, as acknowledged
	got      map[string]string // text → message id, as received
	repeated int
	attempts int
	goal     int           // how many acknowledgements close reached
	reached  chan struct{} // nil while nobody waits
}

func crashRound(t *testing.T, rnd *rand.Rand) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, nil)
	r.newMesh()
	senders := make([]dial.Identity, crashSenders)
	recipients := make([]dial.Identity, crashRecipients)
	for i := range senders {
		senders[i] = session(r.member(fmt.Sprint("sender ", i), store.RoleMember))
	}
	for i := range recipients {
		recipients[i] = session(r.member(fmt.Sprint("recipient ", i), store.RoleMember))
	}
	r.stop()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &storm{t: t, ctx: ctx, start: time.Now(), acked: map[string]string{}, got: map[string]string{}}
	broker := startChild(t, path)
	s.url.Store(&broker.url)
	var wg, senderWG sync.WaitGroup
	for i, id := range recipients {
		here := make(chan struct{})
		wg.Go(func() { s.receive(id, i%2 == 0, sync.OnceFunc(func() { close(here) })) })
		<-here // its session key is known from now on
	}
	for i, id := range senders {
		senderWG.Go(func() { s.sendAll(i, id, recipients, *crashSends/crashSenders) })
	}
	sent := make(chan struct{})
	go func() { senderWG.Wait(); close(sent) }()
	kills := 0
	for running := true; running; {
		select {
		case <-sent:
			running = false
		case <-s.moment(rnd, kills):
			broker.kill()
			kills++
			broker = startChild(t, path)
			s.url.Store(&broker.url)
		}
	}
	eventually(t, "every acknowledged message", s.complete)
	cancel()
	wg.Wait()
	broker.kill()
	s.report(kills)
	verifyAudit(t, path, r.mesh.ID)
}

// moment says when the broker is killed: once it has acknowledged some more, so
// that a slow machine gets on too, and every other time at any moment, whatever
// it is doing then.
func (s *storm) moment(rnd *rand.Rand, kills int) <-chan struct{} {
	moment := make(chan struct{})
	if kills%2 == 1 {
		time.AfterFunc(time.Duration(10+rnd.IntN(150))*time.Millisecond, func() { close(moment) })
		return moment
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.goal, s.reached = len(s.acked)+1+rnd.IntN(100), moment
	return moment
}

// receive takes pushes over as many connections as it needs. connected is
// called after each hello.
func (s *storm) receive(id dial.Identity, confirms bool, connected func()) {
	for s.ctx.Err() == nil {
		p, err := dial.Dial(s.ctx, *s.url.Load(), id, dial.Options{
			PlainHello: !confirms, ConfirmPushes: confirms,
			OnPush: func(_ *dial.Peer, push *wire.Push) { s.arrived(push) },
		})
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		connected()
		select {
		case <-p.Done():
		case <-s.ctx.Done():
		}
		p.Abort()
		<-p.Done()
	}
}

func (s *storm) arrived(push *wire.Push) {
	if push.Event != "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, repeated := s.got[push.Ciphertext]
	if repeated {
		s.repeated++
		if before != push.MessageID {
			s.t.Errorf("%q came with the ids %s and %s", push.Ciphertext, before, push.MessageID)
		}
	}
	s.got[push.Ciphertext] = push.MessageID
}

// sendAll sends n messages, each once. What was not acknowledged when its
// connection ended is promised to nobody.
func (s *storm) sendAll(sender int, id dial.Identity, to []dial.Identity, n int) {
	next := 0
	for next < n && s.ctx.Err() == nil {
		p, err := dial.Dial(s.ctx, *s.url.Load(), id, dial.Options{OnPush: func(*dial.Peer, *wire.Push) {}})
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		next = s.sendSome(p, sender, to, next, n)
		p.Abort()
		<-p.Done()
	}
}

// sendSome sends until the connection ends, and returns the next number.
func (s *storm) sendSome(p *dial.Peer, sender int, to []dial.Identity, next, n int) int {
	window := make(chan struct{}, crashWindow)
	for ; next < n; next++ {
		body := fmt.Sprintf("%d/%d", sender, next)
		select {
		case window <- struct{}{}:
		case <-p.Done():
			return next
		}
		target := to[next%len(to)].RoutingKey().String()
		err := p.SendAsync(target, sdk.PriorityNext, "", body, dial.SendOptions{}, func(ack wire.Ack, err error) {
			<-window
			if err == nil {
				s.answered(body, ack)
			}
		})
		if err != nil {
			return next + 1
		}
	}
	for range crashWindow { // until the last ack, or the end of the connection
		select {
		case window <- struct{}{}:
		case <-p.Done():
			return next
		}
	}
	return next
}

func (s *storm) answered(body string, ack wire.Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	switch {
	case ack.Queued:
		s.acked[body] = ack.MessageID
		if len(s.acked) == s.goal {
			close(s.reached)
		}
	case !strings.Contains(ack.Error, "unavailable"):
		s.t.Errorf("%q was refused: %s", body, ack.Error)
	}
}

// complete reports whether everything that was acknowledged has arrived.
func (s *storm) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for body := range s.acked {
		if _, ok := s.got[body]; !ok {
			return false
		}
	}
	return true
}

func (s *storm) report(kills int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for body, id := range s.acked {
		if got := s.got[body]; got != id {
			s.t.Errorf("%q was acknowledged as %s and arrived as %q", body, id, got)
		}
	}
	if len(s.acked) == 0 {
		s.t.Error("nothing was acknowledged")
	}
	s.t.Logf("%d acknowledged, %d arrived, %d repeated, %d kills, %v",
		len(s.acked), len(s.got), s.repeated, kills, time.Since(s.start).Round(time.Millisecond))
}

// verifyAudit checks the chain of a mesh, its head included.
func verifyAudit(t *testing.T, path, mesh string) {
	t.Helper()
	ctx := context.Background()
	st, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		t.Fatalf("open the store after the round: %v", err)
	}
	defer st.Close()
	head, err := st.AuditHead(ctx, mesh)
	if err != nil {
		t.Fatalf("audit head: %v", err)
	}
	v := audit.NewVerifier(mesh)
	for e, err := range st.AuditChain(ctx, mesh) {
		if err != nil {
			t.Fatalf("audit chain: %v", err)
		}
		v.Add(e)
	}
	if got := v.Finish(head); !got.Valid {
		t.Errorf("audit chain: got %+v, want valid", got)
	}
}
