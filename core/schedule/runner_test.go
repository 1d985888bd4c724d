package schedule

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// rig is a store with a clock, and nodes that fire what is in it.
type rig struct {
	t     *testing.T
	store *sqlite.Store
	ada   *store.Member
	texts Texts

	mu    sync.Mutex
	now   time.Time
	sent  map[string]string // what was accepted, by its id
	order []string          // texts in the order in which they were accepted
	asked int
	why   func(o *Occurrence) error // refuses; nil accepts
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: freshtest.Path(t), Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, store: st, sent: map[string]string{}, now: time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)}
	r.texts = NewTexts(identity.NewAtRest([identity.AtRestKeySize]byte{1}))
	r.ada = &store.Member{ID: identity.NewID(), MeshID: "mesh", Key: sdk.Key{1}, DisplayName: "ada", Role: store.RoleMember, MessageMode: "push", JoinedAt: r.now}
	if err := st.CreateMesh(t.Context(), &store.Mesh{ID: "mesh", Slug: "mesh", CreatedAt: r.now}, []*store.Member{r.ada}); err != nil {
		t.Fatal(err)
	}
	return r
}

// node makes one of those that fire. Its members are read from the store each time.
func (r *rig) node() *Runner {
	return New(Options{
		Store: r.store, Members: r.store, Texts: r.texts, Send: r.send, Ready: func() bool { return true },
		Alone: func(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) },
		Now:   r.clock, Log: slog.New(slog.DiscardHandler),
	})
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// send accepts as the broker does: one id is one message.
func (r *rig) send(_ context.Context, o *Occurrence) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.why != nil {
		if err := r.why(o); err != nil {
			return err
		}
	}
	text := o.Ciphertext
	if o.Unsealed {
		b, err := base64.StdEncoding.DecodeString(o.Ciphertext)
		if err != nil {
			return err
		}
		text = string(b)
	}
	if _, repeated := r.sent[o.ID]; !repeated {
		r.sent[o.ID] = text
		r.order = append(r.order, text)
	}
	return nil
}

// refuse has everything be refused.
func (r *rig) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why = func(*Occurrence) error { return err }
}

func (r *rig) accept() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why = nil
}

// plan writes a schedule that is due in so long.
func (r *rig) plan(in time.Duration, text string, edit ...func(*store.Schedule)) string {
	r.t.Helper()
	due := r.clock().Add(in)
	row := &store.Schedule{
		ID: identity.NewUUID(), MeshID: "mesh", MemberID: r.ada.ID, To: "*", CreatedAt: r.clock(), DueAt: due, WakeAt: due,
		State: store.ScheduleWaiting,
	}
	for _, f := range edit {
		f(row)
	}
	if row.Form == "" {
		r.texts.Put(row, text)
	}
	if _, _, err := r.store.CreateSchedule(r.t.Context(), row, store.Room{Mesh: 1000, Member: 1000}); err != nil {
		r.t.Fatal(err)
	}
	return row.ID
}

func cronned(expression string) func(*store.Schedule) {
	return func(s *store.Schedule) { s.Cron = expression }
}

// look has a node look once, and waits until what it fires is written.
func (r *rig) look(n *Runner) {
	r.t.Helper()
	if _, err := n.step(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	n.firing.Wait()
}

func (r *rig) row(id string) *store.Schedule {
	r.t.Helper()
	list, err := r.store.ListSchedules(r.t.Context(), "mesh", r.ada.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s *store.Schedule) bool { return s.ID == id })
	if i < 0 {
		r.t.Fatalf("%s is not there", id)
	}
	return list[i]
}

func (r *rig) wantSent(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.order, want) {
		r.t.Errorf("got %q, want %q", r.order, want)
	}
}

