package app_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// flawRig is a broker as the original's attackers would meet it. Ann owns the
// mesh home, bob is a plain member of it, and eve has an account and nothing else.
// Refused attempts are not limited, since tests make many.
type flawRig struct {
	*rig
	ann, bob, eve        string // bearer tokens
	annMember, bobMember dial.Identity
	log                  *flawLog
}

func newFlawRig(t *testing.T, change func(*config.Config)) *flawRig {
	t.Helper()
	return newFlawRigWith(t, change, nil)
}

// newFlawRigWith is newFlawRig with options that are no config.
func newFlawRigWith(t *testing.T, change func(*config.Config), edit func(*app.Options)) *flawRig {
	t.Helper()
	file := freshtest.Path(t)
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Durability: sqlite.Durability(config.SurvivesProcess)})
	if err != nil {
		t.Fatal(err)
	}
	f := newFlawRigOn(t, st, change, edit)
	f.file = file
	return f
}

// newFlawRigOn is newFlawRigWith on a fresh store, which it closes.
func newFlawRigOn(t *testing.T, st flawEngine, change func(*config.Config), edit func(*app.Options)) *flawRig {
	t.Helper()
	cfg := unlimited()
	cfg.HTTP.Guesses, cfg.HTTP.SyncSecret = config.Limit{}, flawSecret
	if change != nil {
		change(&cfg)
	}
	f := &flawRig{log: &flawLog{}}
	f.rig = startOn(t, cfg, st, func(o *app.Options) {
		o.Log = slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Migrations = st
		if edit != nil {
			edit(o)
		}
	})
	f.newMesh()
	f.change(f.mesh.ID, func(m *store.Mesh) { m.OwnerAccount = "ann" })
	f.ann, f.bob, f.eve = f.account("ann"), f.account("bob"), f.account("eve")
	f.annMember = f.enrol("ann", store.RoleAdmin, "ann")
	f.bobMember = f.enrol("bob", store.RoleMember, "bob")
	return f
}

// flawEngine is a store that knows its migrations.
type flawEngine interface {
	store.Store
	server.Migrations
}

// flawSecret is what the web application of every rig signs with.
const flawSecret = "a secret of the web application of 32 bytes and more"

// change edits a mesh's row.
func (f *flawRig) change(mesh string, edit func(*store.Mesh)) {
	f.t.Helper()
	_, err := f.store.ChangeMesh(context.Background(), mesh, func(m *store.Mesh) error { edit(m); return nil })
	if err != nil {
		f.t.Fatal(err)
	}
	f.app.ForgetMesh(mesh)
}

