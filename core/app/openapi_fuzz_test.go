package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/api/openapi"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

var (
	fuzzSeed     = flag.Uint64("http.seed", 0, "seed of TestOpenAPIFuzz; 0 takes one of the clock")
	fuzzFrom     = flag.Int("http.from", 0, "first request of TestOpenAPIFuzz, to repeat one of a seed")
	fuzzRequests = flag.Int("http.requests", 1500, "requests of TestOpenAPIFuzz; a quarter of them on PostgreSQL")
	fuzzTime     = flag.Duration("http.time", 20*time.Second, "when TestOpenAPIFuzz stops, whether it has made them all or not")
)

// unguarded lets everybody ask as often as they like, and has all that can be turned
// on.
func unguarded(c *config.Config) {
	c.HTTP.PerAddress, c.HTTP.PerToken, c.HTTP.Guesses, c.HTTP.HookRate = config.Limit{}, config.Limit{}, config.Limit{}, config.Limit{}
	c.HTTP.SyncSecret = config.Secret(webSecret)
	c.HTTP.CORSOrigins = []string{"https://app.example"}
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "legacy-auth" {
			c.Pipeline[i].Enabled = true
		}
	}
}

// TestOpenAPIFuzz asks a broker for everything that the document describes, and
// for much that it does not, and wants only answers that it describes, none of
// them the broker's fault.
func TestOpenAPIFuzz(t *testing.T) {
	seed := *fuzzSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	engines := []struct {
		name     string
		requests int
		open     func(*testing.T, config.Config) store.Store
	}{
		{"sqlite", *fuzzRequests, openSQLite},
		{"postgres", *fuzzRequests / 4, openPostgres},
	}
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			cfg := unlimited()
			unguarded(&cfg)
			log := &errorLog{}
			r := startOn(t, cfg, engine.open(t, cfg), func(o *app.Options) { o.Log = slog.New(log) })
			r.newMesh()
			t.Logf("repeat with -run '%s' -http.seed=%d", t.Name(), seed)
			f := newFuzzer(t, r, seed, log)
			f.run(*fuzzFrom, engine.requests)
			r.wantWell()
		})
	}
}

