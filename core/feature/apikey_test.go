package feature

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
)

// makeKey makes a key; fields come behind its label.
func (p *peer) makeKey(fields string) wire.APIKeyCreated {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"apikey_create","_reqId":"r","label":"script"` + fields + `}`)
	if !strings.HasPrefix(answer, `{"type":"apikey_created","_reqId":"r",`) {
		p.rig.t.Fatalf("got %s", answer)
	}
	return p.decoded(answer)
}

func (p *peer) decoded(answer string) wire.APIKeyCreated {
	p.rig.t.Helper()
	got, err := wire.Decode[wire.APIKeyCreated]([]byte(answer))
	if err != nil {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return *got
}

// keys lists what apikey_list shows: member and prefix.
func (p *peer) keys() (list []wire.APIKeyRow) {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"apikey_list","_reqId":"r"}`)
	got, err := wire.Decode[wire.APIKeyListResponse]([]byte(answer))
	if err != nil || got.Error != "" || strings.Contains(answer, "secret") {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.Keys
}

// revokeKey returns the answer without its type and request id.
func (p *peer) revokeKey(id string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"apikey_revoke","_reqId":"r","id":` + quoted(id) + `}`)
	rest, ok := strings.CutPrefix(answer, `{"type":"apikey_revoke_response","_reqId":"r",`)
	if !ok {
		p.rig.t.Fatalf("got %s", answer)
	}
	return strings.TrimSuffix(rest, "}")
}

func TestAPIKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bo := r.join("bo")
	answer, records := bo.ask(`{"type":"apikey_create","label":"ci","capabilities":["read","send","read"],"topicScopes":["#general","general","ops"],"expiresAt":"2199-01-31T12:00:00+01:00"}`)
	got := bo.decoded(answer)
	hash, ok := token.HashOfAPIKey(got.Secret)
	if !ok || got.Prefix != got.Secret[:11] || got.Label != "ci" || !slices.Equal(got.Capabilities, []string{"read", "send"}) ||
		!slices.Equal(*got.TopicScopes, []string{"general", "ops"}) {
		t.Fatalf("got %s", answer)
	}
	row, err := r.store.APIKeyByHash(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2199, 1, 31, 11, 0, 0, 0, time.UTC); row.MemberID != bo.member.ID || !row.ExpiresAt.Equal(want) || row.MeshID != r.mesh.ID {
		t.Errorf("wrote %+v", row)
	}
	list := recorded(records)
	if want := `apikey_created {"keyId":"` + got.ID + `","memberId":"` + bo.member.ID + `","capabilities":["read","send"]}`; len(list) != 1 || !sameJSONText(list[0], want) {
		t.Errorf("recorded %q, want %q", list, want)
	}
	rows := bo.keys()
	if len(rows) != 1 || rows[0].ID != got.ID || rows[0].Prefix != got.Prefix || rows[0].RevokedAt != nil || rows[0].LastUsedAt != nil {
		t.Errorf("listed %+v", rows)
	}
}

// sameJSONText compares records whose fields may come in another order.
func sameJSONText(got, want string) bool {
	sorted := func(text string) string {
		b := []byte(text)
		slices.Sort(b)
		return string(b)
	}
	return sorted(got) == sorted(want)
}

func TestAPIKeyArguments(t *testing.T) {
	t.Parallel()
	ada := newRig(t).join("ada")
	long := strings.Repeat("a", 200)
	for _, tt := range []struct{ name, frame, want string }{
		{"a label", `"capabilities":["send"]`, "invalid_args: label: "},
		{"capabilities", `"label":"a"`, "invalid_args: capabilities: "},
		{"at least one capability", `"label":"a","capabilities":[]`, "invalid_args: capabilities: "},
		{"capabilities that there are", `"label":"a","capabilities":["send","root"]`, "invalid_args: capabilities: "},
		{"capabilities as texts", `"label":"a","capabilities":"send"`, "invalid: capabilities"},
		{"a label that is no poem", `"label":"` + long + `","capabilities":["send"]`, "invalid: label"},
		{"at least one topic", `"label":"a","capabilities":["send"],"topicScopes":[]`, "invalid_args: topicScopes: "},
		{"topics with a name", `"label":"a","capabilities":["send"],"topicScopes":[""]`, "invalid_args: topicScopes: "},
		{"topics with more than a sign", `"label":"a","capabilities":["send"],"topicScopes":["#"]`, "invalid_args: topicScopes: "},
		{"capabilities without a sign", `"label":"a","capabilities":["#send"]`, "invalid_args: capabilities: "},
		{"an end to come", `"label":"a","capabilities":["send"],"expiresAt":"2020-01-01T00:00:00Z"`, "invalid_args: expiresAt: "},
		{"an end that is a time", `"label":"a","capabilities":["send"],"expiresAt":"soon"`, "invalid_args: expiresAt: "},
		{"nothing more", `"label":"a","capabilities":["send"],"topicScopes":null`, ""},
	} {
		t.Run("it wants "+tt.name, func(t *testing.T) {
			answer, _ := ada.ask(`{"type":"apikey_create","_reqId":7,` + tt.frame + `}`)
			got := ada.decoded(answer)
			if !strings.HasPrefix(got.Error, tt.want) || (got.Secret == "") != (tt.want != "") || !strings.Contains(answer, `"_reqId":7`) {
				t.Errorf("got %s", answer)
			}
		})
	}
}

// TestFlawLater25 shows that nobody makes a key that can do more than its maker,
// sees or ends the keys of others, or means many keys with one sign.
func TestFlawLater25(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada, gil, bo, cy := r.join("ada"), r.join("gil"), r.join("bo"), r.join("cy")
	if got := bo.makeKey(`,"capabilities":["send","admin"]`); !strings.HasPrefix(got.Error, "forbidden: ") || got.Secret != "" {
		t.Errorf("a member made %+v", got)
	}
	of := map[*peer]wire.APIKeyCreated{}
	for _, p := range []*peer{ada, gil, bo, cy} {
		of[p] = p.makeKey(`,"capabilities":["send","read","state_write"]`)
	}
	for _, p := range []*peer{ada, gil} {
		if got := p.makeKey(`,"capabilities":["admin"]`); got.Secret == "" {
			t.Errorf("%s: got %+v", p.name, got)
		}
		if n := len(p.keys()); n < 5 {
			t.Errorf("%s sees %d keys, want those of all", p.name, n)
		}
	}
	if rows := bo.keys(); len(rows) != 1 || rows[0].ID != of[bo].ID {
		t.Errorf("bo sees %+v", rows)
	}
	for _, id := range []string{of[cy].ID, of[cy].ID[:12], "%%%%%%%%", "________", of[bo].ID[:8] + "%", of[bo].ID[:31] + "_"} {
		wantText(t, bo.revokeKey(id), `"status":"not_found"`)
	}
	for _, id := range []string{"", "%", of[bo].ID[:7], strings.Repeat("a", 64) + "a", "ключключ"} {
		if got := bo.revokeKey(id); !strings.HasPrefix(got, `"status":"refused","error":"invalid`) {
			t.Errorf("%q: got %s", id, got)
		}
	}
	if got := gil.revokeKey(of[ada].ID); !strings.HasPrefix(got, `"status":"refused","error":"forbidden: `) {
		t.Errorf("an admin and the owner's key: got %s", got)
	}
	for range 2 { // a repeated request does no harm
		wantText(t, bo.revokeKey(of[bo].ID[:8]), `"status":"revoked","id":"`+of[bo].ID+`"`)
		wantText(t, gil.revokeKey(of[cy].ID), `"status":"revoked","id":"`+of[cy].ID+`"`)
	}
	if rows := bo.keys(); len(rows) != 1 || rows[0].RevokedAt == nil {
		t.Errorf("bo's revoked key is listed as %+v", rows)
	}
	_, records := ada.ask(`{"type":"apikey_revoke","id":"` + of[gil].ID + `"}`)
	wantList(t, "records", recorded(records)[:1], []string{recorded(records)[0]})
	if len(records) != 1 || records[0].Event != "apikey_revoked" {
		t.Errorf("recorded %q", recorded(records))
	}
}