// enrol makes a member of the mesh home that belongs to an account.
func (f *flawRig) enrol(name string, role store.Role, account string) dial.Identity {
	f.t.Helper()
	id := f.member(name, role)
	_, err := f.store.ChangeMember(context.Background(), id.MemberID, func(m *store.Member) error {
		m.AccountID = account
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// row returns a member as it is stored.
func (f *flawRig) row(id dial.Identity) *store.Member {
	f.t.Helper()
	m, err := f.store.MemberByID(context.Background(), id.MemberID)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// meshRow returns the mesh home as it is stored.
func (f *flawRig) meshRow() *store.Mesh {
	f.t.Helper()
	m, err := f.store.Mesh(context.Background(), f.mesh.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// members returns the members of the mesh home.
func (f *flawRig) members() []*store.Member {
	f.t.Helper()
	list, err := f.store.ListMembers(context.Background(), f.mesh.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// tokens returns the good tokens of an account.
func (f *flawRig) tokens(account string) []*store.Token {
	f.t.Helper()
	list, err := f.store.ListTokens(context.Background(), account, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// flawSigned is the header of a request that a member signs.
func flawSigned(id dial.Identity, method, path, body string) http.Header {
	return http.Header{"Authorization": {identity.SignHTTP(id.Key, method, path, id.MeshID, []byte(body), time.Now())}}
}

// flawBearer is the header of a request with a bearer token.
func flawBearer(bearer string) http.Header { return http.Header{"Authorization": {"Bearer " + bearer}} }

// base is where the broker's HTTP side is.
func (f *flawRig) base() string {
	return "http://" + strings.TrimSuffix(strings.TrimPrefix(f.url, "ws://"), "/ws")
}

// wantRefused asks and wants a refusal of one status, in the one shape of errors.
func (f *flawRig) wantRefused(want int, method, path string, h http.Header, body string) map[string]any {
	f.t.Helper()
	status, answer, _ := f.askWith(method, path, h, body)
	if status != want || answer["ok"] != false || answer["error"] == "" || answer["error"] == nil || len(answer) > 6 {
		f.t.Errorf("%s %s %.200s: got %d %v, want a refusal with %d", method, path, body, status, answer, want)
	}
	return answer
}

// wantDone asks and wants the answer 200.
func (f *flawRig) wantDone(method, path string, h http.Header, body string) map[string]any {
	f.t.Helper()
	status, answer, _ := f.askWith(method, path, h, body)
	if status != http.StatusOK {
		f.t.Fatalf("%s %s %.200s: got %d %v, want 200", method, path, body, status, answer)
	}
	return answer
}

// wantAlive wants the broker to live and to serve.
func (f *flawRig) wantAlive() {
	f.t.Helper()
	if status, text, _ := f.request(http.MethodGet, "/health/ready", ""); status != http.StatusOK {
		f.t.Fatalf("the broker serves no more: %d %s", status, text)
	}
}

// unchanged runs an attack and wants the members and the mesh to be afterwards
// as they were before.
func (f *flawRig) unchanged(attack func()) {
	f.t.Helper()
	members, mesh := f.members(), f.meshRow()
	attack()
	if diff := cmp.Diff(members, f.members()); diff != "" {
		f.t.Errorf("the members have changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(mesh, f.meshRow()); diff != "" {
		f.t.Errorf("the mesh has changed (-before +after):\n%s", diff)
	}
}

// begin begins the sign-in of a command line.
func (f *flawRig) begin() (device, user, session string) {
	f.t.Helper()
	a := f.wantDone(http.MethodPost, "/cli/device-code", nil, `{"hostname":"laptop-of-ann"}`)
	return a["device_code"].(string), a["user_code"].(string), a["session_id"].(string)
}

// poll returns the state of a sign-in.
func (f *flawRig) poll(device string) map[string]any {
	f.t.Helper()
	return f.wantDone(http.MethodGet, "/cli/device-code/"+device, nil, "")
}

// flawJWT makes an HS256 token of claims by hand.
func flawJWT(key []byte, claims map[string]any) string {
	return flawJWTAs("HS256", key, claims)
}

// flawJWTAs is flawJWT with another name of the algorithm in the header; none has
// no signature.
func flawJWTAs(algorithm string, key []byte, claims map[string]any) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]any{"alg": algorithm, "typ": "JWT"}) + "." + part(claims)
	if algorithm == "none" {
		return text + "."
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// flawClaims are the claims of a bearer token of an account.
func flawClaims(account string) map[string]any {
	now := time.Now()
	return map[string]any{
		"sub": account, "email": account + "@example.org", "name": account, "type": "cli-session", "jti": identity.NewUUID(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// syncClaims are the claims of a sync token of an account, which asks to be an
// admin of the mesh home.
func (f *flawRig) syncClaims(account string) map[string]any {
	claims := flawClaims(account)
	delete(claims, "type")
	claims["action"] = "sync"
	claims["meshes"] = []map[string]any{{"id": f.mesh.ID, "slug": f.mesh.Slug, "role": "admin"}}
	return claims
}

// flawSync is the request to take over the meshes of a sync token.
func flawSync(text, key string) string {
	return flawJSON(map[string]any{"sync_token": text, "peer_pubkey": key, "display_name": "laptop"})
}

// stored stores the row of a bearer token's text, as if the broker had made it.
func (f *flawRig) stored(account, text string, edit func(*store.Token)) string {
	f.t.Helper()
	now := time.Now()
	row := &store.Token{
		ID: identity.NewID(), AccountID: account, Hash: sha256.Sum256([]byte(text)), Kind: store.TokenDevice,
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), LastSeenAt: now,
	}
	if edit != nil {
		edit(row)
	}
	if err := f.store.CreateToken(context.Background(), row); err != nil {
		f.t.Fatal(err)
	}
	return text
}

// flawJSON is a value as JSON.
func flawJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// newInvite makes an invite over HTTP and returns its code and its token.
func (f *flawRig) newInvite(body string) (code, token string) {
	f.t.Helper()
	code = f.wantDone(http.MethodPost, "/cli/mesh/home/invite", flawBearer(f.ann), body)["code"].(string)
	return code, f.wantDone(http.MethodGet, "/api/public/invite-code/"+code, nil, "")["token"].(string)
}

// inviteRow returns an invite as it is stored.
func (f *flawRig) inviteRow(code string) *store.Invite {
	f.t.Helper()
	row, err := f.store.InviteByCode(context.Background(), code)
	if err != nil {
		f.t.Fatal(err)
	}
	return row
}

// flawJoin is the request to join with an invite.
func flawJoin(t testing.TB, token, key string) string {
	t.Helper()
	payload, err := identity.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return invitation{payload: payload, token: token}.body(key, "stranger")
}

// flawLog is a log that a test reads.
type flawLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a line.
func (l *flawLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *flawLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// value returns a field of the first line with a message, "" when there is none.
func (l *flawLog) value(msg, field string) string {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == msg {
			if text, ok := fields[field].(string); ok {
				return text
			}
		}
	}
	return ""
}

// flawZeros is a body of so many zeros, whose length is not announced, and counts
// how much of it was taken.
type flawZeros struct {
	mu          sync.Mutex
	left, taken int64
}

// Read gives zeros.
func (z *flawZeros) Read(p []byte) (int, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	z.taken += n
	return int(n), nil
}

func (z *flawZeros) count() int64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.taken
}

// claimBody is the request by which a key claims an invite, with its proof.
func (f *flawRig) claimBody(key ed25519.PrivateKey, code string) string {
	f.t.Helper()
	p := identity.SignClaim(key, code, flawSealKey(f.t), time.Now())
	return flawJSON(map[string]any{
		"recipient_x25519_pubkey": p.RecipientKey, "peer_pubkey": p.PeerPubkey,
		"timestamp": json.RawMessage(p.TimestampToken), "signature": p.Signature,
	})
}

// flawSealKey returns a fresh x25519 key, whose secret nobody has.
func flawSealKey(t testing.TB) identity.SealKey {
	t.Helper()
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return identity.SealKey(secret.PublicKey().Bytes())
}

// flawPlain makes requests whose answers are not held to the documentation: those
// at the second address, and those that only a socket has.
var flawPlain = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// plain asks any address.
func (f *flawRig) plain(url string) (status int, text string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := flawPlain.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// flawDecode reads JSON.
func flawDecode(text string, into any) error { return json.Unmarshal([]byte(text), into) }

// askText is ask with an answer of any form.
func (f *flawRig) askText(method, path string, h http.Header, body string) (status int, text string, header http.Header) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, f.base()+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header = h
	res, err := web.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// disk returns all that the store has written.
func (f *flawRig) disk() string {
	f.t.Helper()
	if err := f.app.Settle(context.Background()); err != nil {
		f.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(f.file), "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
