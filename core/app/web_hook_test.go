package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const hookPath = "/hook/set-status"

// hookRig is a broker with two meshes, and sessions that a hook may mean.
type hookRig struct {
	*rig
	work  *store.Mesh
	peers map[string]*dial.Peer
	ids   map[string]dial.Identity
}

func newHookRig(t *testing.T, change func(*config.Config)) *hookRig {
	t.Helper()
	h := &hookRig{rig: newRig(t, change), peers: map[string]*dial.Peer{}, ids: map[string]dial.Identity{}}
	key, _ := identity.NewKeypair()
	h.work = &store.Mesh{ID: identity.NewID(), Slug: "work", Name: "Work", OwnerKey: key, CreatedAt: time.Now()}
	if err := h.store.CreateMesh(t.Context(), h.work, nil); err != nil {
		t.Fatal(err)
	}
	return h
}

// enrol makes a member of an account, "" for none, in a mesh.
func (h *hookRig) enrol(mesh *store.Mesh, name, account string) {
	h.t.Helper()
	key, secret := identity.NewKeypair()
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh.ID, Key: key, DisplayName: name, Role: store.RoleMember, MessageMode: "push",
		AccountID: account, JoinedAt: time.Now(),
	}
	if err := h.store.AddMember(context.Background(), m); err != nil {
		h.t.Fatal(err)
	}
	h.ids[name] = dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: secret}
}

// launch connects a session of a member.
func (h *hookRig) launch(name, member, sessionID string, pid int64, cwd string, o dial.Options) *dial.Peer {
	h.t.Helper()
	id := h.ids[member]
	_, id.SessionKey = identity.NewKeypair()
	id.SessionID, id.Pid, id.Cwd = sessionID, pid, cwd
	h.ids[name] = id
	h.peers[name] = h.dial(id, o)
	return h.peers[name]
}

// view returns a session as the broker sees it.
func (h *hookRig) view(name string) presence.View {
	h.t.Helper()
	for _, v := range h.app.Views(h.ids[name].MeshID) {
		if v.Key == h.peers[name].Key() {
			return v
		}
	}
	h.t.Fatalf("%s is not here", name)
	return presence.View{}
}

// calm makes all sessions idle.
func (h *hookRig) calm() {
	for name := range h.peers {
		h.app.SetStatus(h.view(name).Session, presence.Idle, presence.Manual)
	}
}

// working returns who works, by name.
func (h *hookRig) working() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(h.peers)) {
		if h.view(name).Status == presence.Working {
			names = append(names, name)
		}
	}
	return names
}

// signed is the header of a call that a member signs.
func (h *hookRig) signed(name, body string) http.Header {
	id := h.ids[name]
	return http.Header{"Authorization": {identity.SignHTTP(id.Key, http.MethodPost, hookPath, id.MeshID, []byte(body), time.Now())}}
}