func (r *rig) wantRow(id string, state store.ScheduleState, due time.Duration, failure string) {
	r.t.Helper()
	row := r.row(id)
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC).Add(due)
	if row.State != state || !row.DueAt.Equal(at) || !strings.HasPrefix(row.Failure, failure) || (failure == "") != (row.Failure == "") || row.Claim != "" {
		r.t.Errorf("got %s, due %s, failure %q, claim %q; want %s, due %s, failure %q",
			row.State, row.DueAt, row.Failure, row.Claim, state, at, failure)
	}
	if row.Ended() == row.EndedAt.IsZero() {
		r.t.Errorf("%s ended at %s", row.State, row.EndedAt)
	}
}

func TestOnceFiresOnce(t *testing.T) {
	r := newRig(t)
	n := r.node()
	id := r.plan(time.Minute, "tea")
	r.look(n)
	r.wantSent()
	r.pass(time.Minute)
	r.look(n)
	r.look(n)
	r.pass(time.Hour)
	r.look(r.node())
	r.wantSent("tea")
	r.wantRow(id, store.ScheduleFired, time.Minute, "")
	if row := r.row(id); row.Body != "" || row.Fired != 1 || !row.FiredAt.Equal(row.DueAt) {
		t.Errorf("got %+v", row)
	}
	if n.Counters.Sent.Load() != 1 || n.Counters.Late.Load() != 0 {
		t.Error("it was not counted as sent in time")
	}
}

func TestFlawExt38CronFiresAgainAndAgain(t *testing.T) {
	r := newRig(t)
	n := r.node()
	id := r.plan(10*time.Minute, "tea", cronned("*/10 * * * *"))
	for range 25 {
		r.pass(time.Minute)
		r.look(n)
	}
	r.wantSent("tea", "tea")
	r.wantRow(id, store.ScheduleWaiting, 30*time.Minute, "")
}

// Times that were missed while no broker ran come as one.
func TestFlawExt37MissedTimesComeLate(t *testing.T) {
	r := newRig(t)
	once := r.plan(time.Minute, "once")
	many := r.plan(10*time.Minute, "many", cronned("*/10 * * * *"))
	r.pass(26 * time.Hour)
	r.pass(5 * time.Minute)
	n := r.node()
	r.look(n)
	r.look(n)
	slices.Sort(r.order) // they are sent side by side
	r.wantSent("many", "once")
	r.wantRow(once, store.ScheduleFired, time.Minute, "")
	r.wantRow(many, store.ScheduleWaiting, 26*time.Hour+10*time.Minute, "")
	if late := n.Counters.Lateness.Series(time.Hour); late.Count != 2 || late.Sum < 2*lateAfter.Seconds() {
		t.Errorf("%d are late, by %g s together", late.Count, late.Sum)
	}
	if n.Counters.Late.Load() != 2 {
		t.Errorf("%d are late", n.Counters.Late.Load())
	}
}

// A timer of the original could not wait for longer than 24.8 days.
func TestFlawExt04FarAwayFiresOnce(t *testing.T) {
	r := newRig(t)
	n := r.node()
	r.plan(400*24*time.Hour, "once")
	yearly := r.plan(303*24*time.Hour-9*time.Hour, "yearly", cronned("0 0 1 1 *"))
	for range 20 {
		r.look(n)
		r.pass(10 * 24 * time.Hour)
	}
	r.wantSent()
	r.pass(150 * 24 * time.Hour)
	r.look(n)
	r.look(n)
	r.wantSent("yearly")
	r.wantRow(yearly, store.ScheduleWaiting, (303+365)*24*time.Hour-9*time.Hour, "")
}

// Whatever is refused for the moment is tried again, with longer and longer pauses,
// and is then one message.
func TestRefusedForTheMoment(t *testing.T) {
	for name, err := range map[string]error{
		"a rate limit":            &core.Error{Code: sdk.ReasonRateLimit, Message: "rate_limit: slow down", RetryAfter: 7 * time.Second},
		"a store that fails":      core.Unavailable(errors.New("away")),
		"a plugin that says when": &core.Error{Code: "busy", Message: "later", RetryAfter: time.Second},
		"no answer in time":       context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			n := r.node()
			id := r.plan(0, "tea")
			r.refuse(err)
			for range 360 {
				r.look(n)
				r.pass(10 * time.Second)
			}
			refused, _ := errors.AsType[*core.Error](err)
			code := string(sdk.ReasonUnavailable)
			if refused != nil {
				code = string(refused.Code)
			}
			r.wantRow(id, store.ScheduleWaiting, 0, code+": ")
			if r.asked < 10 || r.asked > 25 { // eight pauses up to the longest, then one each five minutes
				t.Errorf("it was tried %d times in an hour", r.asked)
			}
			r.accept()
			r.pass(longestPause)
			r.look(n)
			r.wantSent("tea")
			r.wantRow(id, store.ScheduleFired, 0, "")
		})
	}
}

