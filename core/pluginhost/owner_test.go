package pluginhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/sdk"
)

// ownerLink is a link whose plugin answers requests.
func ownerLink(t testing.TB) config.Link {
	t.Helper()
	l := link(t, "drill")
	l.Plugin.Stage, l.Plugin.Role, l.Plugin.Kinds, l.Plugin.InFlight = "keeper", config.Owner, []string{"keep", "forge"}, 64
	l.OnFailure, l.Then = config.FailClosed, ""
	l.Plugin.Restart.Crashes = 1000
	return l
}

// request is who asks, one of many members.
func request(kind sdk.Kind, member int) *sdk.Envelope {
	return &sdk.Envelope{
		Kind: kind, Mesh: fmt.Sprintf("mesh-%d", member%3), Size: 40, Arrived: time.Now(),
		Sender: sdk.Sender{MemberID: fmt.Sprintf("m-%d", member), Member: sdk.Key{1}, Name: "ada", Conn: uint64(member)},
	}
}

func answerOf(t testing.TB, s sdk.Stage, kind sdk.Kind, do string) (sdk.Decision, error) {
	t.Helper()
	return answerTo(t, s, kind, 1, do)
}

func answerTo(t testing.TB, s sdk.Stage, kind sdk.Kind, member int, do string) (sdk.Decision, error) {
	t.Helper()
	return s.(chain.Answerer).Answer(t.Context(), request(kind, member), fmt.Appendf(nil, `{"do":%q}`, do))
}

func TestAnOwnerAnswers(t *testing.T) {
	h := newHost(t)
	s := start(t, h, ownerLink(t))
	d, err := answerOf(t, s, "keep", "")
	f, ok := d.Reply.(chain.Foreign)
	if err != nil || !ok || d.Verdict != sdk.Answer || f.Type != "kept" {
		t.Fatalf("%+v, %v", d, err)
	}
	var said struct {
		PID        int
		Mesh, Name string
	}
	if err := json.Unmarshal(f.Fields, &said); err != nil || said.PID != status(t, h).PID || said.Mesh != "mesh-1" {
		t.Errorf("%s, %v", f.Fields, err)
	}
	if said.Name != "" {
		t.Error("without identity.read it knows who asks")
	}
	terms := s.(chain.Answerer).Terms("keep")
	if terms.Permission != "canWriteState" || terms.Refusal.Type != "kept" {
		t.Errorf("terms %+v", terms)
	}
}

func TestWhatAnOwnerMayNotSay(t *testing.T) {
	h := newHost(t)
	s := start(t, h, ownerLink(t))
	if d, err := answerOf(t, s, "keep", "refuse"); err != nil || d.Verdict != sdk.Deny || d.Reason != "too_long" || d.Text != "a note has 3 bytes" {
		t.Errorf("a refusal: %+v, %v", d, err)
	}
	for do, want := range map[string]string{
		"fail":  "plugin: its disk is away",
		"panic": "plugin: panic: as told",
		"long":  "plugin: its answer to keep has 2097",
	} {
		if d, err := answerOf(t, s, "keep", do); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%s: %+v, %v; want %s", do, d, err, want)
		}
	}
	if _, err := answerOf(t, s, "forge", ""); err == nil {
		t.Error("a field of the broker's passes")
	}
	if n := status(t, h).Hop.Breaches; n != 2 {
		t.Errorf("%d breaches, want 2", n)
	}
	if _, err := answerOf(t, s, "keep", ""); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// What a link grants is what the stage owns, no more and no less.