func openSQLite(t *testing.T, cfg config.Config) store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{
		Path: freshtest.Path(t), Durability: sqlite.Durability(cfg.Store.Durability),
	})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func openPostgres(t *testing.T, _ config.Config) store.Store {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{
		URL: freshtest.URL(t), Migrate: true, MaxConns: 6, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wantWell holds that a broker still does what it is there for.
func (r *rig) wantWell() {
	r.t.Helper()
	if status, answer, _ := r.ask(http.MethodGet, "/health/ready", "", ""); status != http.StatusOK {
		r.t.Errorf("the broker is not ready any more: %d %v", status, answer)
	}
	a, b := r.dial(session(r.member("zoe", store.RoleMember)), dial.Options{}), r.dial(session(r.member("yan", store.RoleMember)), dial.Options{})
	r.send(a, b.Key().String(), sdk.PriorityNow, "still here")
	r.wantText(b, "still here")
}

// errorLog keeps what a broker logs as errors: what is not a caller's doing.
type errorLog struct {
	mu    sync.Mutex
	lines []string
}

// Enabled implements [slog.Handler].
func (*errorLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelDebug }

// Handle implements [slog.Handler]. net/http says of a panic in debug only.
func (l *errorLog) Handle(_ context.Context, rec slog.Record) error {
	if rec.Level < slog.LevelError && !strings.Contains(rec.Message, "panic") {
		return nil
	}
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *errorLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *errorLog) WithGroup(string) slog.Handler { return l }

// take returns the lines since the last call.
func (l *errorLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// fuzzer makes requests and judges what comes back.
type fuzzer struct {
	t          *testing.T
	r          *rig
	seed       uint64
	log        *errorLog
	world      *world
	operations []operation
	turns      []*operation // those with more to get wrong come more often
	client     *http.Client
	checker    *openapi.Checker
	found      map[string]bool
	statuses   map[int]int
	worked     map[string]bool
}

func newFuzzer(t *testing.T, r *rig, seed uint64, log *errorLog) *fuzzer {
	t.Helper()
	doc, err := openapi.Document(api.All(feature.All(feature.Deps{}), api.Deps{Config: config.Default().HTTP}).Routes())
	if err != nil {
		t.Fatal(err)
	}
	c, err := checker()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	f := &fuzzer{
		t: t, r: r, seed: seed, log: log, world: newWorld(r, shuffle(seed, 0)), operations: operations(doc), checker: c,
		client: &http.Client{
			Transport: transport, Timeout: patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		found: map[string]bool{}, statuses: map[int]int{}, worked: map[string]bool{},
	}
	for round := range 4 {
		for i := range f.operations {
			o := &f.operations[i]
			if round == 0 || round == 1 && len(o.Parameters) > 0 || round > 1 && o.RequestBody != nil {
				f.turns = append(f.turns, o)
			}
		}
	}
	return f
}

// run makes requests until there were enough, or the time is over, or too much
// was found. Every request has random numbers of its own, so that one can be
// repeated without those before, as far as it does not depend on them.
func (f *fuzzer) run(from, requests int) {
	f.t.Helper()
	end := time.Now().Add(*fuzzTime)
	n := from
	for ; n < from+requests && time.Now().Before(end) && len(f.found) < 12; n++ {
		f.world.rand = shuffle(f.seed, uint64(n)+1)
		if n%100 == 99 {
			f.world.grow()
		}
		f.judge(n, f.world.ask(f.turns[(n+int(f.seed%1000))%len(f.turns)]))
	}
	f.t.Logf("%d requests; statuses %v; %d of %d operations have worked", n-from, f.statuses, len(f.worked), len(f.operations))
	if from == 0 && n >= 1000 && len(f.worked) < len(f.operations)*4/5 {
		f.t.Errorf("%d of %d operations have worked: the fuzzer does not reach what is behind the checks of the others",
			len(f.worked), len(f.operations))
	}
}

// judge makes a request and reports what is wrong with its answer, each thing
// once.
func (f *fuzzer) judge(n int, a *asking) {
	f.t.Helper()
	answer, err := f.send(a)
	switch {
	case err == nil:
		err = f.wrong(answer)
	case answer.URL.Opaque != "" || len(a.body) > 1<<16:
		return // the connection was closed before all of it was sent
	}
	if lines := f.log.take(); len(lines) > 0 {
		err = fmt.Errorf("%w; the broker logged %q", err, lines)
	}
	if err != nil {
		what := fmt.Sprintf("%s %d %T", a.of.name(), answer.Status, err)
		if !f.found[what] {
			f.found[what] = true
			f.t.Errorf("request %d of seed %d: %v\n%s", n, f.seed, err, a)
		}
		return
	}
	f.statuses[answer.Status]++
	if answer.Status == http.StatusOK && a.method == a.of.method {
		f.worked[a.of.name()] = true
		f.learn(a, answer.Body)
	}
}

// send makes a request.
func (f *fuzzer) send(a *asking) (openapi.Answer, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(f.r.url, "ws://"), "/ws")
	u, err := url.ParseRequestURI(a.target)
	if err != nil {
		u = &url.URL{Opaque: strings.ReplaceAll(a.target, "//", "/")}
	}
	u.Scheme, u.Host = "http", host
	req, err := http.NewRequestWithContext(context.Background(), a.method, "http://"+host, bytes.NewReader(a.body))
	if err != nil {
		return openapi.Answer{URL: u}, err
	}
	req.URL, req.Header = u, a.header
	res, err := f.client.Do(req)
	if err != nil {
		return openapi.Answer{URL: u}, err
	}
	defer res.Body.Close()
	var body []byte
	if res.Header.Get("Content-Type") != "text/event-stream" { // which lasts for minutes
		body, err = io.ReadAll(res.Body)
	}
	return openapi.Answer{Method: a.method, URL: u, Status: res.StatusCode, Header: res.Header, Body: body}, err
}

// wrong returns what is wrong with an answer. A request line that is none is
// answered by net/http alone.
func (f *fuzzer) wrong(a openapi.Answer) error {
	if a.URL.Opaque != "" && a.Status == http.StatusBadRequest {
		return nil
	}
	if a.Status >= http.StatusInternalServerError && a.Status != http.StatusNotImplemented {
		return fmt.Errorf("got %d %s", a.Status, a.Body)
	}
	return f.checker.Check(a)
}

// learn remembers what an answer tells, for requests to come.
func (f *fuzzer) learn(a *asking, body []byte) {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		text, ok := answer[name].(string)
		if !ok || text == "" {
			continue
		}
		switch sort := sortOf(a.of.path, name, ""); {
		case a.of.name() == "POST /cli/mesh/create" && (name == "id" || name == "slug"):
			f.world.know("mesh", text)
		case name == "code" && strings.HasSuffix(a.of.path, "/invite"):
			f.world.know("invite code", text)
		case name == "id" && strings.HasSuffix(a.of.path, "/invite"), sort == "member", sort == "device code":
			f.world.know(sort, text)
		case name == "user_code", name == "session_id":
			f.world.know("sign-in", text)
		}
	}
}
