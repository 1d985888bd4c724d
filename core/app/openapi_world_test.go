package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// webSecret is what the fuzzed brokers believe sync tokens under.
const webSecret = "a secret of the web application, long enough"

// world is what a fuzzed broker knows of: accounts, meshes, members, invites,
// sign-ins and credentials in every state. Answers add to it.
type world struct {
	r       *rig
	rand    *rand.Rand
	words   map[string][]string // by what they name
	bearers []string
	members []dial.Identity
	joins   []invitation
	places  []*place
	at      *place // whose words the present request is made of, nil for those of all
	made    int
}

// place is a mesh with what is in it, so that requests can be coherent.
type place struct {
	owner   int // who asks with a bearer token, of the accounts
	words   map[string][]string
	members []dial.Identity
}

// accounts are the people whose tokens are good.
var accounts = []string{"ann", "bo", "cy"}

// most is how many words of one sort are remembered, the newest ones.
const most = 24

// know remembers a word.
func (w *world) know(sort, word string) {
	list := append(w.words[sort], word)
	w.words[sort] = list[max(0, len(list)-most):]
}

// pick returns one of a list, the zero value of none.
func pick[T any](r *rand.Rand, list []T) (one T) {
	if len(list) > 0 {
		one = list[r.IntN(len(list))]
	}
	return one
}

// chance reports true so many times of a hundred.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// newWorld fills a broker.
func newWorld(r *rig, random *rand.Rand) *world {
	w := &world{r: r, rand: random, words: map[string][]string{}}
	for _, name := range accounts {
		w.bearers = append(w.bearers, r.account(name))
	}
	w.words["topic"], w.words["limit"] = []string{"general"}, []string{"1", "50", "0"}
	w.words["in grants"] = []string{"read", "dm", "broadcast", "state-read", "state-write", "file-read"}
	w.words["permission"] = []string{"canInvite", "canSend", "canDeleteMesh", "canManagePermissions", "canUseTools", "meshId", "cansend", ""}
	for _, name := range []string{"ann", "bo", "cy", "barred", "away", "nobody"} {
		w.know("account", name)
	}
	w.badBearers()
	w.know("mesh", r.mesh.Slug)
	for _, m := range []struct {
		name string
		role store.Role
	}{{"ada", store.RoleAdmin}, {"bob", store.RoleMember}, {"eve", store.RoleMember}} {
		w.member(r.member(m.name, m.role))
	}
	w.revoked()
	for _, id := range w.members[:2] {
		r.dial(session(id), dial.Options{})
	}
	w.places = append(w.places, newPlace(0, r.mesh.ID, r.mesh.Slug, w.members[:3]...))
	w.grow()
	w.ended()
	return w
}

// member remembers a member.
func (w *world) member(id dial.Identity) {
	w.members = append(w.members[max(0, len(w.members)-most):], id)
	w.know("member", id.MemberID)
	w.know("key", identity.PublicKey(id.Key).String())
	w.know("mesh", id.MeshID)
}

