package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// world is a store in memory, with what was told and a clock of its own.
type world struct {
	mu      sync.Mutex
	now     time.Time
	rows    []*store.Watch
	told    []string
	away    bool // nobody is connected
	asked   int  // how often it was tried to tell
	members map[string]*store.Member
}

func (w *world) DueWatches(_ context.Context, t time.Time, skip, limit int) (list []*store.Watch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range w.rows {
		if !row.NextAt.After(t) {
			copied := *row
			list = append(list, &copied)
		}
	}
	slices.SortStableFunc(list, func(a, b *store.Watch) int { return a.NextAt.Compare(b.NextAt) })
	list = list[min(skip, len(list)):]
	return list[:min(limit, len(list))], nil
}

func (w *world) SetWatchState(_ context.Context, id string, st *store.WatchState) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range w.rows {
		if row.ID == id {
			row.WatchState = *st
			return nil
		}
	}
	return store.ErrNotFound
}

func (w *world) Mesh(context.Context, string) (*store.Mesh, error) {
	return &store.Mesh{OwnerKey: sdk.Key{1}}, nil
}

func (w *world) MemberByID(_ context.Context, id string) (*store.Member, error) {
	if m := w.members[id]; m != nil {
		return m, nil
	}
	return nil, errors.New("away")
}

func (w *world) UntoldWatches(_ context.Context, after string, limit int) (list []*store.Watch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range w.rows {
		if row.ID > after && !row.Untold.At.IsZero() {
			copied := *row
			list = append(list, &copied)
		}
	}
	slices.SortFunc(list, func(a, b *store.Watch) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(limit, len(list))], nil
}

func (w *world) WatchTold(_ context.Context, id string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range w.rows {
		if row.ID == id && row.Untold.At.Equal(at) {
			row.Untold = store.Sight{}
		}
	}
	return nil
}

func (w *world) tell(_ context.Context, row *store.Watch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked++; w.away {
		return false
	}
	w.told = append(w.told, row.ID+": "+row.Untold.Old+" > "+row.Untold.New)
	return true
}

func newWorld() (*world, *Watcher) {
	w := &world{now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), members: map[string]*store.Member{
		"ada": {Role: store.RoleAdmin}, "bo": {Role: store.RoleMember}, "gone": {Role: store.RoleAdmin, RevokedAt: time.Unix(1, 0)},
	}}
	return w, New(Options{
		Store: w, Roster: w, Client: NewClient(loopback), Log: slog.New(slog.DiscardHandler), Tell: w.tell,
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	})
}

