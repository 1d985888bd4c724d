package app_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/sdk"
)

// aside is a stage that looks at envelopes and lets them pass.
type aside func(*sdk.Envelope)

func (f aside) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	f(env)
	return sdk.Next(), nil
}

// overStore starts a broker on a store that is put around a real one.
func overStore(t *testing.T, change func(*config.Config), around func(store.Store) store.Store) *rig {
	t.Helper()
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), change, func(o *app.Options) { o.Store = around(o.Store) })
	r.newMesh()
	return r
}

// A trace context goes to stages and plugins, as a text; a stranger's header that
// is none does not.
func TestTraceIsATraceparent(t *testing.T) {
	t.Parallel()
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	seen := make(chan string, 1)
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), guessing, func(o *app.Options) {
		putBeforeRoute(o, "look", aside(func(env *sdk.Envelope) { seen <- env.Trace }))
	})
	for header, want := range map[string]string{
		good: good, good + "-more": good + "-more", strings.ToUpper(good): "", "": "",
		"\xff\xfe": "", good + "x": "", strings.Repeat("0", 55): "", strings.Repeat("x", 12<<10): "",
	} {
		r.askWith(http.MethodPost, "/cli/device-code", http.Header{"Traceparent": {header}}, "{}")
		if got := <-seen; got != want {
			t.Errorf("%.80q: stages get %.80q", header, got)
		}
	}
}

// Whoever sends a body and never ends it does not keep the broker from stopping in
// order.
func TestSlowBodyDoesNotHoldTheStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *config.Config) { c.ShutdownTimeout = 3 * time.Second })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /join HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 12)); err != nil { // the broker waits for the body
		t.Fatal(err)
	}
	r.stop() // fails by itself if something was left undone
}

func oneAMinute(c *config.Config) {
	guessing(c)
	c.HTTP.PerToken, c.HTTP.PerTokenBurst = config.Limit{Rate: config.Rate{Count: 1, Per: time.Minute}}, 1
}

// A credential has one rate, however it is written.
func TestRateOfACredential(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneAMinute)
	ada, served := r.account("ada"), 0
	for i := range 5 {
		h := http.Header{"Authorization": {"Bearer " + strings.Repeat(" ", i) + ada}}
		if status, _, _ := r.askWith(http.MethodGet, "/api/my/profile", h, ""); status == http.StatusOK {
			served++
		}
	}
	id := r.member("bo", store.RoleMember)
	path, key := "/mesh/"+id.MeshID+"/members", []byte(identity.PublicKey(id.Key).String())
	for i := range key {
		if key[i] < 'a' {
			continue
		}
		key[i] -= 'a' - 'A'
		ts := fmt.Sprint(time.Now().UnixMilli())
		text := identity.HTTPText(http.MethodGet, path, id.MeshID, string(key), ts, sha256.Sum256(nil))
		h := fmt.Sprintf(`Mesh-Member mesh="%s", key="%s", ts="%s", sig="%x"`, id.MeshID, key, ts, ed25519.Sign(id.Key, text))
		if status, _, _ := r.askWith(http.MethodGet, path, http.Header{"Authorization": {h}}, ""); status == http.StatusOK {
			served++
		}
	}
	if served != 2 {
		t.Errorf("a token and a member were served %d times in a minute that allows 1 each", served)
	}
}

// dryStore commits nothing while it is dry.
type dryStore struct {
	store.Store
	dry atomic.Bool
}

func (s *dryStore) Commit(ctx context.Context, b *store.Batch) error {
	if s.dry.Load() {
		return store.ErrUnavailable
	}
	return s.Store.Commit(ctx, b)
}