func TestGivesUp(t *testing.T) {
	r := newRig(t)
	n := r.node()
	once, many := r.plan(0, "once"), r.plan(0, "many", cronned("0 9 * * *"))
	r.refuse(&core.Error{Code: sdk.ReasonRateLimit, Message: "rate_limit: slow down"})
	for range 13 * 12 {
		r.look(n)
		r.pass(longestPause)
	}
	r.wantRow(once, store.ScheduleFailed, 0, "rate_limit: ")
	r.wantRow(many, store.ScheduleWaiting, 24*time.Hour, "rate_limit: ")
	r.accept()
	r.pass(24 * time.Hour)
	r.look(n)
	r.wantSent("many")
}

// After a weekend without a broker all is overdue at once, and the rate limit lets
// through a few.
func TestOverdueIsTriedAgainToo(t *testing.T) {
	for name, edit := range map[string]func(*store.Schedule){"once": func(*store.Schedule) {}, "by cron": cronned("0 9 * * *")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			n := r.node()
			id := r.plan(0, "tea", edit)
			r.pass(60 * time.Hour)
			r.refuse(&core.Error{Code: sdk.ReasonRateLimit, Message: "rate_limit: slow down", RetryAfter: time.Second})
			r.look(n)
			r.wantRow(id, store.ScheduleWaiting, 0, "rate_limit: ")
			r.accept()
			r.pass(firstPause)
			r.look(n)
			r.wantSent("tea")
		})
	}
}

// Stages of others word refusals as they like. What no text column of a database
// takes must not keep a schedule from being written down.
func TestWhyIsAText(t *testing.T) {
	r := newRig(t)
	id := r.plan(0, "tea")
	r.refuse(core.Refuse("busy", "not\x00now\xff: later"))
	r.look(r.node())
	r.wantRow(id, store.ScheduleFailed, 0, "busy: not\uFFFDnow\uFFFD: later")
}

// What is refused for good is not tried again, and its creator can see why.
func TestRefusedForGood(t *testing.T) {
	r := newRig(t)
	n := r.node()
	once, many := r.plan(0, "once"), r.plan(0, "many", cronned("0 9 * * *"))
	r.refuse(core.Refuse(sdk.ReasonBlocked, "blocked: they do not want it"))
	for range 10 {
		r.look(n)
		r.pass(longestPause)
	}
	r.wantRow(once, store.ScheduleFailed, 0, "blocked: they do not want it")
	r.wantRow(many, store.ScheduleWaiting, 24*time.Hour, "blocked: they do not want it")
	if r.asked != 2 || n.Counters.Refused.Load() != 2 {
		t.Errorf("it was tried %d times", r.asked)
	}
	if text, err := r.texts.Get(r.row(once)); text != "once" || err != nil {
		t.Errorf("its text is %q, %v", text, err)
	}
	r.accept()
	r.pass(24 * time.Hour)
	r.look(n)
	r.wantSent("many")
	r.wantRow(many, store.ScheduleWaiting, 48*time.Hour, "")
}