// hookBody is what a hook sends; a zero field is left out.
func hookBody(session string, pid int64, cwd, status string) string {
	m := map[string]any{"cwd": cwd, "status": status}
	if session != "" {
		m["session_id"] = session
	}
	if pid != 0 {
		m["pid"] = pid
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// proxied makes a peer's upgrade look as if a proxy forwarded it.
type proxied string

func (p proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(p))
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
}

// from is how to connect from an address.
func from(addr string) dial.Options {
	return dial.Options{HTTPClient: &http.Client{Transport: proxied(addr)}}
}

func TestHookMeans(t *testing.T) {
	for _, open := range []bool{false, true} {
		h := newHookRig(t, func(c *config.Config) {
			c.HTTP.HookOpen, c.HTTP.TrustedProxies = open, []string{"127.0.0.1"}
		})
		ada := h.account("ada")
		h.enrol(h.mesh, "ada", "ada")
		h.enrol(h.work, "ada at work", "ada")
		h.enrol(h.mesh, "ada's other key", "ada")
		h.enrol(h.mesh, "bo", "bo")
		away := from("192.0.2.1")
		h.launch("ada 1", "ada", "l1", 10, "/src", dial.Options{})
		h.launch("ada 1 at work", "ada at work", "l1", 10, "/src", dial.Options{})
		h.launch("ada 2", "ada", "l2", 11, "/src", dial.Options{})
		h.launch("ada 3", "ada's other key", "l3", 12, "/lib", dial.Options{})
		h.launch("ada 4", "ada", "l4", 13, "/doc", dial.Options{})
		h.launch("ada 5", "ada", "l5", 14, "/doc", dial.Options{})
		h.launch("ada 5 at work", "ada at work", "l5", 15, "/doc", dial.Options{})
		h.launch("bo 1", "bo", "l6", 10, "/src", dial.Options{})
		h.launch("bo 2", "bo", "l1", 16, "/src", away)
		tests := []struct {
			name   string
			by     string // "account", "bare", or a member that signs
			body   string
			closed []string // who works then, by name, when the hook is closed
			opened []string // when it is open; nil is the same
		}{
			{"a bearer's launch, in all meshes", "account", hookBody("l1", 99, "/none", "working"), []string{"ada 1", "ada 1 at work"}, nil},
			{"a bearer's process, in all meshes", "account", hookBody("", 10, "/src", "working"), []string{"ada 1", "ada 1 at work"}, nil},
			{"a bearer's process, when no launch has the name", "account", hookBody("l9", 11, "/src", "working"), []string{"ada 2"}, nil},
			{"a bearer's newest session in the directory", "account", hookBody("", 0, "/src", "working"), []string{"ada 2"}, nil},
			{"a bearer's own, when the process is another member's", "account", hookBody("l6", 16, "/src", "working"), []string{"ada 2"}, nil},
			{"a bearer's newest client, in all meshes", "account", hookBody("", 0, "/doc", "working"), []string{"ada 5", "ada 5 at work"}, nil},
			{"any key of an account", "account", hookBody("", 0, "/lib", "working"), []string{"ada 3"}, nil},
			{"nobody else's launch", "account", hookBody("l6", 0, "/none", "working"), nil, nil},
			{"a signer's launch, in its mesh", "ada", hookBody("l1", 0, "/none", "working"), []string{"ada 1"}, nil},
			{"a signer's process, in its mesh", "ada", hookBody("", 10, "/src", "working"), []string{"ada 1"}, nil},
			{"a signer's directory, in its mesh", "ada at work", hookBody("", 11, "/src", "working"), []string{"ada 1 at work"}, nil},
			{"not the signer's account's other keys", "ada", hookBody("l3", 12, "/lib", "working"), nil, nil},
			{"not what the signer has in other meshes", "ada", hookBody("", 15, "/doc", "working"), []string{"ada 5"}, nil},
			{"a signer's session from another machine", "bo", hookBody("l1", 0, "/none", "working"), []string{"bo 2"}, nil},
			{"who came from this machine, without a credential", "bare", hookBody("l1", 0, "/none", "working"),
				[]string{"ada 1", "ada 1 at work"}, []string{"ada 1", "ada 1 at work", "bo 2"}},
			{"a process of this machine, without a credential", "bare", hookBody("", 10, "/src", "working"),
				[]string{"ada 1", "ada 1 at work", "bo 1"}, nil},
			{"the newest of this machine, without a credential", "bare", hookBody("", 16, "/src", "working"), []string{"bo 1"}, []string{"bo 2"}},
			{"nobody in another directory", "bare", hookBody("", 10, "/src/", "working"), nil, nil},
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("it means %s (open: %v)", tt.name, open), func(t *testing.T) {
				h.calm()
				header := http.Header{}
				switch tt.by {
				case "account":
					header.Set("Authorization", "Bearer "+ada)
				case "bare":
				default:
					header = h.signed(tt.by, tt.body)
				}
				want := tt.closed
				if open && tt.opened != nil {
					want = tt.opened
				}
				status, answer, _ := h.askWith(http.MethodPost, hookPath, header, tt.body)
				if diff := cmp.Diff(want, h.working()); diff != "" {
					t.Error(diff)
				}
				expected := map[string]any{"ok": true, "pending": true}
				if len(want) > 0 {
					newest := slices.MaxFunc(want, func(a, b string) int { return h.view(a).Since.Compare(h.view(b).Since) })
					expected = map[string]any{"ok": true, "presence_id": h.view(newest).ID}
				}
				if diff := cmp.Diff(expected, answer); status != http.StatusOK || diff != "" {
					t.Error(status, diff)
				}
			})
		}
	}
}