func TestAPIKeyNeedsWhatItGives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.store.ChangeMember(t.Context(), r.members["bo"].ID, func(m *store.Member) error {
		m.Permissions = store.Permissions{store.CanSend: false}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.roster.Forget(r.members["bo"].ID)
	bo := r.join("bo")
	if got := bo.makeKey(`,"capabilities":["send"]`); !strings.HasPrefix(got.Error, "forbidden: a key that can send needs") {
		t.Errorf("got %+v", got)
	}
	if got := bo.makeKey(`,"capabilities":["read"]`); got.Secret == "" {
		t.Errorf("got %+v", got)
	}
}

func TestAPIKeysHaveRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bo := r.join("bo")
	for n := range apiKeysPerMember {
		err := r.store.CreateAPIKey(t.Context(), &store.APIKey{
			ID: string(rune('a'+n/100)) + strings.Repeat("x", 20) + string(rune('0'+n%10)) + string(rune('0'+n/10%10)), MeshID: r.mesh.ID,
			MemberID: bo.member.ID, Label: "x", Hash: [32]byte{byte(n), 1}, Capabilities: []store.KeyCapability{store.KeyRead}, CreatedAt: time.Now(),
		}, store.Room{Mesh: 1000, Member: 1000}, 10)
		if err != nil {
			t.Fatal(err)
		}
	}
	got := bo.makeKey(`,"capabilities":["read"]`)
	if !strings.HasPrefix(got.Error, "capacity: 200 good API keys are yours") {
		t.Errorf("got %+v", got)
	}
	rows := bo.keys()
	if got := bo.revokeKey(rows[0].ID[:9]); !strings.HasPrefix(got, `"status":"not_unique","matches":10`) {
		t.Errorf("got %s", got)
	}
	bo.revokeKey(rows[0].ID)
	if got := bo.makeKey(`,"capabilities":["read"]`); got.Secret == "" {
		t.Errorf("after one was revoked: got %+v", got)
	}
}

