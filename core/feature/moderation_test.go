package feature

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// party is a mesh with everybody in it, and a member whose key begins like
// another's.
type party struct {
	*rig
	ada, gil, bo, bo2, cy, daemon *peer
}

func newParty(t testing.TB) *party {
	t.Helper()
	return newPartyOn(t, openStore(t))
}

func newPartyOn(t testing.TB, st *sqlite.Store) *party {
	t.Helper()
	r := newRigOn(t, st)
	return &party{
		rig: r, ada: r.join("ada"), gil: r.join("gil"), bo: r.join("bo"), bo2: r.join("bo", named("Bo-2")),
		cy: r.join("cy"), daemon: r.join("cy", control),
	}
}

// over returns the names of the peers whose connection was closed, with how.
func (p *party) over() []string {
	var list []string
	for _, x := range []*peer{p.ada, p.gil, p.bo, p.bo2, p.cy, p.daemon} {
		if how := x.how(); how != "" {
			list = append(list, x.name+" "+how)
		}
	}
	return list
}

func TestModerationIsForAdmins(t *testing.T) {
	p := newParty(t)
	frames := []string{
		`{"type":"disconnect","target":"cy","_reqId":"r"}`,
		`{"type":"kick","target":"cy","_reqId":"r"}`,
		`{"type":"ban","target":"cy","_reqId":"r"}`,
		`{"type":"unban","target":"cy","_reqId":"r"}`,
	}
	for _, frame := range frames {
		got, records := p.bo.ask(frame)
		wantText(t, got, `{"type":"error","_reqId":"r","code":"forbidden","message":"only the owner of the mesh and its admins may do this: ask one of them"}`)
		wantList(t, "records", recorded(records), nil)
	}
	wantList(t, "closed", p.over(), nil)
	got, _ := p.bo.ask(`{"type":"list_bans","_reqId":"r"}`)
	wantText(t, got, `{"type":"list_bans_result","_reqId":"r","bans":[]}`)
}