// A session in its grace time is meant when no connected one is, and comes back
// with what the hook said.
func TestHookMeansWhoIsHereFirst(t *testing.T) {
	h := newHookRig(t, nil)
	h.enrol(h.mesh, "ada", "")
	h.launch("old", "ada", "l1", 1, "/src", dial.Options{})
	h.launch("away", "ada", "l2", 2, "/src", dial.Options{})
	h.peers["away"].Abort()
	eventually(t, "a session to be in its grace time", func() bool { return !h.view("away").Online })
	for _, tt := range []struct {
		body string
		want []string
	}{
		{hookBody("", 0, "/src", "working"), []string{"old"}},
		{hookBody("l2", 0, "/src", "working"), []string{"away", "old"}},
	} {
		if status, answer, _ := h.ask(http.MethodPost, hookPath, "", tt.body); status != http.StatusOK || answer["presence_id"] == nil {
			t.Errorf("%s: got %d %v", tt.body, status, answer)
		}
		if diff := cmp.Diff(tt.want, h.working()); diff != "" {
			t.Error(diff)
		}
	}
}

// "Do not disturb" is a person's word, which no hook lifts. The hook is told all
// the same which session it meant.
func TestHookLeavesDoNotDisturb(t *testing.T) {
	h := newHookRig(t, nil)
	h.enrol(h.mesh, "ada", "")
	h.become(h.launch("ada 1", "ada", "l1", 1, "/src", dial.Options{}), presence.DND)
	status, answer, _ := h.ask(http.MethodPost, hookPath, "", hookBody("l1", 1, "/src", "idle"))
	if status != http.StatusOK || answer["presence_id"] != h.view("ada 1").ID {
		t.Errorf("got %d %v", status, answer)
	}
	if v := h.view("ada 1"); v.Status != presence.DND || v.Source != presence.Manual {
		t.Errorf("got %s by %s", v.Status, v.Source)
	}
}

// A message that waits for the end of a turn comes when the hook tells of it.
func TestHookReleasesMessages(t *testing.T) {
	h := newHookRig(t, nil)
	h.enrol(h.mesh, "ada", "")
	h.enrol(h.mesh, "bo", "")
	ada := h.launch("ada 1", "ada", "l1", 1, "/src", dial.Options{})
	bo := h.launch("bo 1", "bo", "l2", 2, "/src", dial.Options{ConfirmPushes: true})
	say := func(status string) {
		t.Helper()
		if err := dial.HookStatus(t.Context(), h.url, h.ids["bo 1"], status); err != nil {
			t.Fatal(err)
		}
	}
	say("working")
	if v := h.view("bo 1"); v.Status != presence.Working || v.Source != presence.Hook {
		t.Fatalf("got %s by %s", v.Status, v.Source)
	}
	for i, p := range []sdk.Priority{sdk.PriorityNext, sdk.PriorityNow} {
		if ack := h.send(ada, bo.Key().String(), p, text(i)); !ack.Queued {
			t.Fatalf("ack: %+v", ack)
		}
	}
	h.wantText(bo, text(1)) // the first waits
	say("idle")
	h.wantText(bo, text(0))
}