func TestKindsOfALink(t *testing.T) {
	tests := map[string]struct {
		change func(*config.Link)
		want   string
	}{
		"one too few": {func(l *config.Link) { l.Plugin.Kinds = []string{"keep"} },
			"the stage keeper owns forge, which the link does not grant; to allow it, write in the link's plugin: kinds: [keep, forge]"},
		"one misspelt": {func(l *config.Link) { l.Plugin.Kinds = []string{"keep", "forge", "keeq"} },
			"the stage keeper does not own keeq (did you mean keep?): take it out of the link's plugin.kinds"},
		"a gate": {func(l *config.Link) { l.Plugin.Role, l.Plugin.Kinds = config.Gate, nil },
			"the stage keeper judges nothing and answers requests; say role: owner, and kinds: [keep, forge]"},
		"a stage without kinds": {func(l *config.Link) { l.Plugin.Stage = "drill" },
			"the stage drill owns no kinds; say role: gate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := ownerLink(t)
			tt.change(&l)
			_, err := tryStart(t, newHost(t), l)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// One member does not keep the others from a plugin.
func TestPlacesOfMembers(t *testing.T) {
	s := start(t, newHost(t), ownerLink(t))
	var busy, answered atomic.Int64
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			d, err := answerOf(t, s, "keep", "sleep")
			switch {
			case err != nil:
				t.Error(err)
			case d.Reason == sdk.ReasonCapacity:
				busy.Add(1)
			default:
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	if busy.Load() == 0 || answered.Load() < 8 {
		t.Errorf("%d answered, %d turned away; want at most 8 at a time", answered.Load(), busy.Load())
	}
}

// A plugin that is killed again and again under load costs the requests that it
// has in hand, and those that come while it is away fail at once.
func TestAnOwnerIsKilledUnderLoad(t *testing.T) {
	h := newHost(t)
	l := ownerLink(t)
	s := start(t, h, l)
	ctx, cancel := context.WithCancel(t.Context())
	var good, failed atomic.Int64
	var slowest atomic.Int64
	var wg sync.WaitGroup
	for member := range 12 {
		wg.Go(func() {
			for ctx.Err() == nil {
				since := time.Now()
				d, err := s.(chain.Answerer).Answer(context.Background(), request("keep", member), []byte(`{}`))
				slowest.Store(max(slowest.Load(), int64(time.Since(since))))
				switch {
				case err != nil:
					failed.Add(1)
				case d.Verdict == sdk.Answer:
					good.Add(1)
				default:
					t.Errorf("%+v", d)
				}
			}
		})
	}
	for round := range 5 {
		before := good.Load()
		until(t, "answers", func() bool { return good.Load() > before+100 })
		pid := status(t, h).PID
		kill(t, pid, syscall.SIGKILL)
		until(t, fmt.Sprintf("the process after kill %d", round+1), func() bool { st := status(t, h); return st.PID != 0 && st.PID != pid && st.Down == "" })
	}
	before := good.Load()
	until(t, "answers after the last", func() bool { return good.Load() > before+100 })
	cancel()
	wg.Wait()
	if failed.Load() == 0 {
		t.Error("no request was in hand, or came meanwhile")
	}
	if longest := time.Duration(slowest.Load()); longest >= l.Deadline {
		t.Errorf("a request waited %v for a process that was gone", longest)
	}
}

// A process that is frozen is found by the request that misses its deadline.
func TestAFrozenOwnerIsReplaced(t *testing.T) {
	h := newHost(t)
	l := ownerLink(t)
	l.Deadline, l.Plugin.HangAfter = 200*time.Millisecond, 200*time.Millisecond
	s := start(t, h, l)
	pid := status(t, h).PID
	kill(t, pid, syscall.SIGSTOP)
	until(t, "each thread to stop", func() bool { return processtest.Stopped(pid) })
	if _, err := answerOf(t, s, "keep", ""); err == nil {
		t.Error("a frozen process answers")
	}
	until(t, "another process", func() bool { st := status(t, h); return st.PID != 0 && st.PID != pid && st.Down == "" })
	if st := status(t, h); st.Restarts["hang"] != 1 {
		t.Errorf("restarts %v, want one for a hang", st.Restarts)
	}
	if _, err := answerOf(t, s, "keep", ""); err != nil {
		t.Errorf("the next process: %v", err)
	}
}

// A stage that is slow and alive is left alone for a while by the mesh whose members
// it lets wait, and its process stays.
func TestASlowOwnerIsLeftAlone(t *testing.T) {
	h := newHost(t)
	l := ownerLink(t)
	l.Deadline, l.Plugin.Breaker.Open = 2*time.Second, 3*time.Second
	s := start(t, h, l)
	pid := status(t, h).PID
	stuck(t, s, 1, 4, 7)
	if _, err := answerOf(t, s, "keep", ""); err == nil {
		t.Error("it is asked while the breaker is open")
	}
	if _, err := answerTo(t, s, "keep", 2, ""); err != nil {
		t.Errorf("another mesh: %v", err)
	}
	until(t, "the breaker to close", func() bool { _, err := answerOf(t, s, "keep", ""); return err == nil })
	if status(t, h).PID != pid {
		t.Error("it was replaced")
	}
}

// stuck lets members ask at once for what takes too long.
func stuck(t *testing.T, s sdk.Stage, members ...int) {
	t.Helper()
	var all sync.WaitGroup
	for _, member := range members {
		all.Go(func() {
			if d, err := s.(chain.Answerer).Answer(context.Background(), request("keep", member), []byte(`{"do":"stuck"}`)); err == nil {
				t.Errorf("member %d is answered: %+v", member, d)
			}
		})
	}
	all.Wait()
}

// One member's requests that take too long shut the plugin for nobody, however many
// they are.
func TestFlawOneMemberDoesNotShutAnOwner(t *testing.T) {
	l := ownerLink(t)
	l.Deadline, l.Plugin.Breaker.Open, l.Plugin.Breaker.Batches = 2*time.Second, time.Minute, 4
	s := start(t, newHost(t), l)
	stuck(t, s, 1, 1, 1, 1, 1, 1, 1, 1)
	for member := range 9 { // of three meshes, hers among them
		if _, err := answerTo(t, s, "keep", member, ""); err != nil {
			t.Errorf("member %d: %v", member, err)
		}
	}
}

// What fails is the request of one member: it says nothing about those of others,
// however often it is sent.
func TestFailedAnswersAreTheAskersOwn(t *testing.T) {
	s := start(t, newHost(t), ownerLink(t))
	for range 40 {
		if _, err := answerOf(t, s, "keep", "fail"); err == nil || err.Error() != "plugin: its disk is away" {
			t.Fatalf("got %v", err)
		}
	}
	if d, err := s.(chain.Answerer).Answer(t.Context(), request("keep", 2), []byte(`{}`)); err != nil || d.Verdict != sdk.Answer {
		t.Errorf("another member: %+v, %v", d, err)
	}
}

// A stop waits for what is in hand.
func TestAnOwnerStopsBehindItsRequests(t *testing.T) {
	h := newHost(t)
	s := start(t, h, ownerLink(t))
	var asked sync.WaitGroup
	errs := make(chan error, 4)
	for member := range 4 {
		asked.Go(func() {
			_, err := s.(chain.Answerer).Answer(context.Background(), request("keep", member), []byte(`{"do":"sleep"}`))
			errs <- err
		})
	}
	until(t, "requests in hand", func() bool { return status(t, h).Hop.InHand == 4 })
	stop(t, s)
	asked.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}