// An admin that was revoked has its session until it is ended, and no rights.
func TestModerationEndsWithTheAdmin(t *testing.T) {
	p := newParty(t)
	if err := p.store.SetRevoked(t.Context(), p.members["gil"].ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.roster.Forget(p.members["gil"].ID)
	got, _ := p.gil.ask(`{"type":"kick","all":true}`)
	if !strings.Contains(got, `"code":"forbidden"`) {
		t.Error(got)
	}
}

func TestKick(t *testing.T) {
	boKey, bo2Key := keyOf("session of bo").String(), keyOf("session of Bo-2").String()
	tests := []struct {
		name  string
		by    string
		frame string
		want  string // the answer without its type
		over  []string
	}{
		{"a name", "gil", `"target":"bo"`, `"kicked":["bo"],"affected":["bo"]}`, []string{"bo 4001 kicked"}},
		{"a name in another case", "gil", `"target":"BO-2"`, `"kicked":["Bo-2"],"affected":["Bo-2"]}`, []string{"Bo-2 4001 kicked"}},
		{"a part of a name is no name", "gil", `"target":"b"`, `"kicked":[],"affected":[]}`, nil},
		{"a member key means all its sessions", "gil", `"target":"` + keyOf("bo").String() + `"`,
			`"kicked":["bo","Bo-2"],"affected":["bo","Bo-2"]}`, []string{"bo 4001 kicked", "Bo-2 4001 kicked"}},
		{"in capitals too", "gil", `"target":" ` + strings.ToUpper(keyOf("bo").String()) + ` "`,
			`"kicked":["bo","Bo-2"],"affected":["bo","Bo-2"]}`, []string{"bo 4001 kicked", "Bo-2 4001 kicked"}},
		{"a session key means that session", "gil", `"target":"` + bo2Key + `"`, `"kicked":["Bo-2"],"affected":["Bo-2"]}`, []string{"Bo-2 4001 kicked"}},
		{"8 digits of a key do", "gil", `"target":"` + boKey[:8] + `"`, `"kicked":["bo"],"affected":["bo"]}`, []string{"bo 4001 kicked"}},
		{"7 digits do not", "gil", `"target":"` + boKey[:7] + `"`, `"kicked":[],"affected":[]}`, nil},
		{"a daemon is left alone and named", "gil", `"target":"` + keyOf("cy").String() + `"`,
			`"kicked":["cy"],"affected":["cy"],"skipped_control_plane":["cy's daemon"]}`, []string{"cy 4001 kicked"}},
		{"all means all others but the owner", "gil", `"all":true`,
			`"kicked":["bo","Bo-2","cy"],"affected":["bo","Bo-2","cy"],"skipped_control_plane":["cy's daemon"]}`,
			[]string{"bo 4001 kicked", "Bo-2 4001 kicked", "cy 4001 kicked"}},
		{"the owner kicks admins", "ada", `"all":true`,
			`"kicked":["gil","bo","Bo-2","cy"],"affected":["gil","bo","Bo-2","cy"],"skipped_control_plane":["cy's daemon"]}`,
			[]string{"gil 4001 kicked", "bo 4001 kicked", "Bo-2 4001 kicked", "cy 4001 kicked"}},
		{"all comes before target", "ada", `"target":"gil","stale":1,"all":true`,
			`"kicked":["gil","bo","Bo-2","cy"],"affected":["gil","bo","Bo-2","cy"],"skipped_control_plane":["cy's daemon"]}`,
			[]string{"gil 4001 kicked", "bo 4001 kicked", "Bo-2 4001 kicked", "cy 4001 kicked"}},
		{"nobody is silent for an hour", "gil", `"stale":3600000`, `"kicked":[],"affected":[]}`, nil},
		{"stale comes before target", "gil", `"stale":3600000,"target":"bo"`, `"kicked":[],"affected":[]}`, nil},
		{"its own connection is never meant by its name", "gil", `"target":"gil"`, `"kicked":[],"affected":[]}`, nil},
		{"nor by its key", "gil", `"target":"` + keyOf("gil").String() + `"`, `"kicked":[],"affected":[]}`, nil},
		{"nobody has this name", "gil", `"target":"dora"`, `"kicked":[],"affected":[]}`, nil},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPartyOn(t, st)
			by := map[string]*peer{"ada": p.ada, "gil": p.gil}[tt.by]
			got, records := by.ask(`{"type":"kick",` + tt.frame + `}`)
			wantText(t, got, `{"type":"kick_ack",`+tt.want)
			wantList(t, "closed", p.over(), tt.over)
			var want []string
			for _, how := range tt.over {
				name, _, _ := strings.Cut(how, " ")
				want = append(want, `member_kicked {"target":"`+name+`","targetPubkey":"`+p.memberOf(name).Key.String()+`"}`)
			}
			wantList(t, "records", recorded(records), want)
		})
	}
}

// memberOf returns the member behind a display name.
func (p *party) memberOf(name string) *store.Member {
	if name == "Bo-2" {
		name = "bo"
	}
	return p.members[name]
}

func TestKickRefusals(t *testing.T) {
	p := newParty(t)
	// A stranger takes the beginning of bo's key as its name, and another the
	// owner's name.
	r := p.rig
	r.join("cy", named(keyOf("bo").String()[:8]))
	alias := r.join("cy", named("ada"))
	tests := []struct{ name, fields, code string }{
		{"nobody kicks the owner", `"target":"` + keyOf("ada").String() + `",`, "forbidden"},
		{"a target must be given", ``, "invalid"},
		{"an empty target is none", `"target":"  ",`, "invalid"},
		{"time does not run backwards", `"stale":-1,"target":"bo",`, "invalid"},
		{"a name that begins somebody's key is not guessed at", `"target":"` + keyOf("bo").String()[:8] + `",`, "ambiguous_prefix"},
		{"a target of another type is refused", `"target":7,`, "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := p.gil.ask(`{"type":"kick",` + tt.fields + `"_reqId":"k"}`)
			if !strings.HasPrefix(got, `{"type":"error","_reqId":"k","code":"`+tt.code+`"`) {
				t.Errorf("got %s, want %s", got, tt.code)
			}
			wantList(t, "records", recorded(records), nil)
			wantList(t, "closed", p.over(), nil)
		})
	}
	t.Run("who borrows the owner's name is no owner", func(t *testing.T) {
		got, _ := p.gil.ask(`{"type":"kick","target":"ada"}`)
		wantText(t, got, `{"type":"kick_ack","kicked":["ada"],"affected":["ada"]}`)
		wantText(t, alias.how()+p.ada.how(), "4001 kicked")
	})
}

