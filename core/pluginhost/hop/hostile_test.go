package hop_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// A process may come up while its stage is stopped.
func TestUpBesideClose(t *testing.T) {
	conn, _ := process(t, &fake{})
	for range 2000 {
		h := hop.New(options())
		var wg sync.WaitGroup
		wg.Go(func() { _ = h.Up(hop.Session{Conn: conn, Instance: "1"}) })
		wg.Go(h.Close)
		wg.Wait()
		if _, err := h.Ask(t.Context(), message(1)); err == nil {
			t.Fatal("a closed hop was asked")
		}
	}
}

// putOff is a connection on which no stream is ever opened.
type putOff struct{ grpc.ClientConnInterface }

func (putOff) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestStreamThatIsNeverOpened(t *testing.T) {
	h := newHop(t, options())
	up := make(chan error, 1)
	go func() { up <- h.Up(hop.Session{Conn: putOff{}, Instance: "1", Stream: true}) }()
	if err := receive(t, "Up to give up", up); err == nil {
		t.Error("it is up")
	}
}

// failing is a plugin of the simple level whose calls fail as a test says.
type failing struct {
	fake
	process, observe func() error
}

func (f *failing) ProcessBatch(_ context.Context, b *pluginpb.Batch) (*pluginpb.Verdicts, error) {
	return allow(b), f.process()
}

func (f *failing) ObserveBatch(_ context.Context, o *pluginpb.Outcomes) (*pluginpb.Observed, error) {
	return &pluginpb.Observed{Seq: o.GetSeq()}, f.observe()
}

func simple(s *hop.Session) { s.Stream = false }

// What a failed call leaves of the window goes to the next envelope.
func TestFailedCallFreesTheWindow(t *testing.T) {
	entered, goOn := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	f := &failing{process: func() error {
		if calls.Add(1) > 1 {
			return nil
		}
		close(entered)
		<-goOn
		return status.Error(codes.Unknown, "exception")
	}}
	o := options()
	o.Window = 1
	h := newHop(t, o)
	conn, _ := process(t, f)
	connect(t, h, conn, simple)
	one := answers(t, h, 1)
	receive(t, "the call", entered)
	two := answers(t, h, 1)
	until(t, "the second envelope", func() bool { return h.Stats().Waiting == 1 })
	close(goOn)
	wantFailure(t, receive(t, "the failure", one), hop.FailStage)
	if err := receive(t, "the next", two); err != nil {
		t.Error(err)
	}
}

// An observer whose calls fail misses those outcomes and gets the next.
func TestFailedOutcomes(t *testing.T) {
	var told atomic.Int64
	f := &failing{observe: func() error { told.Add(1); return status.Error(codes.Unknown, "exception") }}
	h := newHop(t, options())
	conn, _ := process(t, f)
	connect(t, h, conn, simple)
	for i := range 20 {
		h.Observe(message(1), sdk.Outcome{Decision: sdk.Next()})
		until(t, "the outcome", func() bool { return told.Load() == int64(i+1) && h.Idle() })
	}
	if s := h.Stats(); s.Missed != 20 {
		t.Errorf("%d missed, want 20", s.Missed)
	}
}

func TestObserverThatHangs(t *testing.T) {
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	o := options()
	o.HangAfter = 100 * time.Millisecond
	h, broken := watched(t, o, &fake{deaf: true, observe: func(*pluginpb.Outcomes) { <-block }})
	h.Observe(message(1), sdk.Outcome{Decision: sdk.Next()})
	if reason := receive(t, "the report", broken); reason != "hang" {
		t.Errorf("reported as %q, want hang", reason)
	}
}

// A plugin of the simple level that is slow and answers health checks is left
// to the breaker.
func TestSlowOnTheSimpleLevel(t *testing.T) {
	o := options()
	o.Deadline, o.HangAfter = 50*time.Millisecond, 600*time.Millisecond
	f := &failing{process: func() error { time.Sleep(time.Second); return nil }}
	h := newHop(t, o)
	conn, _ := process(t, f)
	broken := connect(t, h, conn, simple)
	for range 6 {
		if err := receive(t, "an answer", answers(t, h, 1)); err == nil {
			t.Error("a late answer counts")
		}
	}
	until(t, "the late answers", func() bool { return h.Stats().InHand == 0 })
	select {
	case reason := <-broken:
		t.Errorf("replaced as %q", reason)
	default:
	}
}

