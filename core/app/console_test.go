package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	coreaudit "github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

const consoleToken = "0123456789abcdef0123"

// withConsole has a rig serve the operator's page.
func withConsole(o *app.Options) {
	o.Refusals = refusals.New(refusals.DefaultSize)
	o.Console = &app.Console{
		Token:  consoleToken,
		Loaded: func() admin.Loaded { return admin.Loaded{Generation: 1, By: admin.ByStart} },
		Check: func(context.Context) (*admin.Reload, error) {
			return &admin.Reload{Changes: []string{}, Restart: []string{"limits.window"}}, nil
		},
	}
}

// consoleRig is a broker with a page.
func consoleRig(t *testing.T, edit func(*app.Options)) *rig {
	t.Helper()
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"),
		func(c *config.Config) { c.Console.Listen = "127.0.0.1:0" },
		func(o *app.Options) {
			withConsole(o)
			if edit != nil {
				edit(o)
			}
		})
	r.newMesh()
	return r
}

// ask sends a request to the page with a token.
func (r *rig) askConsole(method, path, token string) (int, []byte) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, r.app.ConsoleURL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, body
}

// snapshot reads the page's numbers.
func (r *rig) snapshot() *console.Snapshot {
	r.t.Helper()
	status, body := r.askConsole(http.MethodGet, "snapshot.json", consoleToken)
	if status != http.StatusOK {
		r.t.Fatalf("%d %s", status, body)
	}
	s := new(console.Snapshot)
	if err := json.Unmarshal(body, s); err != nil {
		r.t.Fatalf("%v in %s", err, body)
	}
	return s
}

// What happened is on the page: the chain with what each stage decided, who is
// here, what waits, what was refused and why, and where the audit log ends.
func TestConsoleShowsTheBroker(t *testing.T) {
	r := consoleRig(t, nil)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	bo := session(r.member("bo", store.RoleMember))
	away := r.dial(bo, dial.Options{ConfirmPushes: true})
	key := away.Key().String()
	away.Abort()
	r.send(ada, key, sdk.PriorityNext, "while you were out")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nobody, _ := identity.NewKeypair()
	if ack, err := ada.Send(ctx, nobody.String(), sdk.PriorityNow, "", "nobody", dial.SendOptions{}); err == nil && ack.Error == "" {
		t.Fatalf("a send to nobody: %+v", ack)
	}

	s := r.snapshot()
	var links []string
	for _, l := range s.Chain.Links {
		links = append(links, l.Name)
	}
	if want := []string{"auth", "legacy-auth", "grants", "rate-limit", "route", "audit"}; !slices.Equal(links, want) {
		t.Errorf("links: got %v, want %v", links, want)
	}
	route := s.Chain.Links[slices.Index(links, "route")]
	if route.Condition != "up" || route.Stats == nil || route.Stats.Total(sdk.Answer) == 0 {
		t.Errorf("the route stage: %+v, %+v", route, route.Stats)
	}
	if len(s.Refusals) == 0 || s.Refusals[0].Reason != sdk.ReasonNoRecipient || s.Refusals[0].Stage != "route" || s.Refusals[0].Name != "ada" {
		t.Errorf("refusals: %+v", s.Refusals)
	}
	if len(s.Reasons) != 1 || s.Reasons[0] != (refusals.Count{Stage: "route", Reason: sdk.ReasonNoRecipient, Count: 1}) || s.Broker.Refused != 1 {
		t.Errorf("reasons: %+v, in all %d", s.Reasons, s.Broker.Refused)
	}
	if len(s.Meshes) != 1 || s.Left != 0 {
		t.Fatalf("meshes: %+v and %d more", s.Meshes, s.Left)
	}
	m := s.Meshes[0]
	if m.ID != r.mesh.ID || m.Slug != "home" || m.Peers != 1 || m.Queue != 1 || m.Oldest.IsZero() {
		t.Errorf("the mesh: %+v", m)
	}
	if !m.Audit.Known || m.Audit.Entries == 0 || len(m.Audit.Hash) != 64 || m.Audit.At.IsZero() {
		t.Errorf("its audit log: %+v", m.Audit)
	}
	b := s.Broker
	if b.Store != "sqlite" || b.Version != "test" || b.Peers != 1 || b.Sessions != 2 || b.Queue != 1 || b.Routed != 1 ||
		b.Frames == 0 || b.Memory == 0 || b.CPU == 0 || b.Started.IsZero() || len(b.Warnings) > 0 {
		t.Errorf("the broker: %+v", b)
	}
	if n := len(b.Sends.Bounds); b.Sends.Count != 1 || len(b.Sends.Counts) != 0 && n != 0 && len(b.Sends.Counts) != n+1 {
		t.Errorf("sends: %+v", b.Sends)
	}
	if c := s.Config; c.Loaded.Generation != 1 || c.Reload == nil || !slices.Equal(c.Reload.Restart, []string{"limits.window"}) || c.CheckedAt.IsZero() {
		t.Errorf("the config: %+v", c)
	}
}

