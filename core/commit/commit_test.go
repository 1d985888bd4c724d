package commit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk records batches. Commit waits for gate, when there is one, and fails
// while broken is set.
type disk struct {
	gate chan struct{}

	mu      sync.Mutex
	batches []store.Batch
	events  []string // of audit entries
	version int64    // of the last presence
	broken  error
}

func (d *disk) Commit(_ context.Context, b *store.Batch) error {
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	for _, e := range b.Audit {
		d.events = append(d.events, e.EventType)
	}
	for _, p := range b.Presences {
		d.version = p.Version
	}
	d.batches = append(d.batches, store.Batch{
		Messages: append([]*store.Message(nil), b.Messages...),
		Settled:  append([]store.Settlement(nil), b.Settled...),
	})
	return nil
}

func (d *disk) written() (messages, settled int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.batches {
		messages += len(b.Messages)
		settled += len(b.Settled)
	}
	return messages, settled
}

// newCommitter returns a committer that waits so long for a database that is
// away.
func newCommitter(st store.Committer, wait time.Duration) *commit.Committer {
	log := slog.New(slog.DiscardHandler)
	return commit.New(st, store.NewPatience(wait, log), log)
}

func start(t *testing.T, d *disk) *commit.Committer {
	t.Helper()
	c := newCommitter(d, 0)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// note is a work that writes one message and tells how it ended.
type note struct {
	id   string
	done chan<- string
}

func (n note) Fill(b *store.Batch) { b.Messages = append(b.Messages, &store.Message{ID: n.id}) }

func (n note) Done(err error) {
	if err != nil {
		n.done <- n.id + ": " + err.Error()
		return
	}
	n.done <- n.id
}

func TestWhoWaitsGoesIntoTheNextTransactionInOrder(t *testing.T) {
	d := &disk{gate: make(chan struct{})}
	c := start(t, d)
	done := make(chan string, 10)
	c.Submit(note{"a", done})
	d.gate <- struct{}{} // the first transaction has begun, with a alone
	if got := <-done; got != "a" {
		t.Fatalf("first done: got %q, want a", got)
	}
	c.Submit(note{"b", done})
	for _, id := range []string{"c", "d", "e"} {
		c.Submit(note{id, done})
	}
	close(d.gate)
	for _, want := range []string{"b", "c", "d", "e"} {
		if got := <-done; got != want {
			t.Fatalf("done: got %q, want %q", got, want)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.batches); n > 3 {
		t.Errorf("five works took %d transactions, want at most 3", n)
	}
	took, sizes := c.Counters.Took.Series(time.Hour), c.Counters.Sizes.Series(8)
	if n := int64(len(d.batches)); took.Count != n || sizes.Count != n || sizes.Sum != 5 || took.Sum <= 0 {
		t.Errorf("counted %d transactions in %v s, %d with %v works; want %d and five works", took.Count, took.Sum, sizes.Count, sizes.Sum, n)
	}
}

func TestAFailedTransactionTellsItsWorksAndKeepsItsMarks(t *testing.T) {
	d := &disk{broken: errors.New("disk full")}
	c := start(t, d)
	done := make(chan string, 1)
	c.Settle(store.Settlement{Seq: 7, Recipient: sdk.Key{1}})
	c.Submit(note{"a", done})
	if got, want := <-done, "a: disk full"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	d.mu.Lock()
	d.broken = nil
	d.mu.Unlock()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, settled := d.written(); settled == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the mark of the failed transaction was never written")
		}
		time.Sleep(time.Millisecond)
	}
	if messages, _ := d.written(); messages != 0 {
		t.Errorf("%d messages of the failed transaction were written later, want none", messages)
	}
}

func TestBarrierWaitsForWhatCameBefore(t *testing.T) {
	d := &disk{}
	c := start(t, d)
	done := make(chan string, 100)
	for range 100 {
		c.Submit(note{"x", done})
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatalf("barrier: %v", err)
	}
	if n, _ := d.written(); n != 100 {
		t.Errorf("%d messages written behind the barrier, want 100", n)
	}
}

