package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/postgres"
)

// onEachEngine runs a test on a fresh SQLite file and on an empty PostgreSQL
// database, which get nothing but the migrations.
func onEachEngine(t *testing.T, test func(*testing.T, *flawRig)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, newFlawRig(t, nil)) })
	t.Run("postgres", func(t *testing.T) {
		st, err := postgres.Open(t.Context(), postgres.Options{
			URL: freshtest.URL(t), Migrate: true, MaxConns: 6, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		test(t, newFlawRigOn(t, st, nil, nil))
	})
}

// No broker started where there were migrations to apply.
func TestFlaw33BootFailsWithMigrations(t *testing.T) {
	onEachEngine(t, func(t *testing.T, f *flawRig) {
		f.wantAlive()
		applied, err := f.store.(flawEngine).Migrations(t.Context())
		if err != nil || len(applied) == 0 {
			t.Errorf("applied: %v, %v", applied, err)
		}
	})
}

// A database of migrations alone lacked eight tables and one column, so that
// every route with a token failed on it.
func TestFlaw35MigrationsAreIncomplete(t *testing.T) {
	onEachEngine(t, func(t *testing.T, f *flawRig) {
		pending, err := f.store.(flawEngine).PendingMigrations(t.Context())
		if err != nil || len(pending) > 0 {
			t.Fatalf("pending: %v, %v", pending, err)
		}
		device, _, signIn := f.begin()
		f.wantDone("POST", "/cli/device-code/"+signIn+"/approve", flawBearer(f.ann), "{}")
		bearer := f.poll(device)["session_token"].(string)
		f.wantDone("POST", "/cli/mesh/create", flawBearer(bearer), flawJSON(map[string]any{"name": "New", "pubkey": freshKey()}))
		code, invite := f.newInvite(`{"max_uses":9}`)
		f.wantDone("POST", "/join", flawBearer(f.eve), flawJoin(t, invite, freshKey()))
		_, claimant := identity.NewKeypair()
		f.wantDone("POST", "/invites/"+code+"/claim", nil, f.claimBody(claimant, code))
		f.wantDone("POST", "/cli-sync", nil, flawSync(flawJWT([]byte(flawSecret), f.syncClaims("bob")), freshKey()))
		f.wantDone("POST", "/cli/mesh/home/permissions", flawBearer(bearer), flawPermissions("ann", f.bobMember.MemberID, `{"canInvite":true}`))
		f.wantDone("POST", "/cli/mesh/home/grants", flawBearer(bearer), flawJSON(map[string]any{"grants": map[string]any{freshKey(): []string{"dm"}}}))
		f.wantDone("PATCH", "/mesh/home/settings", flawBearer(bearer), `{"selfEditable":{"groups":false}}`)
		f.wantDone("PATCH", "/mesh/home/member/"+f.bobMember.MemberID, flawBearer(bearer), `{"roleTag":"tester"}`)
		for _, path := range []string{"/cli/meshes", "/cli/sessions", "/cli/mesh/home/permissions", "/cli/mesh/home/invites", "/mesh/home/members", "/api/my/profile"} {
			f.wantDone("GET", path, flawBearer(bearer), "")
		}
		p := f.dial(session(f.bobMember), dial.Options{})
		f.wantDone("POST", hookPath, flawBearer(f.bob), hookBody("", 0, "/src", "working"))
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		for _, route := range f.app.Routes() {
			if status, a, _ := f.askText(route.Method, f.somewhere(route), flawBearer(f.ann), "{}"); status >= 500 && status != http.StatusNotImplemented {
				t.Errorf("%s %s: got %d %s", route.Method, route.Path, status, a)
			}
		}
	})
}

// A mesh was written before its owner's key was looked at, and stayed, with its
// slug.
func TestFlaw36MeshesAreWrittenBeforeTheyAreChecked(t *testing.T) {
	f := newFlawRig(t, nil)
	meshes := func() int {
		list, err := f.store.ListMeshes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := meshes()
	for _, key := range []any{nil, "", "short", strings.Repeat("g", 64), strings.Repeat("0", 64), smallOrder[0], freshKey() + "00", 7, []string{freshKey()}} {
		f.wantRefused(400, "POST", "/cli/mesh/create", flawBearer(f.ann), flawJSON(map[string]any{"name": "Team", "pubkey": key}))
	}
	for _, slug := range []string{"../we ird/Slug", "UPPER", "a--b/", strings.Repeat("x", 100)} {
		f.wantRefused(400, "POST", "/cli/mesh/create", flawBearer(f.ann), flawJSON(map[string]any{"name": "Team", "pubkey": freshKey(), "slug": slug}))
	}
	if after := meshes(); after != before {
		t.Errorf("%d meshes were left behind", after-before)
	}
	if a := f.wantDone("POST", "/cli/mesh/create", flawBearer(f.ann), flawJSON(map[string]any{"name": "Team", "pubkey": freshKey()})); a["slug"] != "team" {
		t.Errorf("got %v, want the slug that nobody has", a)
	}
}

// A claim spent its use and made a member before its key was looked at, and the
// members that it made could never connect.
func TestFlaw37ClaimsAreSpentInVain(t *testing.T) {
	f := newFlawRig(t, nil)
	code, _ := f.newInvite("{}")
	key, claimant := identity.NewKeypair()
	_, other := identity.NewKeypair()
	good := f.claimBody(claimant, code)
	with := func(field string, value any) string {
		var body map[string]any
		if err := flawDecode(good, &body); err != nil {
			t.Fatal(err)
		}
		delete(body, field)
		if value != nil {
			body[field] = value
		}
		return flawJSON(body)
	}
	f.unchanged(func() {
		for name, body := range map[string]string{
			"without a recipient":             with("recipient_x25519_pubkey", nil),
			"with a short recipient":          with("recipient_x25519_pubkey", "AAAA"),
			"with a recipient of 31 bytes":    with("recipient_x25519_pubkey", strings.Repeat("A", 41)),
			"with 40 characters of nothing":   with("recipient_x25519_pubkey", strings.Repeat("!", 40)),
			"with a recipient of zeros":       with("recipient_x25519_pubkey", strings.Repeat("A", 43)),
			"for another recipient":           with("recipient_x25519_pubkey", flawSealKey(t).String()),
			"with a key that is none":         with("peer_pubkey", strings.Repeat("z", 64)),
			"with another key":                with("peer_pubkey", freshKey()),
			"with a key that anyone signs":    with("peer_pubkey", smallOrder[0]),
			"without a key":                   with("peer_pubkey", nil),
			"without a signature":             with("signature", nil),
			"with a forged signature":         with("signature", strings.Repeat("00", 64)),
			"with another claim's signature":  with("timestamp", time.Now().UnixMilli()+5),
			"of another code":                 f.claimBody(other, "ABCDEFGH"),
			"without a time":                  with("timestamp", nil),
			"with a name that is no text":     with("display_name", "a\x00b"),
			"as old clients, with the x25519": flawJSON(map[string]any{"recipient_x25519_pubkey": flawSealKey(t).String()}),
		} {
			status, a, _ := f.askWith("POST", "/invites/"+code+"/claim", nil, body)
			if status < 400 || status >= 500 && status != http.StatusNotImplemented {
				t.Errorf("a claim %s: got %d %v", name, status, a)
			}
		}
	})
	if n := f.inviteRow(code).UsedCount; n != 0 {
		t.Errorf("claims that were refused have spent %d uses", n)
	}
	a := f.wantDone("POST", "/invites/"+code+"/claim", nil, good)
	self := dial.Identity{MeshID: f.mesh.ID, MemberID: a["member_id"].(string), Key: claimant}
	if m := f.row(self); m.Key != key {
		t.Errorf("the member has the key %v, want its own", m.Key)
	}
	for _, plain := range []bool{false, true} {
		if err := f.dial(session(self), dial.Options{PlainHello: plain}).Close(); err != nil {
			t.Error(err)
		}
	}
	if n := f.inviteRow(code).UsedCount; n != 1 {
		t.Errorf("the claim has spent %d uses, want one", n)
	}
}

// Whatever had a slug first got what was meant for another: an archived mesh, or
// somebody else's.
func TestFlaw38SlugsOfTheWrongMesh(t *testing.T) {
	f := newFlawRig(t, nil)
	create := func(bearer string) (id, slug string) {
		t.Helper()
		a := f.wantDone("POST", "/cli/mesh/create", flawBearer(bearer), flawJSON(map[string]any{"name": "Team", "pubkey": freshKey()}))
		return a["id"].(string), a["slug"].(string)
	}
	first, slug := create(f.ann)
	f.wantDone("DELETE", "/cli/mesh/"+slug, flawBearer(f.ann), "")
	mine, mySlug := create(f.ann)
	theirs, theirSlug := create(f.eve)
	if mySlug == theirSlug || mine == theirs {
		t.Fatalf("two meshes have the slug %s", mySlug)
	}
	a := f.wantDone("POST", "/cli/mesh/"+mySlug+"/invite", flawBearer(f.ann), "{}")
	if inv := f.inviteRow(a["code"].(string)); inv.MeshID != mine {
		t.Errorf("the invite is to the mesh %s, want the one that lives", inv.MeshID)
	}
	f.wantRefused(403, "DELETE", "/cli/mesh/"+theirSlug, flawBearer(f.ann), "")
	if mySlug != slug {
		f.wantRefused(404, "POST", "/cli/mesh/"+slug+"/invite", flawBearer(f.ann), "{}")
		f.wantRefused(404, "DELETE", "/cli/mesh/"+slug, flawBearer(f.ann), "")
	}
	f.wantDone("DELETE", "/cli/mesh/"+mySlug, flawBearer(f.ann), "")
	for id, lives := range map[string]bool{first: false, mine: false, theirs: true} {
		if m, err := f.store.Mesh(t.Context(), id); err != nil || m.ArchivedAt.IsZero() != lives {
			t.Errorf("%s: %+v, %v; want it to live: %v", id, m, err, lives)
		}
	}
}

// What an invite was to allow was not read.
func TestFlaw41InviteOptionsIgnored(t *testing.T) {
	f := newFlawRig(t, nil)
	begun := time.Now()
	code, invite := f.newInvite(`{"max_uses":2,"expires_in":3600,"role":"admin"}`)
	inv := f.inviteRow(code)
	if left := inv.ExpiresAt.Sub(begun); inv.MaxUses != 2 || inv.Role != store.RoleAdmin || left < 59*time.Minute || left > 2*time.Hour {
		t.Errorf("got %+v", inv)
	}
	for range 2 {
		f.wantDone("POST", "/join", nil, flawJoin(t, invite, freshKey()))
	}
	if a := f.wantRefused(400, "POST", "/join", nil, flawJoin(t, invite, freshKey())); a["error"] != "invite_exhausted" {
		t.Errorf("the third: got %v", a)
	}
	f.wantRefused(404, "GET", "/i/"+code, nil, "")
	for _, body := range []string{`{"max_uses":0}`, `{"max_uses":-1}`, `{"max_uses":"2"}`, `{"max_uses":1e9}`, `{"expires_in":0}`, `{"expires_in":"7d"}`, `{"expires_in":1e12}`} {
		f.wantRefused(400, "POST", "/cli/mesh/home/invite", flawBearer(f.ann), body)
	}
}

// Whoever was faster overwrote the other, and one key became two members.
func TestFlaw42Races(t *testing.T) {
	broken := &flawStore{}
	f := newFlawRigWith(t, nil, broken.wrap)
	const n = 12
	all := func(do func(i int)) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	t.Run("each mesh has a slug of its own", func(t *testing.T) {
		slugs := make([]string, n)
		all(func(i int) {
			status, a, _ := f.ask("POST", "/cli/mesh/create", f.ann, flawJSON(map[string]any{"name": "Race", "pubkey": freshKey()}))
			slugs[i] = fmt.Sprint(status, a["slug"])
		})
		slices.Sort(slugs)
		if len(slices.Compact(slugs)) != n || !strings.HasPrefix(slugs[0], "200") || !strings.HasPrefix(slugs[n-1], "200") {
			t.Errorf("got %v", slugs)
		}
	})
	t.Run("no grant is lost", func(t *testing.T) {
		all(func(int) {
			f.ask("POST", "/cli/mesh/home/grants", f.ann, flawJSON(map[string]any{"grants": map[string]any{freshKey(): []string{"dm"}}}))
		})
		if got := f.row(f.annMember).Grants; len(got) != n {
			t.Errorf("%d grants of %d are left", len(got), n)
		}
	})
	t.Run("one key is one member, and one use", func(t *testing.T) {
		code, invite := f.newInvite(flawJSON(map[string]any{"max_uses": n}))
		key, _ := identity.NewKeypair()
		body := flawJoin(t, invite, key.String())
		ids := make([]string, n)
		all(func(i int) {
			_, a, _ := f.ask("POST", "/join", "", body)
			ids[i] = fmt.Sprint(a["memberId"])
		})
		if ids = slices.Compact(ids); len(ids) != 1 || len(ids[0]) != identity.IDSize || f.inviteRow(code).UsedCount != 1 {
			t.Errorf("members %v, invite %+v", ids, f.inviteRow(code))
		}
		again := &store.Member{ID: identity.NewID(), MeshID: f.mesh.ID, Key: key, DisplayName: "x", Role: store.RoleAdmin, MessageMode: "push", JoinedAt: time.Now()}
		if err := f.store.AddMember(t.Context(), again); err == nil {
			t.Error("a key became a second member")
		}
	})
	t.Run("a code that is taken is made again", func(t *testing.T) {
		broken.taken.Store(3)
		f.newInvite("{}")
		broken.taken.Store(3)
		f.begin()
		if left := broken.taken.Load(); left > 0 {
			t.Errorf("%d codes were not tried", left)
		}
	})
}

// Part of flaw 54: what was used up on one node was as good as new on another.
func TestTokensAreSpentOnEveryNode(t *testing.T) {
	all := newNodes(t, 2, nil)
	a, b := all.both()
	id := a.member("ada", store.RoleMember)
	path, body := "/cli/mesh/"+a.mesh.ID+"/grants", `{"grants":{}}`
	header := flawSigned(id, http.MethodPost, path, body)
	if status, answer, _ := a.askWith(http.MethodPost, path, header, body); status != 200 {
		t.Fatalf("here: got %d %v", status, answer)
	}
	if status, answer, _ := b.askWith(http.MethodPost, path, header, body); status != 401 || answer["code"] != "replayed" {
		t.Errorf("there: got %d %v, want it to be known", status, answer)
	}
	code := identity.NewCode()
	ctx := context.Background()
	if err := a.store.CreateAccount(ctx, &store.Account{ID: "ann", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := a.store.CreateCode(ctx, identity.HashCode(code), "ann", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	body = flawJSON(map[string]any{"code": code})
	if status, answer, _ := a.ask(http.MethodPost, "/cli/token", "", body); status != 200 {
		t.Fatalf("a one-time code here: got %d %v", status, answer)
	}
	if status, answer, _ := b.ask(http.MethodPost, "/cli/token", "", body); status != 401 {
		t.Errorf("a one-time code there: got %d %v, want it to be spent", status, answer)
	}
}
