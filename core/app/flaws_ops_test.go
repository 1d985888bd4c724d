package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// The gauge of connections read one too many after each that came.
func TestFlaw47ConnectionsActiveReadsOneTooMany(t *testing.T) {
	f := newFlawRig(t, nil)
	var peers []*dial.Peer
	want := func(n string) {
		t.Helper()
		eventually(t, n+" connections", func() bool { return f.metric("broker_connections_active") == n })
	}
	want("0")
	for _, n := range []string{"1", "2", "3"} {
		peers = append(peers, f.dial(session(f.bobMember), dial.Options{}))
		want(n)
	}
	for i, n := range []string{"2", "1", "0"} {
		peers[i].Abort()
		want(n)
	}
}

// A broker that stopped took the sessions of all others with it, cut the requests
// under way, lost what its peers had said, and nobody saw it coming.
func TestFlaw48ShutdownHurtsOthers(t *testing.T) {
	t.Run("others' sessions stay", func(t *testing.T) {
		all := newNodes(t, 2, nil)
		a, b := all.both()
		stays := a.dial(session(a.member("ada", store.RoleMember)), dial.Options{})
		b.dial(session(b.member("bo", store.RoleMember)), dial.Options{})
		all.wantMeets(2)
		b.stop()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		list, err := dial.Ask[wire.PeersList](ctx, stays, wire.ListPeers{})
		if err != nil || !slices.ContainsFunc(list.Peers, func(p wire.PeerRow) bool { return p.Pubkey == stays.Key() }) {
			t.Errorf("ada, whose broker goes on: %+v, %v", list, err)
		}
	})
	t.Run("what a peer said comes back", func(t *testing.T) {
		f := newFlawRig(t, nil)
		id := session(f.bobMember)
		p := f.dial(id, dial.Options{PlainHello: true})
		f.settleIn(p)
		f.stop()
		again := start(t, f.file, nil)
		again.mesh = f.mesh
		back := again.dial(id, dial.Options{PlainHello: true})
		if got := again.rowOf(back); got.Summary != "writes tests" || got.Title != "tester" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("requests under way are answered, and readiness fails first", func(t *testing.T) {
		held := &flawStore{}
		f := newFlawRigWith(t, nil, held.wrap)
		slow := f.greet(f.vouched(session(f.bobMember), time.Now()), socketOptions{})
		slow.stall() // it does not answer the closing frame, so that the port stays
		held.gate.close()
		answered := make(chan int, 1)
		go func() {
			status, _, _ := f.ask(http.MethodGet, "/api/my/profile", f.ann, "")
			answered <- status
		}()
		eventually(t, "the request to be under way", func() bool { return held.gate.held() > 0 })
		stopped := make(chan struct{})
		go func() { defer close(stopped); f.stop() }()
		eventually(t, "readiness to fail", func() bool {
			status, text, _ := f.request(http.MethodGet, "/health/ready", "")
			return status == http.StatusServiceUnavailable && strings.Contains(text, `"reason":"draining"`)
		})
		slow.flow()
		held.gate.open()
		if status := <-answered; status != http.StatusOK {
			t.Errorf("the request under way: got %d", status)
		}
		<-stopped
		if code, reason := slow.closed(); code != 1001 {
			t.Errorf("closed: got %d %s, want 1001", code, reason)
		}
	})
}

// A broker that stopped while its database was away died before it closed its
// sockets.
func TestFlaw49ShutdownDiesWithTheDatabase(t *testing.T) {
	broken := &flawStore{err: store.ErrUnavailable}
	f := newFlawRigWith(t, func(c *config.Config) { c.ShutdownTimeout = 3 * time.Second }, broken.wrap)
	peer := f.dial(session(f.bobMember), dial.Options{})
	silent := open(t, f.url, socketOptions{}) // without a hello
	broken.down.Store(true)
	f.app.SetStatus(f.app.Views(f.mesh.ID)[0].Session, "working", "manual") // something to write
	f.stop()
	var closed *dial.CloseError
	if err := f.ended(peer); !errors.As(err, &closed) || closed.Code != 1001 {
		t.Errorf("the peer's connection ended with %v, want 1001", err)
	}
	silent.wantClosed(1001, "shutting down")
	if f.log.value("stopped", "msg") == "" {
		t.Error("it did not come to its end")
	}
}

// Readiness was up to half a minute late.
func TestFlaw50ReadinessIsStale(t *testing.T) {
	broken := &flawStore{err: store.ErrUnavailable}
	f := newFlawRigWith(t, nil, broken.wrap)
	for _, tt := range []struct {
		down   bool
		status int
		db     string
	}{{false, 200, "up"}, {true, 503, "down"}, {false, 200, "up"}, {true, 503, "down"}} {
		broken.down.Store(tt.down)
		since := time.Now()
		eventually(t, "/health/ready to know of the store", func() bool {
			status, _, _ := f.request(http.MethodGet, "/health/ready", "")
			return status == tt.status
		})
		if took := time.Since(since); took > 10*time.Second { // the original's 30 s, and a slow machine's
			t.Errorf("with the store down: %v: it took %v", tt.down, took)
		}
		status, text, _ := f.request(http.MethodGet, "/health", "") // the process lives, which is all that it says
		wantJSON(t, status, text, 200, map[string]any{"status": "ok", "db": tt.db})
	}
}

// The migration that was to be waited for could be any that was ever applied, went
// by a hash that nobody can read, and its refusal told SQL.
func TestFlaw51ExpectedMigrationProvesLittle(t *testing.T) {
	secret := errors.New(`ERROR: relation "x" does not exist (SQLSTATE 42P01): select "hash" from x`)
	for _, tt := range []struct {
		name       string
		expected   string
		migrations *migrations
		status     int
		want       string
	}{
		{"nothing is waited for by name, and one is pending", "", &migrations{pending: []migrate.Migration{{Name: "0002_more.sql"}}}, 503, "0002_more.sql"},
		{"one that is applied, and another is pending", "0001_init.sql", &migrations{pending: []migrate.Migration{{Name: "0002_more.sql"}}}, 503, "0002_more.sql"},
		{"a version", "1", &migrations{}, 200, ""},
		{"a file", "0001_init.sql", &migrations{}, 200, ""},
		{"one that is not applied", "0002_more.sql", &migrations{}, 503, "0002_more.sql"},
		{"a store that cannot tell", "0001_init.sql", &migrations{err: secret}, 503, "readiness_check_error"},
	} {
		t.Run("it is asked for "+tt.name, func(t *testing.T) {
			f := newFlawRigWith(t, func(c *config.Config) { c.ExpectedMigration = tt.expected }, func(o *app.Options) { o.Migrations = tt.migrations })
			status, text, _ := f.request(http.MethodGet, "/health/ready", "")
			if status != tt.status || !strings.Contains(text, tt.want) {
				t.Errorf("got %d %s, want %d %s", status, text, tt.status, tt.want)
			}
			for _, word := range []string{"SQLSTATE", "select", "relation"} {
				if strings.Contains(text, word) {
					t.Errorf("it tells of the store: %s", text)
				}
			}
		})
	}
}

// A counter had a label without end, labels were half escaped, and nothing said
// how long anything takes.
func TestFlaw52MetricsWithoutBounds(t *testing.T) {
	f := newFlawRig(t, nil)
	lines := func() (n int, text string) {
		_, text, _ = f.request(http.MethodGet, "/metrics", "")
		return strings.Count(text, "\n"), text
	}
	s := f.greet(f.vouched(session(f.bobMember), time.Now()), socketOptions{})
	mischief := func(word string) {
		s.write(`{"type":"` + word + `"}`)
		f.request(http.MethodGet, "/"+word, "")
		f.request(http.MethodGet, "/i/"+word, "")
		f.ask(http.MethodGet, "/cli/meshes", word, "")
		f.ask(http.MethodPost, hookPath, "", hookBody("", 1, "/"+word, word))
		f.ask(http.MethodPost, "/cli/mesh/create", f.ann, flawJSON(map[string]any{"name": word, "pubkey": freshKey()}))
	}
	mischief("warm-up")
	s.settle()
	before, _ := lines()
	for i := range 30 {
		mischief("label-" + text(i)[5:])
	}
	s.settle()
	after, all := lines()
	if after > before+3 || strings.Contains(all, "label-") || strings.Contains(all, "flipped=") {
		t.Errorf("%d lines became %d:\n%s", before, after, all)
	}
	types := families(t, all)
	for _, name := range []string{"broker_send_seconds", "broker_http_request_seconds"} {
		if types[name] != "histogram" {
			t.Errorf("%s: nothing says how long it takes", name)
		}
	}
	for name, typ := range map[string]string{"broker_http_requests_total": "counter", "process_open_fds": "gauge"} {
		if types[name] != typ {
			t.Errorf("there is no %s %s", typ, name)
		}
	}
	var b bytes.Buffer
	out := telemetry.NewText(&b)
	telemetry.To{Sink: out}.Counters("x_total", "A counter", []telemetry.Label{{Name: "label"}}, []telemetry.Sample{{Values: []string{"a\\b\"c\nd"}, Value: 1}})
	if err := out.Err(); err != nil || !strings.Contains(b.String(), `x_total{label="a\\b\"c\nd"} 1`) {
		t.Errorf("got %s, %v", b.String(), err)
	}
}

var metricName = regexp.MustCompile(`\b(?:broker|claudemesh)_[a-z_]+\b`)

// unknownMetrics returns what the panels of a dashboard ask for and the broker
// does not print.
func unknownMetrics(dashboard []byte, types map[string]string) []string {
	var unknown []string
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(k, x)
			}
		case []any:
			for _, x := range v {
				walk(key, x)
			}
		case string:
			if key != "expr" && key != "query" {
				return
			}
			for _, name := range metricName.FindAllString(v, -1) {
				base := name
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if cut, ok := strings.CutSuffix(name, suffix); ok && (types[cut] == "histogram" || types[cut] == "summary" && suffix != "_bucket") {
						base = cut
					}
				}
				if types[base] == "" {
					unknown = append(unknown, name)
				}
			}
		}
	}
	var v any
	if json.Unmarshal(dashboard, &v) == nil {
		walk("", v)
	}
	return unknown
}