// A key that somebody got hold of does not come back with its member.
func TestAPIKeysEndWithTheirMember(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gil, bo := r.join("gil"), r.join("bo")
	stolen := bo.makeKey(`,"capabilities":["read"]`)
	gil.ask(`{"type":"ban","target":"bo"}`)
	if got := bo.makeKey(`,"capabilities":["read"]`); !strings.HasPrefix(got.Error, "forbidden: your access to this mesh was revoked") {
		t.Errorf("while it was banned it got %+v", got)
	}
	gil.ask(`{"type":"unban","target":"bo"}`)
	for _, k := range gil.keys() {
		if k.RevokedAt == nil {
			t.Errorf("key %s is good again", k.ID)
		}
	}
	hash, _ := token.HashOfAPIKey(stolen.Secret)
	if k, err := r.store.APIKeyByHash(t.Context(), hash); err != nil || k.Good(time.Now()) {
		t.Errorf("the key is good again: %+v, %v", k, err)
	}
	if got := r.join("bo").makeKey(`,"capabilities":["read"]`); got.Secret == "" {
		t.Errorf("when it was back it got %+v", got)
	}
}

// Who makes keys on its member's last day has none, even where the roster has not
// heard of the ban.
func TestAPIKeyOfAMemberThatIsBannedMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bo := r.join("bo")
	bo.makeKey(`,"capabilities":["read"]`)
	if err := r.store.SetRevoked(t.Context(), bo.member.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := bo.makeKey(`,"capabilities":["read"]`); !strings.HasPrefix(got.Error, "forbidden: your access to this mesh was revoked") {
		t.Errorf("got %+v", got)
	}
}

// TestAPIKeyRequests asks anything and holds every answer to its own shape.
func TestAPIKeyRequests(t *testing.T) {
	t.Parallel()
	bo := newRig(t).join("bo")
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"send", "read", "admin", "%", "2199-01-01T00:00:00Z"}))
		list := func(name string) string {
			words := rapid.SliceOfN(text, 0, 3).Draw(rt, name)
			for i := range words {
				words[i] = quoted(words[i])
			}
			return "[" + strings.Join(words, ",") + "]"
		}
		frame, shape := `{"type":"apikey_create","_reqId":1,"label":`+quoted(text.Draw(rt, "label"))+`,"capabilities":`+list("capabilities")+
			`,"topicScopes":`+list("topics")+`,"expiresAt":`+quoted(text.Draw(rt, "expiresAt"))+`}`, `{"type":"apikey_created","_reqId":1,`
		if rapid.Bool().Draw(rt, "revoke") {
			frame, shape = `{"type":"apikey_revoke","_reqId":1,"id":`+quoted(text.Draw(rt, "id"))+`}`, `{"type":"apikey_revoke_response","_reqId":1,`
		}
		answer, _ := bo.ask(frame)
		var may struct{ Capabilities []string }
		err := json.Unmarshal([]byte(answer), &may)
		if !strings.HasPrefix(answer, shape) || err != nil || slices.Contains(may.Capabilities, "admin") {
			rt.Fatalf("%s: got %s: %v", frame, answer, err)
		}
	})
}