func TestHookPending(t *testing.T) {
	h := newHookRig(t, nil)
	ada := h.account("ada")
	h.enrol(h.mesh, "ada", "ada")
	h.enrol(h.work, "ada at work", "ada")
	h.enrol(h.mesh, "bo", "bo")
	pending := func(header http.Header, body string) {
		t.Helper()
		status, answer, _ := h.askWith(http.MethodPost, hookPath, header, body)
		if diff := cmp.Diff(map[string]any{"ok": true, "pending": true}, answer); status != http.StatusOK || diff != "" {
			t.Fatal(status, diff)
		}
	}
	bearer := http.Header{"Authorization": {"Bearer " + ada}}
	pending(bearer, hookBody("", 1, "/account", "working"))
	body := hookBody("", 1, "/signed", "dnd")
	pending(h.signed("ada", body), body)
	pending(nil, hookBody("l3", 99, "/bare", "working"))
	pending(nil, hookBody("", 1, "/changed", "dnd"))
	pending(nil, hookBody("", 1, "/changed", "working"))
	pending(nil, hookBody("", 1, "/other", "working"))
	tests := []struct {
		member, session string
		pid             int64
		cwd             string
		want            presence.Status
	}{
		{"bo", "l1", 1, "/account", presence.Idle}, // the account's hint is not for others
		{"ada at work", "l2", 1, "/account", presence.Working},
		{"bo", "l1", 1, "/signed", presence.Idle},
		{"ada at work", "l1", 1, "/signed", presence.Idle},
		{"ada", "l1", 1, "/signed", presence.DND},
		{"bo", "l3", 1, "/src", presence.Working},
		{"bo", "l1", 1, "/changed", presence.Working},
		{"bo", "l1", 2, "/other", presence.Idle},
	}
	for i, tt := range tests {
		name := fmt.Sprint(i, " ", tt.member, " in ", tt.cwd)
		h.launch(name, tt.member, tt.session, tt.pid, tt.cwd, dial.Options{})
		if v := h.view(name); v.Status != tt.want || tt.want != presence.Idle && v.Source != presence.Hook {
			t.Errorf("%s: got %s by %s, want %s", name, v.Status, v.Source, tt.want)
		}
	}
}