// A panel of the dashboard asked for a name that no metric has. Those that are
// shipped are held to the names that a broker with everything prints.
func TestFlaw53DashboardWithAWrongName(t *testing.T) {
	_, text, _ := newEverything(t).request(http.MethodGet, "/metrics", "")
	types := families(t, text)
	panel := func(expr string) []byte {
		return []byte(flawJSON(map[string]any{"panels": []any{map[string]any{"targets": []any{map[string]any{"expr": expr}}}}}))
	}
	if got := unknownMetrics(panel("sum(rate(broker_connections_rejected[1m])) by (reason)"), types); len(got) != 1 {
		t.Errorf("the original's mistake would not be seen: %v", got)
	}
	if got := unknownMetrics(panel("rate(broker_connections_rejected_total[1m]) + broker_send_seconds_bucket"), types); len(got) > 0 {
		t.Errorf("names that exist are refused: %v", got)
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin"}, d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".json" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(`"panels"`)) {
			if unknown := unknownMetrics(b, types); len(unknown) > 0 {
				t.Errorf("%s asks for %v", path, unknown)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Three variables said where the broker is, and whoever set none handed out
// invites to somebody else's.
func TestFlaw55PublicURLs(t *testing.T) {
	loaded, err := config.Load(config.Options{Environ: []string{"BROKER_PUBLIC_URL=https://mesh.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	public := loaded.Config.PublicURL
	if links := loaded.Config.HTTP.Links(public); public != "wss://mesh.example.org/ws" || links != "https://mesh.example.org" {
		t.Fatalf("one setting gives %s and %s", public, links)
	}
	for name, edit := range map[string]func(*app.Options){
		"wss://mesh.example.org/ws": func(o *app.Options) { o.URL = func() string { return public } },
		"":                          nil, // nothing is set: made from where the broker listens
	} {
		f := newFlawRigWith(t, nil, edit)
		broker := name
		if broker == "" {
			broker = f.url
		}
		links := config.HTTP{}.Links(broker)
		a := f.wantDone("POST", "/cli/mesh/home/invite", flawBearer(f.ann), "{}")
		if a["url"] != links+"/i/"+a["code"].(string) {
			t.Errorf("invite: got %v, want a link below %s", a, links)
		}
		invite := f.wantDone("GET", "/i/"+a["code"].(string), nil, "")["token"].(string)
		if payload, err := identity.ParseToken(invite); err != nil || payload.BrokerURL != broker {
			t.Errorf("token: got %+v, %v", payload, err)
		}
		a = f.wantDone("POST", "/cli/device-code", nil, "{}")
		if a["verification_url"] != links+"/cli-auth" || a["token_url"] != links+"/token" {
			t.Errorf("sign-in: got %v", a)
		}
		body := flawSync(flawJWT([]byte(flawSecret), f.syncClaims("bob")), freshKey())
		for _, list := range []any{
			f.wantDone("GET", "/cli/meshes", flawBearer(f.ann), "")["meshes"], f.wantDone("POST", "/cli-sync", nil, body)["meshes"],
		} {
			if got := list.([]any)[0].(map[string]any)["broker_url"]; got != broker {
				t.Errorf("broker_url %v, want %s", got, broker)
			}
		}
	}
}

// The log had e-mail addresses, ids of sign-ins and codes in it, in two forms, and
// no id by which to find a request.
func TestFlaw57PersonalDataInTheLog(t *testing.T) {
	f := newFlawRig(t, flawLegacy)
	device, user, signIn := f.begin()
	f.wantDone("POST", "/cli/device-code/"+signIn+"/approve", flawBearer(f.ann), "{}")
	bearer := f.poll(device)["session_token"].(string)
	pasted := f.wantDone("POST", "/cli/token", flawBearer(bearer), "{}")["token"].(string)
	f.wantDone("POST", "/cli/mesh/home/invite", flawBearer(bearer), `{"email":"friend@example.net"}`)
	code, invite := f.newInvite(`{}`)
	f.wantDone("GET", "/cli/meshes?user_id=ann", nil, "")
	f.wantRefused(400, "POST", "/join", nil, flawJoin(t, f.invite(f.owner, func(i *invitation) { i.row.ID = "" }).token, freshKey()))
	f.wantDone("POST", "/join", nil, flawJoin(t, invite, freshKey()))
	f.wantDone("POST", hookPath, flawBearer(bearer), hookBody("", 0, "/home/ann/secret-project", "working"))
	f.wantDone("POST", "/cli/session/revoke", nil, flawJSON(map[string]any{"token": bearer}))
	f.wantRefused(401, "GET", "/cli/meshes", flawBearer(bearer), "")
	f.wantRefused(404, "GET", "/i/ABCDEFGH?email=who@example.net", nil, "")
	f.dial(session(f.bobMember), dial.Options{})
	log := f.log.String()
	for name, secret := range map[string]string{
		"an address": "@example.", "a device code": device, "a user code": user, "the id of a sign-in": signIn, "a token": bearer,
		"a pasted token": pasted, "an invite's code": code, "an invite's token": invite, "a directory": "secret-project", "a machine": "laptop-of-ann",
	} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log", name)
		}
	}
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["msg"] == nil || fields["level"] == nil {
			t.Errorf("a line of another form: %s", line)
		}
	}
	a := f.wantRefused(401, "GET", "/cli/meshes", http.Header{"Authorization": {"Bearer x"}, "X-Request-Id": {"find-me-again"}}, "")
	if a["request_id"] != "find-me-again" || !strings.Contains(f.log.String(), "find-me-again") {
		t.Errorf("a refusal that the log does not know: %v", a)
	}
	eve := http.Header{"X-Request-Id": {"id-two"}, "Authorization": {"Bearer " + f.eve}}
	f.wantRefused(404, "GET", "/nothing", http.Header{"X-Request-Id": {"id-one"}}, "")
	f.wantRefused(403, "DELETE", "/cli/mesh/home", eve, "")
	f.wantRefused(400, "POST", "/join", http.Header{"X-Request-Id": {"id-three"}}, "{")
	f.wantRefused(401, "GET", "/cli/meshes", http.Header{"X-Request-Id": {"id-four"}}, "")
	for _, id := range []string{"id-one", "id-two", "id-three", "id-four"} {
		if !strings.Contains(f.log.String(), id) {
			t.Errorf("%s is not in the log", id)
		}
	}
}

// Sign-ins that nobody needs any more stayed for ever, with their tokens. (Files
// are not kept yet; those that are for a time have to be looked at again.)
func TestFlaw61SignInsAreKept(t *testing.T) {
	f := newFlawRig(t, nil)
	consumed, _, approved := f.begin()
	f.wantDone("POST", "/cli/device-code/"+approved+"/approve", flawBearer(f.ann), "{}")
	bearer := f.poll(consumed)["session_token"].(string)
	_, _, forgotten := f.begin()
	f.wantDone("POST", "/cli/session/revoke", nil, flawJSON(map[string]any{"token": bearer}))
	// What the hourly sweep does, as if an hour and ten minutes had passed.
	if n, err := f.store.PruneTokens(t.Context(), time.Now().Add(10*time.Minute)); err != nil || n < 3 {
		t.Errorf("pruned %d, %v; want two sign-ins and a token", n, err)
	}
	for _, id := range []string{approved, forgotten} {
		if in, err := f.store.SignInByCode(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the sign-in %+v (%v) is kept", in, err)
		}
	}
	if a := f.poll(consumed); a["status"] != "expired" || a["session_token"] != nil {
		t.Errorf("got %v", a)
	}
	f.wantDone("GET", "/api/my/profile", flawBearer(f.ann), "") // what is good stays
}

// A test suite held the opposite of what the broker did about its health, and
// never started it.
func TestFlaw60TestsThatStartNoBroker(t *testing.T) {
	t.Setenv("VITEST", "true") // which stopped the original from starting
	broken := &flawStore{err: store.ErrUnavailable}
	f := newFlawRigWith(t, nil, broken.wrap)
	f.wantAlive()
	p := f.pair()
	f.wantServed(p, "hello")
	broken.down.Store(true)
	eventually(t, "the store to be found away", func() bool {
		_, text, _ := f.request(http.MethodGet, "/health", "")
		return strings.Contains(text, `"db":"down"`)
	})
	status, text, _ := f.request(http.MethodGet, "/health/ready", "")
	wantJSON(t, status, text, 503, map[string]any{"status": "not_ready", "reason": "db_down"})
	broken.down.Store(false)
	f.send(p.ada, p.bo.Key().String(), sdk.PriorityNow, "again")
}