func TestCloseWritesWhatWaitsAndRefusesTheRest(t *testing.T) {
	d := &disk{}
	c := newCommitter(d, 0)
	done := make(chan string, 2)
	c.Submit(note{"a", done})
	if err := c.Close(t.Context()); err != nil {
		t.Fatalf("close: %v", err)
	}
	if got := <-done; got != "a" {
		t.Errorf("got %q, want the work before the close done", got)
	}
	c.Submit(note{"b", done})
	if got, want := <-done, "b: "+store.ErrClosed.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A database that does not answer is waited for, from when it stopped.
func TestCommitWaitsForADatabaseThatDoesNotAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		wait   time.Duration
		broken error
		heals  bool
		want   string
	}{
		{"it comes back in time", time.Minute, store.ErrUnavailable, true, "a"},
		{"nobody wants to wait", 0, store.ErrUnavailable, false, "a: " + store.ErrUnavailable.Error()},
		{"nobody knows what became of it", time.Minute, fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrOutcome), false, "a: "},
		{"the batch itself is refused", time.Minute, store.ErrConflict, false, "a: " + store.ErrConflict.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &disk{broken: tt.broken}
			c := newCommitter(d, tt.wait)
			done := make(chan string, 1)
			c.Submit(note{"a", done})
			if tt.heals {
				select {
				case got := <-done:
					t.Fatalf("it gave up: %s", got)
				case <-time.After(50 * time.Millisecond):
				}
				d.mu.Lock()
				d.broken = nil
				d.mu.Unlock()
			}
			if got := <-done; !strings.HasPrefix(got, tt.want) || (tt.want == "a" && got != "a") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Rows that nobody waits for outlive a database that does not answer.
func TestJournalTriesAgain(t *testing.T) {
	d := &disk{broken: store.ErrUnavailable}
	c := start(t, d)
	j := commit.NewJournal(c)
	j.SavePresence(&store.Presence{ID: "p", Version: 1})
	j.Append(&audit.Entry{EventType: "first"})
	if err := c.Flush(t.Context()); err == nil {
		t.Fatal("the database did not answer, and it was written")
	}
	j.SavePresence(&store.Presence{ID: "p", Version: 2})
	j.Append(&audit.Entry{EventType: "second"})
	d.mu.Lock()
	d.broken = nil
	d.mu.Unlock()
	deadline := time.Now().Add(10 * time.Second)
	for {
		d.mu.Lock()
		events, version := d.events, d.version
		d.mu.Unlock()
		if fmt.Sprint(events) == "[first second]" && version == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got the events %v and version %d, want first, second and 2", events, version)
		}
		time.Sleep(time.Millisecond)
	}
	if err := c.Flush(t.Context()); err != nil { // what was written before it is counted then
		t.Fatal(err)
	}
	if n := c.Counters.Audited.Load(); n != 2 {
		t.Errorf("%d entries are counted, want two: a transaction that failed wrote none", n)
	}
}

// script fails the first transaction and holds the second and the third.
type script struct {
	mu          sync.Mutex
	n           int
	began, goOn [4]chan struct{}
}

func newScript() *script {
	s := new(script)
	for i := range s.began {
		s.began[i], s.goOn[i] = make(chan struct{}), make(chan struct{})
	}
	return s
}

func (s *script) Commit(context.Context, *store.Batch) error {
	s.mu.Lock()
	n := s.n
	s.n++
	s.mu.Unlock()
	if n == 0 {
		return store.ErrConflict
	}
	if n < len(s.began) {
		close(s.began[n])
		<-s.goOn[n]
	}
	return nil
}

// A mark whose transaction failed counts as written when it is, and not when the
// ones after it are.
func TestMarkThatFailedIsNotSettledEarly(t *testing.T) {
	s := newScript()
	c := newCommitter(s, 0)
	lost := c.Settle(store.Settlement{Seq: 1})
	for c.Counters.Failures.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Settle(store.Settlement{Seq: 2})
	<-s.began[1]
	third := c.Settle(store.Settlement{Seq: 3})
	for end := time.Now().Add(10 * time.Second); c.Adrift() > 0; { // until the first is queued again
		if time.Now().After(end) {
			t.Fatal("the first mark was not tried again")
		}
		time.Sleep(time.Millisecond)
	}
	close(s.goOn[1])
	<-s.began[2]
	if got := c.Settled(); got >= lost {
		t.Errorf("mark %d counts as written, by %d, before it is", lost, got)
	}
	close(s.goOn[2])
	close(s.goOn[3])
	for end := time.Now().Add(10 * time.Second); c.Settled() < third; {
		if time.Now().After(end) {
			t.Fatalf("settled up to %d, want %d", c.Settled(), third)
		}
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