func TestConsoleWantsItsToken(t *testing.T) {
	r := consoleRig(t, nil)
	for _, token := range []string{"", "0123456789abcdef0124", consoleToken + "0"} {
		if status, body := r.askConsole(http.MethodGet, "snapshot.json", token); status != http.StatusUnauthorized {
			t.Errorf("token %q: %d %s", token, status, body)
		}
	}
}

// Without console.listen there is no page, and nothing works for it.
func TestConsoleIsOff(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, withConsole)
	if url := r.app.ConsoleURL(); url != "" {
		t.Errorf("there is a page at %s", url)
	}
}

// A port that somebody has keeps the broker from starting, and says so.
func TestConsolePortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := unlimited()
	cfg.Console.Listen = taken.Addr().String()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: freshtest.Path(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	o := app.Options{Config: cfg, Store: st, Factories: factories, Log: slog.New(slog.DiscardHandler), Version: "test", Ready: func(string) { t.Error("ready all the same") }}
	withConsole(&o)
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "console.listen") || !strings.Contains(err.Error(), cfg.Console.Listen) {
		t.Errorf("got %v, want what is wrong with console.listen", err)
	}
}

// readingStore is a store whose reads of audit logs wait.
type readingStore struct {
	store.Store
	begun chan struct{}
	goOn  chan struct{}
}

func (s *readingStore) VerifyAudit(ctx context.Context, mesh string) (coreaudit.Result, error) {
	s.begun <- struct{}{}
	select {
	case <-s.goOn:
		return s.Store.VerifyAudit(ctx, mesh)
	case <-ctx.Done():
		return coreaudit.Result{}, ctx.Err()
	}
}

// One audit log is read at a time: whoever comes meanwhile is told which.
func TestConsoleVerifiesOneAtATime(t *testing.T) {
	slow := &readingStore{begun: make(chan struct{}, 1), goOn: make(chan struct{})}
	r := consoleRig(t, func(o *app.Options) { slow.Store, o.Store = o.Store, slow })
	r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	source := r.app.ConsoleSource(t.Context(), app.Console{})
	type answer struct {
		v   admin.Verification
		err error
	}
	first := make(chan answer, 1)
	verify := func(ctx context.Context) { v, err := source.Verify(ctx, r.mesh.ID); first <- answer{v, err} }

	go verify(t.Context())
	<-slow.begun
	if _, err := source.Verify(t.Context(), r.mesh.ID); err == nil || !strings.Contains(err.Error(), "home is being read") {
		t.Errorf("the second: got error %v", err)
	}
	close(slow.goOn)
	if a := <-first; a.err != nil || !a.v.Valid || a.v.Entries == 0 || a.v.Slug != "home" || a.v.MeshID != r.mesh.ID {
		t.Errorf("the first: %+v, %v", a.v, a.err)
	}

	slow.goOn = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go verify(ctx)
	<-slow.begun
	cancel()
	if a := <-first; !errors.Is(a.err, context.Canceled) {
		t.Errorf("one that was given up: %v", a.err)
	}
	close(slow.goOn)
	go verify(t.Context())
	<-slow.begun
	if a := <-first; a.err != nil || !a.v.Valid {
		t.Errorf("after one that was given up: %+v, %v", a.v, a.err)
	}
	if _, err := source.Verify(t.Context(), "nowhere"); err == nil || !strings.Contains(err.Error(), "no such mesh") {
		t.Errorf("an unknown mesh: got error %v", err)
	}
}

