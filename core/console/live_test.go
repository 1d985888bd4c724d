package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// event is one that a watcher got.
type event struct {
	name  string
	parts []change // of parts
	data  string
}

// ids are those of the event's parts.
func (e event) ids() (ids []string) {
	for _, p := range e.parts {
		ids = append(ids, p.ID)
	}
	return ids
}

// watcher is who reads a stream.
type watcher struct {
	tb     testing.TB
	status int
	header http.Header
	events chan event // closed at the end of the stream
	cancel func()
}

// watch opens a stream, which is closed with the test.
func (r *rig) watch(query string) *watcher {
	r.tb.Helper()
	ctx, cancel := context.WithCancel(r.tb.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Addr().String()+"/console/live"+query, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	w := &watcher{tb: r.tb, status: res.StatusCode, header: res.Header, events: make(chan event), cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(w.events)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<22)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name == "parts" {
					if err := json.Unmarshal([]byte(e.data), &e.parts); err != nil {
						r.tb.Error(err)
					}
				}
				select {
				case w.events <- e:
				case <-ctx.Done():
					return
				}
				e = event{}
			}
		}
	}()
	r.tb.Cleanup(func() { cancel(); <-ended })
	return w
}

// next returns the next event of a name; the zero event at the end.
func (w *watcher) next(name string) event {
	w.tb.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-w.events:
			if !ok {
				return event{}
			}
			if e.name == name {
				return e
			}
		case <-timeout:
			w.tb.Fatalf("no event %s came", name)
		}
	}
}

func TestLiveSendsWhatChanged(t *testing.T) {
	var peers atomic.Int64
	source := empty()
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Broker.Peers = int(peers.Load())
		s.Meshes = []Mesh{{ID: "a", Slug: "alpha", Peers: 1}, {ID: "b", Slug: "beta"}}
		return s, err
	}
	r := open(t, source)
	r.enter()
	w := r.watch("")
	if w.status != 200 || w.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", w.status, w.header)
	}
	first := w.next("parts")
	for _, id := range []string{"status", "summary", "links", "link-in", "link-at-auth", "mesh-at-a", "mesh-rows", "config"} {
		if !slices.Contains(first.ids(), id) {
			t.Errorf("the first event has no %s: %v", id, first.ids())
		}
	}
	// The second answer brings rates; from then on nothing moves but the clock.
	w.next("parts")
	w.next("at")
	w.next("at")
	peers.Store(7)
	e := w.next("parts")
	if got := e.ids(); !slices.Equal(got, []string{"summary"}) || !strings.Contains(e.parts[0].HTML, `<span class="value ">7`) {
		t.Errorf("a peer more changes %v: %+v", got, e.parts)
	}
}

func TestLiveSendsRowsAndTheirOrder(t *testing.T) {
	st := &stream{seed: maphash.MakeSeed(), sent: map[string]uint64{}}
	list := func(ids ...string) part {
		p := part{ID: "rows", Rows: []part{}}
		for _, id := range ids {
			p.Rows = append(p.Rows, part{ID: id, HTML: "<li id=" + id + ">"})
		}
		return p
	}
	changed := list("a", "b")
	changed.Rows[0].HTML = "<li class=new id=a>"
	tests := []struct {
		name  string
		parts []part
		want  string
	}{
		{"it sends all at first, rows before their list", []part{{ID: "x", HTML: "<p>"}, list("a", "b")}, `x=<p> a=<li id=a> b=<li id=b> rows=[a b]`},
		{"it sends nothing again", []part{{ID: "x", HTML: "<p>"}, list("a", "b")}, ""},
		{"it sends a row that is new, and the list", []part{{ID: "x", HTML: "<p>"}, list("c", "a", "b")}, "c=<li id=c> rows=[c a b]"},
		{"it sends the order alone", []part{{ID: "x", HTML: "<p>"}, list("b", "a", "c")}, "rows=[b a c]"},
		{"it sends the list without those that left", []part{{ID: "x", HTML: "<p>"}, list("a", "b")}, "rows=[a b]"},
		{"it sends a row that changed", []part{{ID: "x", HTML: "<p>"}, changed}, "a=<li class=new id=a>"},
		{"it sends one that left and came back", []part{{ID: "x", HTML: "<p>"}, list("a", "b", "c")}, "a=<li id=a> c=<li id=c> rows=[a b c]"},
		{"it sends an empty list", []part{{ID: "x", HTML: "<q>"}, list()}, "x=<q> rows=[]"},
	}
	for _, tt := range tests {
		var got []string
		for _, c := range st.news(tt.parts) {
			if c.Rows != nil {
				got = append(got, fmt.Sprint(c.ID, "=", *c.Rows))
			} else {
				got = append(got, c.ID+"="+c.HTML)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestNobodyWatchesNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		source := empty()
		c := newCollector(ctx, source, newVerifier(ctx, source, quiet()), quiet())
		var running sync.WaitGroup
		running.Go(c.run)
		asked := func(want int64, when string) {
			t.Helper()
			synctest.Wait()
			if got := source.asked.Swap(0); got != want {
				t.Errorf("%s it was asked %d times, want %d", when, got, want)
			}
		}
		time.Sleep(time.Hour)
		asked(0, "before anybody watches")
		one, two := c.watch(), c.watch()
		time.Sleep(10*time.Second + 100*time.Millisecond)
		asked(10, "while two watch for ten seconds")
		one()
		time.Sleep(10 * time.Second)
		asked(10, "while one watches for ten seconds more")
		two()
		time.Sleep(time.Hour)
		asked(0, "after both have gone")
		c.watch()
		time.Sleep(3*time.Second + 100*time.Millisecond)
		asked(3, "when one is back for three seconds")
		cancel()
		running.Wait()
	})
}

// Who loads the page again and again asks once a second at most.
func TestLoadsShareOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := empty()
		c := newCollector(t.Context(), source, newVerifier(t.Context(), source, quiet()), quiet())
		for range 40 {
			if _, err := c.fresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := source.asked.Load(); got != 4 {
			t.Errorf("forty loads in four seconds asked %d times", got)
		}
	})
}