// round looks once, after d.
func (w *world) round(t *testing.T, watcher *Watcher, d time.Duration) {
	t.Helper()
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	if err := watcher.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTellsOfChanges(t *testing.T) {
	status := http.StatusOK
	address, _ := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	w, watcher := newWorld()
	w.rows = []*store.Watch{{ID: "w", MemberID: "ada", URL: address, Mode: Status, NotifyOn: "change", Every: time.Minute}}
	w.round(t, watcher, time.Second) // the silent baseline
	w.round(t, watcher, time.Second) // not due
	for _, status = range []int{404, 404, 200} {
		w.round(t, watcher, 2*time.Minute)
	}
	if want := []string{"w: 200 > 404", "w: 404 > 200"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

// What a watch sees while its member is away it is told when it is back, once, and
// as it was seen.
func TestWhatNobodyHearsIsToldLater(t *testing.T) {
	status := http.StatusOK
	address, _ := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	w, watcher := newWorld()
	w.rows = []*store.Watch{{ID: "w", MemberID: "ada", URL: address, Mode: Status, NotifyOn: "match:404", Every: time.Minute}}
	w.round(t, watcher, time.Second) // the silent baseline
	w.away = true
	seen := w.now.Add(2 * time.Minute)
	for _, status = range []int{404, 500, 200} {
		w.round(t, watcher, 2*time.Minute)
	}
	if got := w.rows[0].Untold; len(w.told) != 0 || got != (store.Sight{Old: "200", New: "404", At: seen}) {
		t.Fatalf("told %q, untold %+v", w.told, got)
	}
	w.away = false
	for range 3 {
		w.round(t, watcher, time.Second)
	}
	if want := []string{"w: 200 > 404"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

// Members that stay away keep nobody from what is theirs: each round goes on where
// the last one has ended, and begins again behind the last watch.
func TestRoundsGoOnBehindWhoIsAway(t *testing.T) {
	w, watcher := newWorld()
	w.away = true
	for i := range 2*retoldAtOnce + 10 {
		w.rows = append(w.rows, &store.Watch{ID: fmt.Sprintf("%04d", i), WatchState: store.WatchState{
			NextAt: w.now.Add(time.Hour), Untold: store.Sight{Old: "a", New: "b", At: w.now},
		}})
	}
	for i, want := range []int{256, 512, 522, 778} {
		if w.round(t, watcher, time.Second); w.asked != want {
			t.Errorf("after round %d %d were tried, want %d", i+1, w.asked, want)
		}
	}
}

// A failure is kept for the member to see, and the next look waits the longer.
func TestRoundBacksOff(t *testing.T) {
	w, watcher := newWorld()
	w.rows = []*store.Watch{{ID: "w", MemberID: "ada", URL: "http://10.0.0.1", Mode: Hash, NotifyOn: "change", Every: time.Minute, WatchState: store.WatchState{Value: "v"}}}
	row, last := w.rows[0], time.Duration(0)
	for n := 1; n <= 10; n++ {
		w.round(t, watcher, 2*time.Hour)
		gap := row.NextAt.Sub(w.now)
		if row.Failures != n || row.Failure != ErrAddress.Error() || row.Value != "v" || gap > longestWait*11/10 || gap < time.Minute || n < 5 && gap <= last {
			t.Fatalf("after %d failures: %+v, the next look in %s", n, row.WatchState, gap)
		}
		last = gap
	}
	address, _ := server(t, func(http.ResponseWriter, *http.Request) {})
	row.URL = address
	w.round(t, watcher, 2*time.Hour)
	if gap := row.NextAt.Sub(w.now); row.Failures != 0 || row.Failure != "" || gap > 67*time.Second || len(w.told) != 1 {
		t.Errorf("got %+v, the next look in %s, told %q", row.WatchState, gap, w.told)
	}
}

func TestRoundAsksForWhoMay(t *testing.T) {
	asked := 0
	address, _ := server(t, func(http.ResponseWriter, *http.Request) { asked++ })
	w, watcher := newWorld()
	for i, member := range []string{"bo", "gone", "unknown"} {
		w.rows = append(w.rows, &store.Watch{ID: fmt.Sprint(i), MemberID: member, URL: address + "/" + member, Every: time.Minute})
		w.round(t, watcher, time.Hour)
		if w.rows[i].Failure == "" {
			t.Errorf("nothing is wrong with %s", member)
		}
	}
	if asked > 0 {
		t.Errorf("it was asked %d times", asked)
	}
}

// One member, mesh or host takes a part of a round, and the rest comes in the next
// ones.
func TestFlawExt08RoundsAreBounded(t *testing.T) {
	var due []*store.Watch
	for i := range 100 {
		due = append(due, &store.Watch{ID: fmt.Sprint("flood ", i), MeshID: "m", MemberID: fmt.Sprint(i % 3), URL: fmt.Sprintf("https://%d.example", i)})
	}
	for i := range 100 {
		due = append(due, &store.Watch{ID: fmt.Sprint("host ", i), MeshID: fmt.Sprint(i), MemberID: fmt.Sprint("h", i), URL: "https://one.example/" + fmt.Sprint(i)})
	}
	for i, host := range []string{"ONE.example", "one.example.", "one.example:443"} {
		due = append(due, &store.Watch{ID: fmt.Sprint("host form", i), MeshID: host, MemberID: host, URL: "https://" + host})
	}
	due = append(due, &store.Watch{ID: "last", MeshID: "n", MemberID: "x", URL: "https://last.example"})
	count, c := map[string]int{}, newChoice()
	c.add(due)
	for _, row := range c.list {
		count[row.ID[:4]]++
	}
	if count["floo"] != 3*perMember || count["host"] != 1 || count["last"] != 1 {
		t.Errorf("got %v", count)
	}
}

// Many that wait for their turn at one host keep nobody else waiting.
func TestRoundReadsOnBehindABusyHost(t *testing.T) {
	asked := false
	address, _ := server(t, func(http.ResponseWriter, *http.Request) { asked = true })
	w, watcher := newWorld()
	for i := range 2 * dueAtOnce {
		w.rows = append(w.rows, &store.Watch{ID: fmt.Sprint(i), MeshID: fmt.Sprint(i / 100), MemberID: "ada", URL: "http://10.0.0.1/" + fmt.Sprint(i), Every: time.Minute})
	}
	w.members["cy"] = w.members["ada"]
	w.rows = append(w.rows, &store.Watch{ID: "other", MeshID: "other", MemberID: "cy", URL: address, Every: time.Minute})
	if w.round(t, watcher, time.Second); !asked {
		t.Error("the other host was not asked")
	}
}

// Bodies are read one after the other, since JSON takes much memory meanwhile.
func TestOneBodyIsReadAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, done := New(Options{}), make(chan struct{})
		w.reading <- struct{}{} // another one is being read
		go func() {
			if got, err := w.read(&store.Watch{Mode: JSON, Extract: "a"}, &Answer{Status: 200, Body: []byte(`{"a":1}`)}); got != "1" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Error("it did not wait for the other one")
		default:
			<-w.reading
		}
		<-done
	})
}

func TestHeadersAreSealed(t *testing.T) {
	keys, row := identity.NewAtRest([identity.AtRestKeySize]byte{1}), &store.Watch{ID: "w"}
	SealHeaders(keys, row, map[string]string{"Authorization": "secret"})
	if !identity.IsBound(row.Headers) {
		t.Errorf("the store has %s", row.Headers)
	}
	if got, err := OpenHeaders(keys, row); err != nil || got["Authorization"] != "secret" {
		t.Errorf("got %v, %v", got, err)
	}
	row.ID = "other"
	if got, err := OpenHeaders(keys, row); err == nil {
		t.Errorf("another watch has %v", got)
	}
	SealHeaders(nil, row, map[string]string{"A": "b"})
	if got, err := OpenHeaders(nil, row); err != nil || got["A"] != "b" {
		t.Errorf("got %v, %v", got, err)
	}
}

// Run ends with its context, with looks that had begun.
func TestRunEnds(t *testing.T) {
	_, watcher := newWorld()
	watcher.o.Alone = func(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { watcher.Run(ctx); close(done) }()
	cancel()
	<-done
}