// A schedule is its creator's alone, and ends with it.
func TestFlawExt25NobodyElseIsTheAuthor(t *testing.T) {
	r := newRig(t)
	n := r.node()
	ids := []string{r.plan(0, "once"), r.plan(0, "many", cronned("* * * * *"))}
	far := r.plan(99*time.Hour, "far")
	if err := r.store.SetRevoked(t.Context(), r.ada.ID, r.now); err != nil {
		t.Fatal(err)
	}
	r.look(n)
	for _, id := range ids {
		r.wantRow(id, store.ScheduleFailed, 0, "revoked: ")
	}
	if err := n.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantRow(far, store.ScheduleFailed, 99*time.Hour, "revoked: ")
	if err := r.store.SetRevoked(t.Context(), r.ada.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	r.pass(100 * time.Hour)
	r.look(n)
	r.wantSent()
}

// A ban ends schedules although it is over before the next sweep would come.
func TestBannedForAMoment(t *testing.T) {
	r := newRig(t)
	far := r.plan(99*time.Hour, "far", cronned("* * * * *"))
	n := r.node()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	defer func() { stop(); <-ended }()
	r.plan(0, "now") // it is sent behind the first sweep
	n.Wake()
	await(t, "the first sweep", func() bool { return n.Counters.Sent.Load() == 1 })
	if err := r.store.SetRevoked(t.Context(), r.ada.ID, r.clock()); err != nil {
		t.Fatal(err)
	}
	n.Revoked()
	await(t, "the schedule to end", func() bool { return r.row(far).Ended() })
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// A node that dies between sending and writing that down leaves a claim. When it is
// over another node sends the same again, and that is one message.
func TestFlawExt39CrashInBetween(t *testing.T) {
	r := newRig(t)
	id := r.plan(0, "tea")
	dead := r.node()
	list, err := r.store.ClaimSchedules(t.Context(), "dead", r.clock(), r.clock().Add(lease), slots)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d rows, %v", len(list), err)
	}
	if err := dead.send(t.Context(), list[0]); err != nil {
		t.Fatal(err)
	}
	n := r.node()
	r.look(n)
	if r.asked != 1 {
		t.Error("the claim did not hold")
	}
	r.pass(lease)
	r.look(n)
	r.wantSent("tea")
	if r.asked != 2 {
		t.Errorf("it was sent %d times", r.asked)
	}
	r.wantRow(id, store.ScheduleFired, 0, "")
}

// Whoever comes back after its claim is over changes nothing.
func TestLateFinish(t *testing.T) {
	r := newRig(t)
	id := r.plan(0, "tea", cronned("0 * * * *"))
	list, err := r.store.ClaimSchedules(t.Context(), "slow", r.clock(), r.clock().Add(lease), slots)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d rows, %v", len(list), err)
	}
	r.pass(lease)
	r.look(r.node())
	before := r.row(id)
	r.node().fire(t.Context(), list[0])
	if after := r.row(id); after.Fired != before.Fired || !after.DueAt.Equal(before.DueAt) {
		t.Errorf("got %+v, want %+v", after, before)
	}
	r.wantSent("tea")
}

// Many nodes look at once.
func TestFlawExt40NodesFireOnce(t *testing.T) {
	r := newRig(t)
	const all = 60
	for n := range all {
		r.plan(time.Duration(n%3)*time.Second, "tea", func(s *store.Schedule) {
			if n%2 == 0 {
				s.Cron = "* * * * *"
			}
		})
	}
	r.pass(3 * time.Second)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() { r.node().Run(ctx) })
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		r.mu.Lock()
		sent := len(r.order)
		r.mu.Unlock()
		if sent >= all {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d were sent", sent, all)
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	nodes.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.order) != all || r.asked != all {
		t.Errorf("%d were sent, %d times, want %d", len(r.order), r.asked, all)
	}
}

// A node that stops leaves what it has not sent to the others, at once.
func TestStopGivesUpClaims(t *testing.T) {
	r := newRig(t)
	r.plan(0, "tea")
	r.refuse(core.Refuse(sdk.ReasonShuttingDown, "the broker stops"))
	r.look(r.node())
	r.accept()
	r.look(r.node())
	r.wantSent("tea")
}

func TestNotReady(t *testing.T) {
	r := newRig(t)
	r.plan(0, "tea")
	n := r.node()
	n.options.Ready = func() bool { return false }
	r.look(n)
	r.wantSent()
}