// Two keys that begin alike cannot be made by chance; the directory only needs
// them to be different.
func TestTargetsAreNeverGuessed(t *testing.T) {
	one, two := keyOf("one"), keyOf("two")
	copy(two[:5], one[:5])
	view := func(name string, member, key sdk.Key) presence.View {
		return presence.View{Session: &presence.Session{Member: member, Key: key}, About: presence.About{Name: name}}
	}
	views := []presence.View{view("a", one, keyOf("x")), view("b", two, keyOf("y")), view("a", keyOf("three"), sdk.Key{})}
	digits := one.String()
	tests := []struct{ name, target, want string }{
		{"a name that two have means both", "a", "a a"},
		{"a beginning that two keys share is refused", digits[:10], "ambiguous_prefix"},
		{"one that is long enough is not", digits[:11], "a"},
		{"the whole key is not", digits, "a"},
		{"63 digits are a beginning", digits[:63], "a"},
		{"65 digits are nothing", digits + "0", ""},
		{"a letter too far is nothing", digits[:11] + "g", ""},
		{"zeroes mean no session without a key", "00000000", ""},
		{"a zero key means none either", strings.Repeat("0", 64), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := parseTarget(tt.target).sessions(slices.Clone(views))
			var names []string
			for _, v := range found {
				names = append(names, v.Name)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = "ambiguous_prefix"
			}
			wantText(t, got, tt.want)
		})
	}
}

func TestStaleSessions(t *testing.T) {
	tests := []struct{ verb, want, how string }{
		{"kick", `{"type":"kick_ack","kicked":["bo"],"affected":["bo"]}`, "4001 kicked_stale"},
		{"disconnect", `{"type":"disconnect_ack","kicked":["bo"],"affected":["bo"]}`, "1000 disconnected_stale"},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.verb, func(t *testing.T) {
			p := newPartyOn(t, st)
			p.bo.seen = time.Now().Add(-2 * time.Minute)
			p.gil.seen = time.Now().Add(-time.Hour) // who asks is here
			got, _ := p.gil.ask(`{"type":"` + tt.verb + `","stale":60000}`)
			wantText(t, got, tt.want)
			wantList(t, "closed", p.over(), []string{"bo " + tt.how})
		})
	}
}

func TestKickedSessionsAreOver(t *testing.T) {
	p := newParty(t)
	p.cy.heard()
	p.gil.ask(`{"type":"kick","target":"bo"}`)
	if _, live := p.dir.Live(p.bo.session); live {
		t.Error("the session goes on")
	}
	wantList(t, "sessions", p.gil.listed(), []string{"ada", "gil", "Bo-2", "cy", "cy's daemon"})
	key := keyOf("session of bo").String()
	wantList(t, "others hear", p.cy.heard(), []string{wire.EventPeerLeft + ` {"name":"bo","displayName":"bo","pubkey":"` + key + `"}`})
	if len(p.ended) != 1 || p.ended[0].Kind != sdk.KindPeerLeft || p.ended[0].Sender.Session != p.bo.session.Key {
		t.Errorf("observers hear %+v", p.ended)
	}
	got, _ := p.gil.ask(`{"type":"kick","target":"bo"}`)
	wantText(t, got, `{"type":"kick_ack","kicked":[],"affected":[]}`)
}

func TestDisconnect(t *testing.T) {
	tests := []struct {
		name, fields, want string
		over               []string
	}{
		{"a name", `"target":"bo"`, `"kicked":["bo"],"affected":["bo"]}`, []string{"bo 1000 disconnected"}},
		{"a daemon is asked like everybody", `"target":"cy's daemon"`, `"kicked":["cy's daemon"],"affected":["cy's daemon"]}`,
			[]string{"cy's daemon 1000 disconnected"}},
		{"the owner can be asked", `"target":"ada"`, `"kicked":["ada"],"affected":["ada"]}`, []string{"ada 1000 disconnected"}},
		{"all means all others", `"all":true`, `"kicked":["ada","bo","Bo-2","cy","cy's daemon"],"affected":["ada","bo","Bo-2","cy","cy's daemon"]}`,
			[]string{"ada 1000 disconnected", "bo 1000 disconnected", "Bo-2 1000 disconnected", "cy 1000 disconnected", "cy's daemon 1000 disconnected"}},
		{"never who asks", `"target":"gil"`, `"kicked":[],"affected":[]}`, nil},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPartyOn(t, st)
			got, records := p.gil.ask(`{"type":"disconnect",` + tt.fields + `}`)
			wantText(t, got, `{"type":"disconnect_ack",`+tt.want)
			wantList(t, "closed", p.over(), tt.over)
			wantList(t, "records", recorded(records), nil)
		})
	}
}

