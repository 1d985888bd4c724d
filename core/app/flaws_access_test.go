package app_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
)

// The header X-Member-Id was a proof, and the list of members gave the ids.
func TestFlaw04MemberIDIsTakenForAProof(t *testing.T) {
	f := newFlawRig(t, nil)
	id := func(m dial.Identity) http.Header { return http.Header{"X-Member-Id": {m.MemberID}} }
	f.unchanged(func() {
		for _, who := range []dial.Identity{f.annMember, f.bobMember} {
			f.wantRefused(401, "PATCH", "/mesh/"+f.mesh.ID+"/member/"+f.bobMember.MemberID, id(who), `{"permission":"admin"}`)
			f.wantRefused(401, "PATCH", "/mesh/"+f.mesh.ID+"/member/"+who.MemberID, id(who), `{"displayName":"owned"}`)
			f.wantRefused(401, "PATCH", "/mesh/"+f.mesh.ID+"/settings", id(who), `{"selfEditable":{"displayName":false}}`)
		}
		with := flawBearer(f.eve) // who may ask, but not for this
		with.Set("X-Member-Id", f.annMember.MemberID)
		f.wantRefused(403, "PATCH", "/mesh/"+f.mesh.ID+"/member/"+f.bobMember.MemberID, with, `{"permission":"admin"}`)
	})
	if a := f.wantRefused(401, "GET", "/mesh/"+f.mesh.ID+"/members", nil, ""); strings.Contains(flawJSON(a), f.annMember.MemberID) {
		t.Errorf("strangers see ids: %v", a)
	}
	// Ann, who proves herself, needs no such header, and a foreign one is not read.
	path, body := "/mesh/"+f.mesh.ID+"/member/"+f.bobMember.MemberID, `{"permission":"admin"}`
	header := flawSigned(f.annMember, "PATCH", path, body)
	header.Set("X-Member-Id", f.bobMember.MemberID)
	f.wantDone("PATCH", path, header, body)
}