func TestWatchersAreBounded(t *testing.T) {
	r := open(t, empty())
	r.enter()
	first := r.watch("")
	for range maxWatchers - 1 {
		r.watch("")
	}
	a := r.get("/console/live")
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "close one") {
		t.Errorf("one too many gets %s: %s", a.Status, a.body)
	}
	first.cancel()
	until(t, "there is a place again", func() bool { return len(r.watchers) < maxWatchers })
	if w := r.watch(""); w.status != 200 {
		t.Errorf("then it gets %d", w.status)
	}
}

func TestStreamsEnd(t *testing.T) {
	tests := []struct {
		name string
		end  func(*rig)
		want string
	}{
		{"with the server", func(r *rig) {
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}, byeStopping},
		{"with the visit", func(r *rig) { r.do("POST", "/console/signout", map[string][]string{}, browser) }, byeVisit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, empty())
			r.enter()
			w := r.watch("")
			w.next("at")
			ended := make(chan struct{})
			go func() { defer close(ended); tt.end(r) }()
			if e := w.next("bye"); e.data != tt.want {
				t.Errorf("the last event is %+v", e)
			}
			if e := w.next("at"); e.name != "" {
				t.Errorf("after it came %+v", e)
			}
			<-ended
		})
	}
}

// A stream outlives what a request may take to be read and answered.
func TestStreamOutlivesTheTimeouts(t *testing.T) {
	s := New(Options{Listen: "127.0.0.1:0", Token: token, Source: empty(), Log: quiet()})
	s.http.ReadTimeout = 50 * time.Millisecond
	s.http.WriteTimeout = 50 * time.Millisecond
	r := start(t, s)
	r.enter()
	w := r.watch("")
	for i := range 20 { // ten times the timeout
		if e := w.next("at"); e.name == "" {
			t.Fatalf("it ended after %d answers", i)
		}
	}
}

func TestSourceThatDoesNotAnswer(t *testing.T) {
	var down atomic.Bool
	source := empty()
	fine := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		if down.Load() {
			return deaf().SnapshotFn(n)
		}
		return fine(n)
	}
	r := open(t, source)
	r.enter()
	w := r.watch("")
	w.next("parts")
	down.Store(true)
	for {
		e := w.next("parts")
		if i := slices.Index(e.ids(), "warnings"); i >= 0 && strings.Contains(e.parts[i].HTML, "the store does not answer") {
			break
		}
	}
	until(t, "JSON says so", func() bool { return r.do("GET", "/console/snapshot.json", nil, bearer).StatusCode == 503 })
	if a := r.get("/console/"); a.StatusCode != 200 || !strings.Contains(a.body, "What you see is old") || !strings.Contains(a.body, "v0.1.0") {
		t.Errorf("the page is %s: %s", a.Status, a.body)
	}
	down.Store(false)
	for {
		e := w.next("parts")
		if i := slices.Index(e.ids(), "warnings"); i >= 0 && !strings.Contains(e.parts[i].HTML, "store") {
			break
		}
	}
}

func TestSourceThatNeverAnswered(t *testing.T) {
	r := open(t, deaf())
	r.enter()
	if a := r.get("/console/"); a.StatusCode != 200 || !strings.Contains(a.body, "Nothing is known of the broker yet") {
		t.Errorf("the page is %s: %s", a.Status, a.body)
	}
	if e := r.watch("").next("parts"); !slices.Contains(e.ids(), "warnings") {
		t.Errorf("the stream has %v", e.ids())
	}
}