func TestDisconnectedSessionsMayComeBack(t *testing.T) {
	p := newParty(t)
	p.gil.ask(`{"type":"disconnect","target":"bo"}`)
	if _, live := p.dir.Live(p.bo.session); !live {
		t.Error("the session is over")
	}
	wantList(t, "others hear", p.cy.heard(), nil)
	if len(p.ended) != 0 {
		t.Errorf("observers hear %+v", p.ended)
	}
}

// A session that has no connection has none to lose.
func TestDisconnectPassesOverGrace(t *testing.T) {
	p := newParty(t)
	p.dir.Leave(p.bo.session, p.bo.conn, false)
	got, _ := p.gil.ask(`{"type":"disconnect","target":"bo"}`)
	wantText(t, got, `{"type":"disconnect_ack","kicked":[],"affected":[]}`)
}

func TestBan(t *testing.T) {
	tests := []struct {
		name, target string
		banned       string
		over         []string
	}{
		{"a member's name", "CY", "cy", []string{"cy 4002 banned", "cy's daemon 4002 banned"}},
		{"the name of a session", "bo-2", "bo", []string{"bo 4002 banned", "Bo-2 4002 banned"}},
		{"a member key", keyOf("bo").String(), "bo", []string{"bo 4002 banned", "Bo-2 4002 banned"}},
		{"the beginning of one", keyOf("bo").String()[:12], "bo", []string{"bo 4002 banned", "Bo-2 4002 banned"}},
		{"a session key", keyOf("session of Bo-2").String(), "bo", []string{"bo 4002 banned", "Bo-2 4002 banned"}},
		{"the beginning of one", keyOf("session of Bo-2").String()[:8], "bo", []string{"bo 4002 banned", "Bo-2 4002 banned"}},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPartyOn(t, st)
			got, records := p.gil.ask(`{"type":"ban","target":"` + tt.target + `","reason":"spam"}`)
			wantText(t, got, `{"type":"ban_ack","banned":"`+tt.banned+`"}`)
			wantList(t, "closed", p.over(), tt.over)
			who := p.members[tt.banned]
			wantList(t, "records", recorded(records),
				[]string{`member_banned {"target":"` + tt.banned + `","targetPubkey":"` + who.Key.String() + `"}`})
			row, err := p.roster.MemberByID(t.Context(), who.ID)
			if err != nil || row.Live() {
				t.Errorf("the roster says live (%v)", err)
			}
			row, err = p.store.MemberByID(t.Context(), who.ID)
			if err != nil || row.Live() {
				t.Errorf("the disk says live (%v)", err)
			}
			if left := p.dir.OfMember(who.ID); len(left) != 0 {
				t.Errorf("%d sessions go on", len(left))
			}
		})
	}
}

func TestBanRefusals(t *testing.T) {
	p := newParty(t)
	p.join("cy", named("bo"))
	tests := []struct{ name, by, fields, code string }{
		{"a target must be given", "gil", `"reason":"why not"`, "invalid"},
		{"an empty one is none", "gil", `"target":" "`, "invalid"},
		{"nobody bans itself", "gil", `"target":"gil"`, "invalid"},
		{"nor by its key", "gil", `"target":"` + keyOf("session of gil").String() + `"`, "invalid"},
		{"the owner neither", "ada", `"target":"ada"`, "invalid"},
		{"an admin does not ban the owner", "gil", `"target":"ada"`, "forbidden"},
		{"nobody has the name", "gil", `"target":"dora"`, "not_found"},
		{"nobody has the key", "gil", `"target":"` + keyOf("dora").String() + `"`, "not_found"},
		{"7 digits of a key are too few", "gil", `"target":"` + keyOf("bo").String()[:7] + `"`, "not_found"},
		{"a name that another member borrowed is not guessed at", "gil", `"target":"bo"`, "ambiguous_prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			by := map[string]*peer{"ada": p.ada, "gil": p.gil}[tt.by]
			got, records := by.ask(`{"type":"ban","_reqId":"b",` + tt.fields + `}`)
			if !strings.HasPrefix(got, `{"type":"error","_reqId":"b","code":"`+tt.code+`"`) {
				t.Errorf("got %s, want %s", got, tt.code)
			}
			wantList(t, "records", recorded(records), nil)
			wantList(t, "closed", p.over(), nil)
		})
	}
}