// One that takes long does not keep the others.
func TestSlowOnes(t *testing.T) {
	r := newRig(t)
	n := r.node()
	held, slow := make(chan struct{}), make(chan struct{}, slots)
	n.options.Send = func(ctx context.Context, o *Occurrence) error {
		if o.Row.Subtype == "slow" {
			slow <- struct{}{}
			<-held
		}
		return r.send(ctx, o)
	}
	for range slots - 1 {
		r.plan(0, "slow", func(s *store.Schedule) { s.Subtype = "slow" })
	}
	r.plan(time.Second, "fast")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	r.pass(time.Second)
	n.Wake()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		sent := slices.Clone(r.order)
		r.mu.Unlock()
		if len(sent) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the fast one waits")
		}
	}
	r.wantSent("fast")
	for range slots - 1 {
		<-slow
	}
	stop()
	close(held)
	<-ended
	if len(r.order) != slots {
		t.Errorf("%d were sent", len(r.order))
	}
}

// What its creator sealed goes out as it came.
func TestSealedByItsCreator(t *testing.T) {
	r := newRig(t)
	r.plan(0, "", func(s *store.Schedule) { s.Form, s.Nonce, s.Body = store.SchedulePeer, "n", "sealed" })
	n := r.node()
	n.options.Send = func(ctx context.Context, o *Occurrence) error {
		if o.Unsealed || o.Nonce != "n" {
			t.Errorf("got %+v", o)
		}
		return r.send(ctx, o)
	}
	r.look(n)
	r.wantSent("sealed")
}

func TestFlawExt19TextsAreSealedAtRest(t *testing.T) {
	r := newRig(t)
	id := r.plan(0, "a secret text")
	row := r.row(id)
	if row.Form != store.ScheduleAtRest || strings.Contains(row.Body, "secret") {
		t.Errorf("%s is stored as %s", row.Body, row.Form)
	}
	for name, texts := range map[string]Texts{
		"no key": NewTexts(nil), "another key": NewTexts(identity.NewAtRest([identity.AtRestKeySize]byte{2})),
	} {
		if text, err := texts.Get(row); err == nil || text != "" {
			t.Errorf("%s: got %q", name, text)
		}
	}
	other := *row
	other.ID = "another"
	if _, err := r.texts.Get(&other); err == nil {
		t.Error("it is opened for another row")
	}
	n := r.node()
	n.options.Texts = NewTexts(nil)
	r.look(n)
	r.wantSent()
	r.wantRow(id, store.ScheduleFailed, 0, "internal: ")
	plain := &store.Schedule{}
	NewTexts(nil).Put(plain, "tea")
	if text, err := r.texts.Get(plain); plain.Body != "tea" || text != "tea" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestFlawExt57EndedOnesAreDeleted(t *testing.T) {
	r := newRig(t)
	n := r.node()
	old := r.plan(0, "old")
	r.look(n)
	r.pass(Keep)
	r.plan(0, "new")
	r.look(n)
	r.pass(time.Second)
	if err := n.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := r.store.ListSchedules(t.Context(), "mesh", r.ada.ID)
	if err != nil || len(list) != 1 || list[0].ID == old {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestPause(t *testing.T) {
	limited := func(d time.Duration) *core.Error { return &core.Error{RetryAfter: d} }
	for _, tt := range []struct {
		attempts int64
		refused  *core.Error
		want     time.Duration
	}{
		{0, nil, firstPause}, {1, nil, 2 * firstPause}, {4, nil, 16 * firstPause}, {9, nil, longestPause}, {1 << 40, nil, longestPause},
		{0, limited(time.Minute), time.Minute}, {5, limited(time.Second), 32 * firstPause}, {0, limited(time.Hour), longestPause},
	} {
		if got := pause(tt.attempts, tt.refused); got != cmp.Or(tt.want, longestPause) {
			t.Errorf("after %d: got %s, want %s", tt.attempts, got, tt.want)
		}
	}
}