// Flaws 18 and 43 of the original: whoever reached the port could set a status,
// and what was wrong with a call came as 200 or 500.
func TestFlaws18And43HookRefuses(t *testing.T) {
	h := newHookRig(t, nil)
	h.enrol(h.mesh, "ada", "")
	h.launch("ada 1", "ada", "l1", 1, "/src", dial.Options{})
	good := hookBody("l1", 1, "/src", "working")
	through := func(name, value string) http.Header { return http.Header{name: {value}} }
	moved := h.ids["ada"]
	moved.MeshID = h.work.ID
	const missing = "cwd and status required"
	tests := []struct {
		name   string
		header http.Header
		body   string
		status int
		code   string
		text   string // the whole error, or how it begins with … at its end
	}{
		{"a stranger behind a proxy", through("X-Forwarded-For", "192.0.2.1"), good, 401, "missing_bearer_token", "missing_bearer_token: call the hook with …"},
		{"a web page", through("Origin", "http://localhost:3000"), good, 401, "missing_bearer_token", "missing_bearer_token: …"},
		{"a forged token", through("Authorization", "Bearer x.y.z"), good, 401, "invalid_or_revoked_token", "…"},
		{"a signature over another body", h.signed("ada", good), good + " ", 401, "bad_signature", "…"},
		{"a signature for another mesh", through("Authorization", identity.SignHTTP(moved.Key, http.MethodPost, hookPath, moved.MeshID, []byte(good), time.Now())), good, 401, "unauthorized", "…"},
		{"a signature that is none", through("Authorization", identity.HTTPScheme+` mesh="x"`), good, 400, "malformed", "…"},
		{"no body", nil, "", 400, "malformed", "…"},
		{"half a body", nil, good[:10], 400, "malformed", "…"},
		{"null", nil, "null", 400, "malformed", "want a JSON object"},
		{"a list", nil, "[" + good + "]", 400, "malformed", "want a JSON object"},
		{"an empty object", nil, "{}", 400, "malformed", missing},
		{"no cwd", nil, `{"status":"idle"}`, 400, "malformed", missing},
		{"no status", nil, `{"cwd":"/src"}`, 400, "malformed", missing},
		{"nulls", nil, `{"cwd":null,"status":null}`, 400, "malformed", missing},
		{"an empty cwd", nil, `{"cwd":"","status":"idle"}`, 400, "malformed", missing},
		{"an empty status", nil, `{"cwd":"/src","status":""}`, 400, "invalid", `status: want "idle", "working" or "dnd"`},
		{"a bogus status", nil, `{"cwd":"/src","status":"bogus"}`, 400, "invalid", `status: want "idle", "working" or "dnd"`},
		{"a cwd that is a number", nil, `{"cwd":5,"status":"idle"}`, 400, "invalid", "cwd: …"},
		{"a cwd that is too long", nil, hookBody("", 0, strings.Repeat("x", 4097), "idle"), 400, "invalid", "cwd: …"},
		{"a cwd with NUL", nil, hookBody("", 0, "/a\x00b", "idle"), 400, "invalid", "…"},
		{"a pid that is a text", nil, `{"cwd":"/src","status":"idle","pid":"1"}`, 400, "invalid", "pid: …"},
		{"a pid that is a fraction", nil, `{"cwd":"/src","status":"idle","pid":1.5}`, 400, "invalid", "pid: …"},
		{"a pid below zero", nil, `{"cwd":"/src","status":"idle","pid":-1}`, 400, "invalid", "pid: …"},
		{"a pid beyond all processes", nil, `{"cwd":"/src","status":"idle","pid":1e30}`, 400, "invalid", "pid: …"},
		{"a session_id that is a number", nil, `{"cwd":"/src","status":"idle","session_id":7}`, 400, "invalid", "session_id: …"},
		{"a session_id that is too long", nil, hookBody(strings.Repeat("x", 257), 0, "/src", "idle"), 400, "invalid", "session_id: …"},
	}
	for _, tt := range tests {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			status, answer, header := h.askWith(http.MethodPost, hookPath, maps.Clone(tt.header), tt.body)
			if status != tt.status || answer["code"] != tt.code || answer["ok"] != false || answer["presence_id"] != nil {
				t.Errorf("got %d %v, want %d %s", status, answer, tt.status, tt.code)
			}
			got, _ := answer["error"].(string)
			begin, open := strings.CutSuffix(tt.text, "…")
			if got == "" || !open && got != tt.text || !strings.HasPrefix(got, begin) {
				t.Errorf("got %q, want %q", got, tt.text)
			}
			if (header.Get("WWW-Authenticate") != "") != (status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate: %q", header.Get("WWW-Authenticate"))
			}
		})
	}
	if got := h.working(); got != nil {
		t.Errorf("a refused hook made %q work", got)
	}
	if status, answer, header := h.ask(http.MethodGet, hookPath, "", ""); status != http.StatusMethodNotAllowed || answer["ok"] != false || !strings.Contains(header.Get("Allow"), http.MethodPost) {
		t.Errorf("GET: got %d %v %v", status, answer, header)
	}
}

// The largest values that are taken, and one byte more of a body.
func TestHookBounds(t *testing.T) {
	h := newHookRig(t, nil)
	body := hookBody(strings.Repeat("s", 256), 1<<53, "/"+strings.Repeat("x", 4095), "idle")
	if status, answer, _ := h.ask(http.MethodPost, hookPath, "", body); status != http.StatusOK || answer["pending"] != true {
		t.Errorf("got %d %v", status, answer)
	}
	most := int(config.Default().Limits.HTTPBodyBytes)
	body = hookBody("", 0, "/src", "idle")
	body += strings.Repeat(" ", most-len(body))
	if status, answer, _ := h.ask(http.MethodPost, hookPath, "", body); status != http.StatusOK {
		t.Errorf("at the limit: got %d %v", status, answer)
	}
	if status, answer, _ := h.ask(http.MethodPost, hookPath, "", body+" "); status != http.StatusRequestEntityTooLarge || answer["error"] != "payload too large" {
		t.Errorf("above the limit: got %d %v", status, answer)
	}
}