// A breaker opens for slow deadlines too, and the next process starts without
// what its predecessor did.
func TestBreakerOfADeadline(t *testing.T) {
	o := options()
	o.Deadline, o.HangAfter = 1100*time.Millisecond, time.Minute
	h, _ := watched(t, o, &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
	for range 3 {
		wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDeadline)
	}
	if s := h.Stats(); s.Breaker != "open" {
		t.Fatalf("the breaker is %s after three misses", s.Breaker)
	}
	conn, _ := process(t, &fake{})
	connect(t, h, conn)
	if err := receive(t, "the answer of the next process", answers(t, h, 1)); err != nil {
		t.Error(err)
	}
}

// The time to wait for a process counts from when it went away.
func TestReplayOfWhatWasLongInHand(t *testing.T) {
	o := options()
	o.HoldMax = time.Second
	h := newHop(t, o)
	conn, kill := process(t, &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
	connect(t, h, conn, func(s *hop.Session) { s.Idempotent = true })
	ended := answers(t, h, 1)
	sent := time.Now()
	until(t, "the batch to be older than that", func() bool { return h.Stats().InHand == 1 && time.Since(sent) > 1200*time.Millisecond })
	kill()
	until(t, "the end", func() bool { return !h.Stats().Up })
	conn, _ = process(t, &fake{})
	connect(t, h, conn)
	if err := receive(t, "the answer", ended); err != nil {
		t.Error(err)
	}
}

// A plugin may lower its window, and not so far that nothing moves.
func TestCreditOfNothing(t *testing.T) {
	f := &fake{}
	h := up(t, options(), f)
	if err := receive(t, "the answer", answers(t, h, 1)); err != nil {
		t.Fatal(err)
	}
	f.sent(&pluginpb.PluginFrame{Credit: &pluginpb.Credit{}})
	until(t, "the window", func() bool { return h.Stats().Window == 1 })
	if err := receive(t, "the answer", answers(t, h, 1)); err != nil {
		t.Error(err)
	}
}

// counter counts log records.
type counter struct{ n atomic.Int64 }

func (*counter) Enabled(context.Context, slog.Level) bool    { return true }
func (c *counter) Handle(context.Context, slog.Record) error { c.n.Add(1); return nil }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c *counter) WithGroup(string) slog.Handler             { return c }

func TestFloodOfLogs(t *testing.T) {
	f, c := &fake{}, new(counter)
	o := options()
	o.Log = slog.New(c)
	h := up(t, o, f)
	if err := receive(t, "the answer", answers(t, h, 1)); err != nil {
		t.Fatal(err)
	}
	records := make([]*pluginpb.LogRecord, 64)
	for i := range records {
		records[i] = &pluginpb.LogRecord{Level: 8, Message: "flood"}
	}
	begun := time.Now()
	for range 200 {
		f.sent(&pluginpb.PluginFrame{Logs: records})
	}
	if err := receive(t, "an answer behind the flood", answers(t, h, 1)); err != nil {
		t.Fatal(err)
	}
	seconds := int64(time.Since(begun)/time.Second) + 2
	if n := c.n.Load(); n > 201*seconds {
		t.Errorf("%d records in %d s", n, seconds)
	}
}

// Lists that no answer can have are refused before they are decoded.
func TestListsWithoutEnd(t *testing.T) {
	for name, frame := range map[string]*pluginpb.PluginFrame{
		"exceptions": {Verdicts: &pluginpb.Verdicts{Exceptions: make([]*pluginpb.Verdict, 65)}},
		"notes":      {Verdicts: &pluginpb.Verdicts{Exceptions: []*pluginpb.Verdict{{Attributes: make([]*pluginpb.Attribute, 17)}}}},
		"logs":       {Logs: make([]*pluginpb.LogRecord, 257)},
	} {
		t.Run(name, func(t *testing.T) {
			fill(frame)
			f := &fake{}
			h, broken := watched(t, options(), f)
			if err := receive(t, "the answer", answers(t, h, 1)); err != nil {
				t.Fatal(err)
			}
			f.sent(frame)
			if reason := receive(t, "the report", broken); reason != "protocol" {
				t.Errorf("reported as %q, want protocol", reason)
			}
		})
	}
}

// fill puts empty messages where a frame has none.
func fill(f *pluginpb.PluginFrame) {
	for i := range f.GetVerdicts().GetExceptions() {
		if f.Verdicts.Exceptions[i] == nil {
			f.Verdicts.Exceptions[i] = new(pluginpb.Verdict)
		}
		for j := range f.Verdicts.Exceptions[i].Attributes {
			f.Verdicts.Exceptions[i].Attributes[j] = new(pluginpb.Attribute)
		}
	}
	for i := range f.Logs {
		f.Logs[i] = new(pluginpb.LogRecord)
	}
}