// badBearers adds tokens that are none any more.
func (w *world) badBearers() {
	r, ctx := w.r, context.Background()
	change := func(id string, f func(*store.Account) error) {
		if _, err := r.store.ChangeAccount(ctx, id, f); err != nil {
			r.t.Fatal(err)
		}
	}
	away, barred, revoked := r.account("away"), r.account("barred"), r.account("cy")
	change("away", func(a *store.Account) error { a.DisabledAt = time.Now(); return nil })
	change("barred", func(a *store.Account) error { a.NoLegacy = true; return nil })
	_, hash, err := token.NewKeys(atRest.Key()).Verify(revoked, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	row, _, err := r.store.TokenByHash(ctx, hash)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.RevokeToken(ctx, row.ID, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	foreign, _, err := token.NewKeys([32]byte{9}).Mint(token.Claims{
		Account: "ann", Kind: token.KindPasted, ExpiresAt: time.Now().Add(time.Hour),
	}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	expired, _, err := token.NewKeys(atRest.Key()).Mint(token.Claims{
		Account: "ann", Kind: token.KindPasted, ExpiresAt: time.Now().Add(-time.Hour),
	}, time.Now().Add(-2*time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, t := range []string{away, barred, revoked, foreign, expired, "x", "a.b.c", strings.Repeat("A", 5000), "eyJhbGciOiJub25lIn0.e30."} {
		w.know("bad bearer", t)
	}
	w.know("token", row.ID)
}

// revoked adds a member that may not come back.
func (w *world) revoked() {
	gone := w.r.member("gone", store.RoleMember)
	_, err := w.r.store.ChangeMember(context.Background(), gone.MemberID, func(m *store.Member) error {
		m.RevokedAt = time.Now()
		return nil
	})
	if err != nil {
		w.r.t.Fatal(err)
	}
	w.member(gone)
}

// ended adds a mesh that was deleted.
func (w *world) ended() {
	key, _ := identity.NewKeypair()
	slug, id := w.r.created(w.bearers[2], "gone", key.String())
	w.r.wantOK(http.MethodDelete, "/cli/mesh/"+slug, w.bearers[2], "")
	w.know("mesh", slug)
	w.know("mesh", id)
}

// grow adds what requests use up or end: tokens, meshes, members, invites,
// sign-ins and codes.
func (w *world) grow() {
	r := w.r
	w.made++
	for i, name := range accounts {
		w.bearers[i] = r.account(name)
		key, secret := identity.NewKeypair()
		slug, id := r.created(w.bearers[i], fmt.Sprintf("%s %d", name, w.made), key.String())
		w.know("mesh", slug)
		w.know("mesh", id)
		m, err := r.store.AccountMember(context.Background(), id, name)
		if err != nil {
			r.t.Fatal(err)
		}
		founder := dial.Identity{MeshID: id, MemberID: m.ID, Key: secret}
		w.member(founder)
		p := newPlace(i, id, slug, founder, w.r.enrolled(id))
		for range 3 {
			made := w.learn(http.MethodPost, "/cli/mesh/"+slug+"/invite", w.bearers[i], `{"max_uses":3}`,
				map[string]string{"code": "invite code", "id": "invite"})
			p.words["invite"] = append(p.words["invite"], made["id"].(string))
			p.words["invite code"] = append(p.words["invite code"], made["code"].(string))
		}
		tokens, err := r.store.ListTokens(context.Background(), name, time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		p.words["account"], p.words["token"] = []string{name}, []string{tokens[0].ID}
		w.places = append(w.places[max(0, len(w.places)-6):], p)
	}
	w.invitations()
	w.signIns()
}

// invitations adds invites to join with: good, withdrawn, expired and used up.
func (w *world) invitations() {
	edits := []func(*invitation){
		nil,
		func(i *invitation) { i.row.MaxUses = 5 },
		func(i *invitation) { i.row.RevokedAt = time.Now() },
		func(i *invitation) { i.row.ExpiresAt = time.Now().Add(-time.Hour) },
		func(i *invitation) { i.row.UsedCount = 1 },
		func(i *invitation) { i.row.ID = "" },
	}
	for _, edit := range edits {
		inv := w.r.invite(w.r.owner, edit)
		w.joins = append(w.joins[max(0, len(w.joins)-most):], inv)
		w.know("invite token", inv.token)
	}
}

// signIns adds sign-ins that are pending, approved and consumed, and one-time
// codes.
func (w *world) signIns() {
	for state := range 3 {
		status, begun, _ := w.r.ask(http.MethodPost, "/cli/device-code", "", `{"hostname":"h"}`)
		if status != http.StatusOK {
			break // a node lets only so many be begun in five minutes
		}
		device, session := begun["device_code"].(string), begun["session_id"].(string)
		w.know("device code", device)
		w.know("sign-in", session)
		w.know("sign-in", begun["user_code"].(string))
		if state > 0 {
			w.r.wantOK(http.MethodPost, "/cli/device-code/"+session+"/approve", w.bearers[0], "")
		}
		if state > 1 {
			w.r.wantOK(http.MethodGet, "/cli/device-code/"+device, "", "")
		}
	}
	code := identity.NewCode()
	if err := w.r.store.CreateCode(context.Background(), identity.HashCode(code), "ann", time.Now().Add(time.Hour)); err != nil {
		w.r.t.Fatal(err)
	}
	w.know("code", code)
}

func newPlace(owner int, id, slug string, members ...dial.Identity) *place {
	p := &place{owner: owner, members: members, words: map[string][]string{"mesh": {id, slug}}}
	for _, m := range members {
		p.words["member"] = append(p.words["member"], m.MemberID)
		p.words["key"] = append(p.words["key"], identity.PublicKey(m.Key).String())
	}
	return p
}

// enrolled adds a member without an account to a mesh.
func (r *rig) enrolled(mesh string) dial.Identity {
	r.t.Helper()
	key, secret := identity.NewKeypair()
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh, Key: key, DisplayName: "guest", Role: store.RoleMember, MessageMode: "push", JoinedAt: time.Now(),
	}
	if err := r.store.AddMember(context.Background(), m); err != nil {
		r.t.Fatal(err)
	}
	return dial.Identity{MeshID: mesh, MemberID: m.ID, Key: secret}
}

// word returns a word of a sort, of the present place where it has one; "" where
// the world has none.
func (w *world) word(sort string) string {
	if w.at != nil && len(w.at.words[sort]) > 0 && chance(w.rand, 90) {
		return pick(w.rand, w.at.words[sort])
	}
	return pick(w.rand, w.words[sort])
}

// someone returns a member, of the present place where there is one.
func (w *world) someone() dial.Identity {
	if w.at != nil {
		return pick(w.rand, w.at.members)
	}
	return pick(w.rand, w.members)
}

// learn asks, and remembers words of the answer.
func (w *world) learn(method, path, bearer, body string, names map[string]string) map[string]any {
	answer := w.r.wantOK(method, path, bearer, body)
	for name, sort := range names {
		if text, ok := answer[name].(string); ok {
			w.know(sort, text)
		}
	}
	return answer
}

// credential returns what makes the value of an Authorization header, mostly a
// good one.
func (w *world) credential() func(method, target string, body []byte) string {
	fixed := func(value string) func(string, string, []byte) string {
		return func(string, string, []byte) string { return value }
	}
	r := w.rand
	switch n := r.IntN(100); {
	case n < 50 && w.at != nil:
		return fixed("Bearer " + w.bearers[w.at.owner])
	case n < 50:
		return fixed("Bearer " + pick(r, w.bearers))
	case n < 75:
		id := w.someone()
		return func(method, target string, body []byte) string {
			return identity.SignHTTP(id.Key, method, target, id.MeshID, body, time.Now())
		}
	case n < 81:
		return fixed("")
	case n < 87:
		return fixed("Bearer " + pick(r, w.words["bad bearer"]))
	case n < 93:
		return w.badSignature()
	default:
		return fixed(pick(r, []string{
			"Bearer", "Bearer ", "bearer x", "Basic YTpi", "Mesh-Member", "Mesh-Member x", `Mesh-Member mesh="", key="", ts="", sig=""`,
			`Mesh-Member mesh="a", key="b", ts="1", sig="c"`, "Bearer \u00e9", strings.Repeat("Bearer ", 100), ",,,",
			"Mesh-Member " + strings.Repeat(`mesh="a",`, 200),
		}))
	}
}

// badSignature signs in a way that is wrong in one point.
func (w *world) badSignature() func(method, target string, body []byte) string {
	id, way := w.someone(), w.rand.IntN(6)
	_, other := identity.NewKeypair()
	return func(method, target string, body []byte) string {
		key, mesh, at := id.Key, id.MeshID, time.Now()
		switch way {
		case 0:
			method = "PUT"
		case 1:
			target += "x"
		case 2:
			body = append([]byte("x"), body...)
		case 3:
			at = at.Add(-time.Hour)
		case 4:
			key = other
		case 5:
			mesh = "nowhere"
		}
		return identity.SignHTTP(key, method, target, mesh, body, at)
	}
}

// object makes the JSON object of a value.
func object(v any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		panic(err)
	}
	return o
}

// recipe returns the fields of a body that only a signature makes valid, nil for
// operations without one.
func (w *world) recipe(operation string, values map[string]string) map[string]any {
	key, secret := identity.NewKeypair()
	if chance(w.rand, 15) {
		known := pick(w.rand, w.members)
		key, secret = identity.PublicKey(known.Key), known.Key
	}
	switch operation {
	case "POST /join":
		inv := pick(w.rand, w.joins)
		return map[string]any{
			"invite_token": inv.token, "invite_payload": object(inv.payload), "peer_pubkey": key.String(), "display_name": "new",
		}
	case "POST /invites/{code}/claim":
		_, box := identity.NewKeypair()
		var to identity.SealKey
		copy(to[:], box.Seed())
		p := identity.SignClaim(secret, values["code"], to, time.Now())
		return map[string]any{
			"recipient_x25519_pubkey": p.RecipientKey, "peer_pubkey": p.PeerPubkey, "timestamp": json.RawMessage(p.TimestampToken),
			"signature": p.Signature, "display_name": "claimed",
		}
	case "POST /cli/mesh/{slug}/link":
		id, account := w.someone(), pick(w.rand, accounts)
		if w.at != nil {
			account = accounts[w.at.owner]
		}
		p := identity.SignLink(id.Key, id.MeshID, account, time.Now())
		return map[string]any{"pubkey": p.Pubkey, "timestamp": json.RawMessage(p.TimestampToken), "signature": p.Signature}
	case "POST /cli-sync":
		return map[string]any{"sync_token": w.syncToken(), "peer_pubkey": key.String(), "display_name": "synced"}
	default:
		return nil
	}
}

func (w *world) syncToken() string {
	now := time.Now()
	claims := jwt.MapClaims{
		"sub": w.word("account"), "email": "ann@example.org", "jti": identity.NewID(), "iat": now.Unix(),
		"exp":    now.Unix() + pick(w.rand, []int64{600, 600, 600, 600, 0, -600, 60000}),
		"meshes": []any{map[string]any{"id": w.word("mesh"), "slug": "s", "role": "admin"}},
		"action": "sync",
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(webSecret))
	if err != nil {
		w.r.t.Fatal(err)
	}
	return text
}