// blindStore is a store that does not answer what the page asks.
type blindStore struct{ store.Store }

func (blindStore) QueueByMesh(context.Context, int) ([]store.MeshQueue, error) {
	return nil, store.ErrUnavailable
}

// The page goes on without the store, and says what it misses.
func TestConsoleWithoutTheStore(t *testing.T) {
	r := consoleRig(t, func(o *app.Options) { o.Store = blindStore{o.Store} })
	s := r.snapshot()
	if len(s.Chain.Links) == 0 || len(s.Broker.Warnings) != 1 || !strings.Contains(s.Broker.Warnings[0], store.ErrUnavailable.Error()) {
		t.Errorf("got %d links and the warnings %q", len(s.Chain.Links), s.Broker.Warnings)
	}
}

// waitingStore is a store that does not answer what the page asks until goOn is
// closed.
type waitingStore struct {
	store.Store
	goOn chan struct{}
}

func (s *waitingStore) QueueByMesh(ctx context.Context, limit int) ([]store.MeshQueue, error) {
	select {
	case <-s.goOn:
		return s.Store.QueueByMesh(ctx, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// What the store has not told yet is not shown as none.
func TestConsoleBeforeTheStoreAnswers(t *testing.T) {
	slow := &waitingStore{goOn: make(chan struct{})}
	r := consoleRig(t, func(o *app.Options) { slow.Store, o.Store = o.Store, slow })
	r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	source := r.app.ConsoleSource(t.Context(), app.Console{})
	s, err := source.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !s.StoreAt.IsZero() || len(s.Broker.Warnings) != 1 || !strings.Contains(s.Broker.Warnings[0], "not known yet") || s.Broker.Sessions != 1 {
		t.Errorf("asked at %v, warnings %q, %d sessions", s.StoreAt, s.Broker.Warnings, s.Broker.Sessions)
	}
	close(slow.goOn)
	eventually(t, "the store's answer is shown", func() bool {
		s, err = source.Snapshot(t.Context())
		return err == nil && !s.StoreAt.IsZero()
	})
	if len(s.Meshes) != 1 || len(s.Broker.Warnings) != 0 || s.StoreAt.After(s.At) {
		t.Errorf("then: meshes %+v, warnings %q, asked at %v", s.Meshes, s.Broker.Warnings, s.StoreAt)
	}
}

// A reader who goes while the page is made spoils nothing: what is made is for
// all who watch.
func TestConsoleIsMadeForAll(t *testing.T) {
	r := consoleRig(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := r.app.ConsoleSource(t.Context(), app.Console{}).Snapshot(gone)
	if err != nil || s == nil || len(s.Meshes) != 1 || s.StoreAt.IsZero() {
		t.Errorf("got %+v, %v", s, err)
	}
}

// A broker stops although somebody watches, and tells them.
func TestConsoleStopsWithTheBroker(t *testing.T) {
	r := consoleRig(t, nil)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.app.ConsoleURL()+"live", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+consoleToken)
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("got %s", answer.Status)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(answer.Body, first); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, answer.Body); ended <- err }()
	r.stop()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the page is still being sent")
	}
	if _, err := net.Dial("tcp", q.URL.Host); err == nil {
		t.Error("the page still answers")
	}
}

// The page shows the busiest meshes, and finds the others.
func TestConsoleFindsEveryMesh(t *testing.T) {
	r := consoleRig(t, nil)
	for i := range 120 {
		m := &store.Mesh{ID: "mesh" + text(i), Slug: "slug" + text(i), Name: "m", OwnerKey: sdk.Key{byte(i + 1)}, CreatedAt: time.Now()}
		if err := r.store.CreateMesh(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	s := r.snapshot()
	if len(s.Meshes) != 121 || s.Left != 0 || s.Meshes[0].ID != r.mesh.ID || s.Meshes[0].Peers != 1 {
		t.Errorf("got %d and %d more, first %+v", len(s.Meshes), s.Left, s.Meshes[0])
	}
	last := s.Meshes[len(s.Meshes)-1]
	if status, body := r.askConsole(http.MethodGet, "?mesh="+url.QueryEscape(last.ID), consoleToken); status != http.StatusOK || !strings.Contains(string(body), last.Slug) {
		t.Errorf("%s is not found: %d", last.Slug, status)
	}
}