// An admin of one mesh promoted and demoted the members of all others.
func TestFlaw05AdminOfAnotherMesh(t *testing.T) {
	f := newFlawRig(t, nil)
	created := f.wantDone("POST", "/cli/mesh/create", flawBearer(f.eve), flawJSON(map[string]any{"name": "Lair", "pubkey": freshKey()}))
	lair := created["id"].(string)
	key, secret := identity.NewKeypair()
	admin := &store.Member{ID: identity.NewID(), MeshID: lair, Key: key, DisplayName: "eve", Role: store.RoleAdmin, MessageMode: "push", JoinedAt: time.Now()}
	if err := f.store.AddMember(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	eve := dial.Identity{MeshID: lair, MemberID: admin.ID, Key: secret}
	f.unchanged(func() {
		for _, target := range []dial.Identity{f.annMember, f.bobMember} {
			for _, body := range []string{`{"permission":"admin"}`, `{"permission":"member"}`, `{"displayName":"owned"}`} {
				through := "/mesh/" + lair + "/member/" + target.MemberID
				f.wantRefused(404, "PATCH", through, flawSigned(eve, "PATCH", through, body), body)
				f.wantRefused(404, "PATCH", through, flawBearer(f.eve), body)
				straight := "/mesh/" + f.mesh.ID + "/member/" + target.MemberID
				f.wantRefused(403, "PATCH", straight, flawSigned(eve, "PATCH", straight, body), body)
				f.wantRefused(403, "PATCH", straight, flawBearer(f.eve), body)
			}
			f.wantRefused(404, "POST", "/cli/mesh/"+lair+"/permissions", flawBearer(f.eve), flawPermissions("eve", target.MemberID, `{"canSend":false}`))
		}
	})
}

func flawPermissions(requester, member, permissions string) string {
	return fmt.Sprintf(`{"requester_id":%q,"member_id":%q,"permissions":%s}`, requester, member, permissions)
}

// Who asked for permissions was a field of the body, and the columns of the table
// were others.
func TestFlaw08PermissionsOfAnybody(t *testing.T) {
	f := newFlawRig(t, nil)
	const path = "/cli/mesh/home/permissions"
	bob := f.bobMember.MemberID
	f.unchanged(func() {
		if a := f.wantRefused(401, "GET", path, nil, ""); a["members"] != nil {
			t.Errorf("strangers see permissions: %v", a)
		}
		f.wantRefused(403, "GET", path, flawBearer(f.eve), "")
		f.wantRefused(401, "POST", path, nil, flawPermissions("ann", bob, `{"canManagePermissions":true}`))
		f.wantRefused(403, "POST", path, flawBearer(f.bob), flawPermissions("ann", bob, `{"canManagePermissions":true}`))
		f.wantRefused(403, "POST", path, flawBearer(f.bob), flawPermissions("bob", bob, `{"canInvite":true}`))
		f.wantRefused(403, "POST", path, flawBearer(f.eve), flawPermissions("ann", bob, `{"canInvite":true}`))
		for _, column := range []string{"meshId", "memberId", "id", "mesh_id", "role", "createdAt", "canDoAnything"} {
			f.wantRefused(400, "POST", path, flawBearer(f.ann), flawPermissions("ann", bob, `{"canInvite":true,"`+column+`":true}`))
		}
		f.wantRefused(400, "POST", path, flawBearer(f.ann), flawPermissions("ann", bob, `{"canInvite":"yes"}`))
		f.wantRefused(400, "POST", path, flawBearer(f.ann), flawPermissions("ann", bob, `{"meshId":"`+identity.NewID()+`"}`))
	})
	f.wantDone("POST", path, flawBearer(f.ann), flawPermissions("ann", bob, `{"canInvite":true}`))
	if p := f.row(f.bobMember).Permissions; len(p) != 1 || !p[store.CanInvite] {
		t.Errorf("got %v, want what was asked for", p)
	}
}

// Strangers set statuses, and learned which directories are worked in.
func TestFlaw18HookOfAnybody(t *testing.T) {
	f := newFlawRig(t, nil)
	ada := session(f.annMember)
	ada.Pid, ada.Cwd = 4711, "/home/ann/secret-project"
	peer := f.dial(ada, dial.Options{})
	status := func() presence.Status {
		for _, v := range f.app.Views(f.mesh.ID) {
			if v.Key == peer.Key() {
				return v.Status
			}
		}
		t.Fatal("ann is not here")
		return ""
	}
	before := status()
	away := func(h http.Header) http.Header { // the caller is on another machine
		h = h.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Set("X-Forwarded-For", "203.0.113.9")
		return h
	}
	hit, miss := hookBody("", 4711, ada.Cwd, "working"), hookBody("", 4711, "/home/ann/no-such-project", "working")
	for name, header := range map[string]http.Header{
		"nobody": away(nil), "somebody in the mesh": away(flawBearer(f.bob)), "somebody in none": away(flawBearer(f.eve)),
	} {
		a, found, _ := f.askWith("POST", hookPath, header, hit)
		b, lost, _ := f.askWith("POST", hookPath, header, miss)
		delete(found, "request_id")
		delete(lost, "request_id")
		if a != b || flawJSON(found) != flawJSON(lost) {
			t.Errorf("%s learns of a directory: %d %v, and %d %v where there is none", name, a, found, b, lost)
		}
		if name == "nobody" && a != http.StatusUnauthorized {
			t.Errorf("%s: got %d %v, want 401", name, a, found)
		}
	}
	if after := status(); after != before {
		t.Errorf("the status was %s and is %s", before, after)
	}
	f.wantDone("POST", hookPath, away(flawBearer(f.ann)), hit)
	if status() != presence.Working {
		t.Errorf("ann's own hook: %s, want working", status())
	}
}

// A status that is none waited for its session, whose hello then failed.
func TestFlaw19BogusPendingStatus(t *testing.T) {
	f := newFlawRig(t, nil)
	id := session(f.bobMember)
	id.Pid, id.Cwd = 4711, "/src"
	for _, body := range []string{
		hookBody("", 4711, "/src", "bogus"), hookBody("", 4711, "/src", "'; DROP TABLE presence"), hookBody("", 4711, "/src", "WORKING"),
		`{"cwd":"/src","pid":"4711","status":"working"}`, `{"cwd":"/src","pid":4711.5,"status":"working"}`,
		`{"cwd":"/src","pid":1e40,"status":"working"}`, `{"cwd":"/src","pid":4711,"status":7}`,
		`{"cwd":["/src"],"pid":4711,"status":"working"}`, hookBody("", 4711, "/sr\x00c", "idle"),
	} {
		for _, header := range []http.Header{nil, flawBearer(f.bob)} {
			status, a, _ := f.askWith("POST", hookPath, header, body)
			if status == http.StatusOK && a["pending"] == true && !strings.Contains(body, "u0000") || status >= 500 {
				t.Errorf("%s: got %d %v, want a refusal", body, status, a)
			}
		}
	}
	for _, plain := range []bool{false, true} {
		peer := f.dial(id, dial.Options{PlainHello: plain})
		i := slices.IndexFunc(f.app.Views(f.mesh.ID), func(v presence.View) bool { return v.Key == peer.Key() })
		if v := f.app.Views(f.mesh.ID)[i]; v.Status != presence.Idle {
			t.Errorf("got the status %s", v.Status)
		}
		if err := peer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Ids came from a generator that can be predicted, and an id was a credential.
func TestFlaw25IDsAreGuessable(t *testing.T) {
	f := newFlawRig(t, nil)
	seen := map[string]bool{}
	for range 100 {
		key := freshKey()
		a := f.wantDone("POST", "/cli/mesh/create", flawBearer(f.ann), flawJSON(map[string]any{"name": "Many " + key[:12], "pubkey": key}))
		for _, id := range []string{a["id"].(string), a["member_id"].(string)} {
			if len(id) != 32 || seen[id] {
				t.Fatalf("id %s: want 32 characters that no other id has", id)
			}
			seen[id] = true
		}
	}
	// What chooses at random in the packages that make ids, keys, codes and tokens
	// is crypto/rand, a cipher stream that it seeds, or how much longer the second of
	// two equal invites holds.
	allowed := map[string][]string{"../identity/ids.go": {"ChaCha8", "NewChaCha8"}, "../issue/invites.go": {"Int64N"}}
	for file, used := range flawRandom(t, "../identity", "../issue", "../token") {
		if !slices.Equal(used, allowed[file]) {
			t.Errorf("%s uses %v of math/rand", file, used)
		}
	}
	// And who knows one has nothing.
	f.unchanged(func() {
		for _, id := range []string{f.annMember.MemberID, f.mesh.ID, "ann"} {
			f.wantRefused(401, "GET", "/mesh/home/members", flawBearer(id), "")
			f.wantRefused(401, "PATCH", "/mesh/home/settings", http.Header{"X-Member-Id": {id}}, `{"selfEditable":{"groups":false}}`)
		}
	})
	stolen := f.annMember
	_, stolen.Key = identity.NewKeypair()
	s := open(t, f.url, socketOptions{})
	s.write(f.hello(stolen, time.Now()).String())
	s.wantError("unauthorized")
}

// Members of a deleted mesh stayed, and others came.
func TestFlaw30DeletedMeshesLiveOn(t *testing.T) {
	f := newFlawRig(t, nil)
	_, invite := f.newInvite(`{}`)
	peer := f.dial(session(f.bobMember), dial.Options{})
	f.wantDone("DELETE", "/cli/mesh/home", flawBearer(f.ann), "")
	var closed *dial.CloseError
	if err := f.ended(peer); !errors.As(err, &closed) || closed.Reason != "mesh_archived" {
		t.Errorf("bob's connection ended with %v, want mesh_archived", err)
	}
	for _, hello := range []frame{f.hello(f.bobMember, time.Now()), f.vouched(session(f.annMember), time.Now())} {
		s := open(t, f.url, socketOptions{})
		s.write(hello.String())
		s.wantFrame("error")
		s.closed()
	}
	if status, a := f.join(flawJoin(t, invite, freshKey())); status != 400 || a.Error != "mesh_not_found" {
		t.Errorf("join: got %d %+v", status, a)
	}
	f.wantRefused(404, "POST", "/cli/mesh/home/invite", flawBearer(f.ann), "{}")
	f.wantRefused(404, "DELETE", "/cli/mesh/home", flawBearer(f.ann), "")
	f.wantLeft(0, 0)
}

// Old clients name their account where there is no token, which legacy-auth lets
// them, and then see the same as by a token. Uploads and downloads were dead with a
// token too: TestUploadAndDownload; without one they ask for it.
func TestFlaw40ClientAndBrokerDisagree(t *testing.T) {
	f := newFlawRig(t, flawLegacy)
	f.wantDone("POST", "/cli/mesh/create", flawBearer(f.ann), flawJSON(map[string]any{"name": "Battery", "pubkey": freshKey()}))
	owned := func(slug string) bool {
		for _, row := range f.wantDone("GET", "/cli/meshes?user_id=ann", nil, "")["meshes"].([]any) {
			if m := row.(map[string]any); m["slug"] == slug && m["is_owner"] == true {
				return true
			}
		}
		return false
	}
	if !owned("battery") {
		t.Fatal("the client does not find its mesh")
	}
	f.wantDone("DELETE", "/cli/mesh/battery", nil, `{"user_id":"ann"}`)
	if owned("battery") {
		t.Error("the mesh is still there")
	}
	f.wantRefused(401, "POST", "/upload", http.Header{"X-Mesh-Id": {f.mesh.ID}, "X-Member-Id": {"home"}, "X-File-Name": {"a"}}, "text")
	f.wantRefused(401, "GET", "/download/file?mesh="+f.mesh.ID, nil, "")
}

// Who joined by an invite was nobody's member: grants, files and lists failed.
func TestFlaw39InviteesBelongToNobody(t *testing.T) {
	f := newFlawRig(t, nil)
	code, invite := f.newInvite(`{"max_uses":3}`)
	join := func(key ed25519.PrivateKey, account string, h http.Header) (self dial.Identity, m *store.Member) {
		t.Helper()
		var body map[string]any
		if err := flawDecode(flawJoin(t, invite, identity.PublicKey(key).String()), &body); err != nil {
			t.Fatal(err)
		}
		if account != "" { // the key agrees to be the account's
			p := identity.SignLink(key, f.mesh.ID, account, time.Now())
			body["timestamp"], body["signature"] = json.RawMessage(p.TimestampToken), p.Signature
		}
		id := f.wantDone("POST", "/join", h, flawJSON(body))["memberId"].(string)
		self = dial.Identity{MeshID: f.mesh.ID, MemberID: id, Key: key}
		return self, f.row(self)
	}
	_, key := identity.NewKeypair()
	if _, m := join(key, "eve", flawBearer(f.eve)); m.AccountID != "eve" {
		t.Errorf("joined: got %+v, want eve's", m)
	}
	if list := f.wantDone("GET", "/cli/meshes", flawBearer(f.eve), "")["meshes"].([]any); len(list) != 1 {
		t.Errorf("eve's meshes: %v, want home", list)
	}
	const path = "/cli/mesh/home/grants"
	grants := flawJSON(map[string]any{"grants": map[string]any{f.bobMember.RoutingKey().String(): []string{}}})
	f.wantDone("POST", path, flawBearer(f.eve), grants)

	// One without an account signs for itself, and gets one when it wants it.
	_, key = identity.NewKeypair()
	self, _ := join(key, "", nil)
	f.wantDone("POST", path, flawSigned(self, "POST", path, grants), grants)
	if got := f.row(self).Grants; len(got) != 1 {
		t.Errorf("grants: got %v", got)
	}
	f.wantRefused(401, "POST", path, nil, grants)
	bearer := f.wantDone("POST", "/cli/token", flawSigned(self, "POST", "/cli/token", "{}"), "{}")["token"].(string)
	if list := f.wantDone("GET", "/cli/meshes", flawBearer(bearer), "")["meshes"].([]any); len(list) != 1 {
		t.Errorf("its meshes: %v, want home", list)
	}

	// So does a sync, and a claim with the link behind it, which names the account.
	synced, _ := identity.NewKeypair()
	f.wantDone("POST", "/cli-sync", nil, flawSync(flawJWT([]byte(flawSecret), f.syncClaims("bob")), synced.String()))
	if m, err := f.store.Member(t.Context(), f.mesh.ID, synced); err != nil || m.AccountID != "bob" {
		t.Errorf("synced: got %+v, %v", m, err)
	}
	claimed, claimant := identity.NewKeypair()
	f.wantDone("POST", "/invites/"+code+"/claim", flawBearer(f.eve), f.claimBody(claimant, code))
	p := identity.SignLink(claimant, f.mesh.ID, "eve", time.Now())
	f.wantDone("POST", "/cli/mesh/home/link", flawBearer(f.eve), flawJSON(map[string]any{
		"pubkey": p.Pubkey, "timestamp": json.Number(p.TimestampToken), "signature": p.Signature,
	}))
	if m, err := f.store.Member(t.Context(), f.mesh.ID, claimed); err != nil || m.AccountID != "eve" {
		t.Errorf("claimed: got %+v, %v", m, err)
	}
}

// Every page on the web could call every route, and so could none that needs a
// token.
func TestFlaw27AnyPageMayCall(t *testing.T) {
	page := func(f *flawRig, method, origin string) http.Header {
		h := flawBearer(f.ann)
		h.Set("Origin", origin)
		h.Set("Access-Control-Request-Method", "DELETE")
		h.Set("Access-Control-Request-Headers", "authorization")
		_, _, header := f.askWith(method, "/cli/meshes", h, "")
		return header
	}
	closed := newFlawRig(t, nil)
	mine := newFlawRig(t, func(c *config.Config) { c.HTTP.CORSOrigins = []string{"https://app.example.org"} })
	for _, method := range []string{"GET", "OPTIONS"} {
		for name, h := range map[string]http.Header{
			"nobody is allowed":        page(closed, method, "https://evil.example"),
			"another is allowed":       page(mine, method, "https://evil.example"),
			"a name that ends like it": page(mine, method, "https://evil-app.example.org"),
			"a page of no origin":      page(mine, method, "null"),
		} {
			if got := h.Get("Access-Control-Allow-Origin") + h.Get("Access-Control-Allow-Methods"); got != "" {
				t.Errorf("%s, %s: a page is let in: %s", method, name, got)
			}
		}
	}
	h := page(mine, "OPTIONS", "https://app.example.org")
	if h.Get("Access-Control-Allow-Origin") != "https://app.example.org" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "DELETE") ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the page of the operator: got %v", h)
	}
}

// flawRandom returns what the files of folders use of math/rand, tests left out.
func flawRandom(t *testing.T, folders ...string) map[string][]string {
	t.Helper()
	uses := map[string][]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", folder, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") || !slices.ContainsFunc(parsed.Imports, func(i *ast.ImportSpec) bool {
				return strings.HasPrefix(i.Path.Value, `"math/rand`)
			}) {
				continue
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "rand" {
						uses[file] = append(uses[file], s.Sel.Name)
					}
				}
				return true
			})
			slices.Sort(uses[file])
			uses[file] = slices.Compact(uses[file])
		}
	}
	return uses
}