// What was done over HTTP is in the audit log when the answer comes.
func TestAnswerWaitsForTheAuditLog(t *testing.T) {
	t.Parallel()
	dry := new(dryStore)
	r := overStore(t, guessing, func(s store.Store) store.Store { dry.Store = s; return dry })
	c := newCrewOn(t, r)
	changed := func() int64 {
		_, n, err := c.store.AuditPage(t.Context(), c.mesh.ID, store.AuditMatch{Event: "permission_changed"}, 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["ada"], `{"permission":"admin"}`)
	if n := changed(); n != 1 {
		t.Errorf("answered, and the log has %d entries", n)
	}
	dry.dry.Store(true)
	status, answer, _ := c.ask(http.MethodPatch, c.memberPath("bo"), c.tokens["ada"], `{"permission":"member"}`)
	dry.dry.Store(false)
	if status != http.StatusServiceUnavailable {
		t.Errorf("nothing could be written to the log: got %d %v", status, answer)
	}
}

// countedStore counts pings.
type countedStore struct {
	store.Store
	pings atomic.Int64
}

func (s *countedStore) Ping(ctx context.Context) error { s.pings.Add(1); return s.Store.Ping(ctx) }

// The health routes have no limit, and do not ask the store for each who asks.
func TestHealthAsksTheStoreOnce(t *testing.T) {
	t.Parallel()
	counted := new(countedStore)
	r := overStore(t, nil, func(s store.Store) store.Store { counted.Store = s; return counted })
	start := time.Now()
	for range 300 {
		r.request(http.MethodGet, "/health", "")
		r.request(http.MethodGet, "/health/ready", "")
	}
	if most := int64(time.Since(start)/(200*time.Millisecond)) + 2; counted.pings.Load() > most {
		t.Errorf("the store was asked %d times, want %d at most", counted.pings.Load(), most)
	}
}

// untouchedStore cannot write.
type untouchedStore struct{ store.Store }

func (untouchedStore) TouchToken(context.Context, string, time.Time) error {
	return errors.New("disk full")
}

// Whoever reads with a token does not need a store that can write.
func TestReadingNeedsNoWrite(t *testing.T) {
	t.Parallel()
	r := overStore(t, nil, func(s store.Store) store.Store { return untouchedStore{s} })
	r.account("ada")
	now := time.Now()
	claims := token.Claims{Account: "ada", Name: "ada", Kind: token.KindPasted, ExpiresAt: now.Add(time.Hour)}
	text, hash, err := token.NewKeys(atRest.Key()).Mint(claims, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.CreateToken(t.Context(), &store.Token{
		ID: identity.NewID(), AccountID: "ada", Hash: hash, Kind: store.TokenPasted,
		CreatedAt: now, ExpiresAt: claims.ExpiresAt, LastSeenAt: now.Add(-2 * time.Minute),
	}); err != nil {
		t.Fatal(err)
	}
	r.wantOK(http.MethodGet, "/api/my/profile", text, "")
}

// withLegacy switches legacy-auth on.
func withLegacy(c *config.Config) {
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "legacy-auth" {
			c.Pipeline[i].Enabled = true
		}
	}
}

// While legacy-auth is on, ids of accounts are the only secret there is.
func TestLegacyIDsCannotBeGuessed(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *config.Config) {
		withLegacy(c)
		c.HTTP.Guesses, c.HTTP.GuessesBurst = config.Limit{Rate: config.Rate{Count: 1, Per: time.Hour}}, 3
	})
	r.account("ada")
	for i := range 4 {
		status, _, header := r.ask(http.MethodGet, fmt.Sprintf("/cli/meshes?user_id=guess%d", i), "", "")
		if want := map[bool]int{false: 401, true: 429}[i == 3]; status != want {
			t.Errorf("guess %d: got %d, want %d", i, status, want)
		}
		if i == 3 && header.Get("Retry-After") == "" {
			t.Error("it is not said when to try again")
		}
	}
}

// What is no text is nobody's id, on both stores.
func TestLegacyIDsAreText(t *testing.T) {
	t.Parallel()
	change := func(c *config.Config) { guessing(c); withLegacy(c) }
	for name, r := range map[string]*rig{"SQLite": newRig(t, change), "PostgreSQL": newNodes(t, 1, change).list[0]} {
		for _, id := range []string{"%00", "%ff", strings.Repeat("x", 300)} {
			if status, a, _ := r.ask(http.MethodGet, "/cli/mesh/home/invites?user_id="+id, "", ""); status != 401 {
				t.Errorf("%s: user_id=%.10s: got %d %v", name, id, status, a)
			}
		}
	}
}