// All that some clients show of a sender is the key of a session that is gone.
func TestBanByTheKeyOfASessionThatIsGone(t *testing.T) {
	p := newParty(t)
	key := keyOf("a one-shot command of cy")
	if _, _, err := p.roster.ClaimSessionKey(t.Context(), p.mesh.ID, key, p.members["cy"].ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, _ := p.gil.ask(`{"type":"ban","target":"` + key.String() + `"}`)
	wantText(t, got, `{"type":"ban_ack","banned":"cy"}`)
}

func TestBanAndBack(t *testing.T) {
	p := newParty(t)
	key := keyOf("cy").String()
	steps := []struct {
		name, frame, want string
		records           []string
	}{
		{"ban", `{"type":"ban","target":"cy"}`, `{"type":"ban_ack","banned":"cy"}`,
			[]string{`member_banned {"target":"cy","targetPubkey":"` + key + `"}`}},
		{"again, the answer was lost", `{"type":"ban","target":"cy"}`, `{"type":"ban_ack","banned":"cy"}`, nil},
		{"unban somebody else", `{"type":"unban","target":"dora"}`,
			`{"type":"error","code":"not_found","message":"target: no member of this mesh has this name or key"}`, nil},
		{"unban nobody", `{"type":"unban"}`, `{"type":"error","code":"invalid","message":"target: say whom, by display name or key"}`, nil},
		{"unban", `{"type":"unban","target":"` + key + `"}`, `{"type":"unban_ack","unbanned":"cy"}`,
			[]string{`member_unbanned {"target":"cy","targetPubkey":"` + key + `"}`}},
		{"again", `{"type":"unban","target":"cy"}`, `{"type":"unban_ack","unbanned":"cy"}`, nil},
		{"and nobody is banned", `{"type":"list_bans"}`, `{"type":"list_bans_result","bans":[]}`, nil},
	}
	for _, s := range steps {
		got, records := p.gil.ask(s.frame)
		if got != s.want {
			t.Errorf("%s: got %s, want %s", s.name, got, s.want)
		}
		wantList(t, s.name, recorded(records), s.records)
	}
	if row, err := p.roster.MemberByID(t.Context(), p.members["cy"].ID); err != nil || !row.Live() {
		t.Errorf("cy is not back (%v)", err)
	}
}

func TestListBansIsForEverybody(t *testing.T) {
	p := newParty(t)
	p.gil.ask(`{"type":"ban","target":"cy"}`)
	row, err := p.store.MemberByID(t.Context(), p.members["cy"].ID)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := p.bo.ask(`{"type":"list_bans","_reqId":"l"}`)
	wantText(t, got, fmt.Sprintf(`{"type":"list_bans_result","_reqId":"l","bans":[{"name":"cy","pubkey":"%s","revokedAt":"%s"}]}`,
		keyOf("cy"), wire.AppendTime(nil, row.RevokedAt)))
}

// Who bans "bo" means the bo that is here.
func TestBanMeansTheLivingAndUnbanTheOthers(t *testing.T) {
	p := newParty(t)
	old := &store.Member{ID: "old", MeshID: p.mesh.ID, Key: keyOf("old bo"), DisplayName: "bo", Role: store.RoleMember, RevokedAt: time.Now(), JoinedAt: time.Now()}
	if err := p.store.AddMember(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	got, records := p.gil.ask(`{"type":"unban","target":"bo"}`)
	wantText(t, got, `{"type":"unban_ack","unbanned":"bo"}`)
	wantList(t, "records", recorded(records), []string{`member_unbanned {"target":"bo","targetPubkey":"` + old.Key.String() + `"}`})
	got, _ = p.gil.ask(`{"type":"ban","target":"bo"}`)
	if !strings.Contains(got, "ambiguous_prefix") {
		t.Error(got)
	}
	p.gil.ask(`{"type":"ban","target":"` + old.Key.String() + `"}`)
	_, records = p.gil.ask(`{"type":"ban","target":"bo"}`)
	wantList(t, "records", recorded(records), []string{`member_banned {"target":"bo","targetPubkey":"` + keyOf("bo").String() + `"}`})
}