// Flaw 19 of the original: a bogus status that waited blocked the next hello.
func TestFlaw19HookBlocksNoHello(t *testing.T) {
	h := newHookRig(t, nil)
	h.enrol(h.mesh, "ada", "")
	h.ask(http.MethodPost, hookPath, "", `{"cwd":"/src","pid":1,"status":"bogus"}`)
	for i := range 40 {
		h.ask(http.MethodPost, hookPath, "", hookBody(fmt.Sprint("l", i), 1, "/src", "working"))
	}
	h.launch("ada 1", "ada", "l0", 1, "/src", dial.Options{})
	eventually(t, "the session to be here", func() bool { return h.view("ada 1").Online })
}

// The 31st call at once is refused, of this caller and for this process and
// directory alone.
func TestHookRate(t *testing.T) {
	if got := config.Default().HTTP.HookRate.String(); got != "30/min" {
		t.Errorf("the default rate is %s", got)
	}
	h := newHookRig(t, func(c *config.Config) {
		c.HTTP.HookRate = config.Limit{Rate: config.Rate{Count: 30, Per: time.Hour}} // so that none comes back meanwhile
		c.HTTP.HookOpen, c.HTTP.TrustedProxies = true, []string{"127.0.0.1"}
	})
	bearer := h.account("ada")
	body := hookBody("", 1, "/src", "working")
	for i := range 30 {
		if status, answer, _ := h.ask(http.MethodPost, hookPath, "", body); status != http.StatusOK {
			t.Fatalf("call %d: got %d %v", i+1, status, answer)
		}
	}
	status, answer, header := h.ask(http.MethodPost, hookPath, "", body)
	if status != http.StatusTooManyRequests || answer["ok"] != false || answer["error"] != "rate limited" || answer["code"] != "rate_limit" {
		t.Errorf("got %d %v", status, answer)
	}
	if wait, err := strconv.Atoi(header.Get("Retry-After")); err != nil || wait < 1 || wait > 120 {
		t.Errorf("Retry-After: got %q", header.Get("Retry-After"))
	}
	h.ask(http.MethodPost, hookPath, "", "{") // counts, and is not limited
	for name, tt := range map[string]struct {
		header http.Header
		body   string
	}{
		"another process":   {nil, hookBody("", 2, "/src", "working")},
		"another directory": {nil, hookBody("", 1, "/tmp", "working")},
		"an account":        {http.Header{"Authorization": {"Bearer " + bearer}}, body},
		"another address":   {http.Header{"X-Forwarded-For": {"192.0.2.1"}}, body},
	} {
		if status, answer, _ := h.askWith(http.MethodPost, hookPath, tt.header, tt.body); status != http.StatusOK {
			t.Errorf("%s: got %d %v", name, status, answer)
		}
	}
	if got := h.metric("broker_hook_requests_total"); got != "36" {
		t.Errorf("broker_hook_requests_total is %s, want 36", got)
	}
	if got := h.metric("broker_hook_requests_rate_limited_total"); got != "1" {
		t.Errorf("broker_hook_requests_rate_limited_total is %s, want 1", got)
	}
}

func TestHookWithoutRate(t *testing.T) {
	h := newHookRig(t, func(c *config.Config) { c.HTTP.HookRate = config.Limit{} })
	for range 40 {
		if status, answer, _ := h.ask(http.MethodPost, hookPath, "", hookBody("", 1, "/src", "idle")); status != http.StatusOK {
			t.Fatalf("got %d %v", status, answer)
		}
	}
}

// A hook may reach any node; the session's own one decides.
func TestHookReachesOtherNodes(t *testing.T) {
	a, b := newNodes(t, 2, nil).both()
	id := session(a.member("ada", store.RoleMember))
	p := a.dial(id, dial.Options{})
	eventually(t, "the other node to know the session", func() bool { return b.online() == 1 })
	if err := dial.HookStatus(t.Context(), b.url, id, "working"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session to work", func() bool {
		for _, v := range a.app.Views(a.mesh.ID) {
			if v.Key == p.Key() {
				return v.Status == presence.Working && v.Source == presence.Hook
			}
		}
		return false
	})
}
