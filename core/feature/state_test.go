package feature

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// quoted returns a text as JSON.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// set sets a value, and returns the refusal if there is one.
func (p *peer) set(key, value string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"set_state","key":` + quoted(key) + `,"value":` + value + `,"_reqId":1}`)
	return answer
}

// must sets a value.
func (p *peer) must(key, value string) {
	p.rig.t.Helper()
	if refused := p.set(key, value); refused != "" {
		p.rig.t.Fatal(refused)
	}
}

// get returns the JSON of a value.
func (p *peer) get(key string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"get_state","key":` + quoted(key) + `}`)
	got, err := wire.Decode[wire.StateResult]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return string(got.Value)
}

// page returns the keys and the cursor of a list.
func (p *peer) page(frame string) (keys []string, next string) {
	p.rig.t.Helper()
	answer, _ := p.ask(frame)
	got, err := wire.Decode[wire.StateList]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	for _, e := range got.Entries {
		keys = append(keys, e.Key)
	}
	return keys, got.Next
}

// changes returns what the peer was told of shared state since the last call.
func (p *peer) changes() []string {
	p.rig.t.Helper()
	var list []string
	for _, event := range p.heard() {
		if strings.HasPrefix(event, "{") {
			m, err := wire.Decode[wire.StateChange]([]byte(event))
			if err != nil {
				p.rig.t.Fatal(err)
			}
			list = append(list, m.Key+"="+string(m.Value)+" by "+m.UpdatedBy)
		}
	}
	return list
}

// allow has a member allow another one this and nothing else.
func (r *rig) allow(from, to string, caps ...store.Capability) {
	r.t.Helper()
	r.edit(from, func(m *store.Member) { m.Grants = store.Grants{keyOf(to): caps} })
}

// A change goes to everybody but the session that made it.
func TestStateChangesAreTold(t *testing.T) {
	r := newRig(t)
	bo, sibling, cy := r.join("bo"), r.join("bo", named("bo-2")), r.join("cy")
	daemon := r.join("ada", control)
	cy.ask(`{"type":"set_visible","visible":false}`)
	bo.must("k", `[1]`)
	wantList(t, "the sender", bo.changes(), nil)
	for _, p := range []*peer{sibling, cy, daemon} {
		wantList(t, p.name, p.changes(), []string{"k=[1] by bo"})
	}
}

func TestStateHeedsGrants(t *testing.T) {
	const none, one = "null", "1"
	told := []string{"k=1 by bo"}
	tests := []struct {
		name  string
		grant func(*rig)
		heard []string
		reads string
	}{
		{"everybody may read what everybody sets", func(*rig) {}, told, one},
		{"who blocks the sender hears nothing, and may ask", func(r *rig) { r.allow("cy", "bo") }, nil, one},
		{"who allows the sender other things hears nothing", func(r *rig) { r.allow("cy", "bo", store.CapDM) }, nil, one},
		{"who allows the sender this hears of it", func(r *rig) { r.allow("cy", "bo", store.CapStateRead) }, told, one},
		{"whom the sender blocks learns nothing", func(r *rig) { r.allow("bo", "cy", store.CapDM) }, nil, none},
		{"whom the sender allows this reads it", func(r *rig) { r.allow("bo", "cy", store.CapStateRead) }, told, one},
		{"the sender's session may be allowed", func(r *rig) { r.allow("cy", "session of bo", store.CapStateRead) }, told, one},
		{"the sender's session may be blocked", func(r *rig) { r.allow("cy", "session of bo") }, nil, one},
		{"the session that asks may be blocked", func(r *rig) { r.allow("bo", "session of cy") }, nil, none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			bo, cy := r.join("bo"), r.join("cy")
			tt.grant(r)
			bo.must("k", "1")
			wantList(t, "told", cy.changes(), tt.heard)
			wantText(t, cy.get("k"), tt.reads)
			keys, _ := cy.page(`{"type":"list_state"}`)
			info, _ := cy.ask(`{"type":"mesh_info"}`)
			if seen := tt.reads == one; slices.Contains(keys, "k") != seen || strings.Contains(info, `"stateKeys":["k"]`) != seen {
				t.Errorf("it is seen: %v; got the list %q and %s", seen, keys, info)
			}
			wantText(t, bo.get("k"), one)
		})
	}
}

func TestStateIsWrittenOver(t *testing.T) {
	revoke := func(m *store.Member) { m.RevokedAt = m.JoinedAt }
	tests := []struct {
		name  string
		by    string
		grant func(*rig)
		want  bool
	}{
		{"by anybody, while nothing is said", "cy", func(*rig) {}, true},
		{"by whom the writer has said something else of", "cy", func(r *rig) { r.allow("bo", "ada", store.CapDM) }, true},
		{"not by whom the writer blocks", "cy", func(r *rig) { r.allow("bo", "cy") }, false},
		{"not by whom the writer allows other things", "cy", func(r *rig) { r.allow("bo", "cy", store.CapStateRead) }, false},
		{"by whom the writer allows to", "cy", func(r *rig) { r.allow("bo", "cy", store.CapStateWrite) }, true},
		{"not by a session that the writer blocks", "cy", func(r *rig) { r.allow("bo", "session of another") }, false},
		{"by the writer", "bo", func(r *rig) { r.allow("bo", "bo") }, true},
		{"by an admin", "gil", func(r *rig) { r.allow("bo", "gil") }, true},
		{"by the owner", "ada", func(r *rig) { r.allow("bo", "ada") }, true},
		{"once the writer is gone", "cy", func(r *rig) {
			r.allow("bo", "cy")
			if err := r.store.SetRevoked(t.Context(), r.members["bo"].ID, r.members["bo"].JoinedAt); err != nil {
				t.Fatal(err)
			}
			r.edit("bo", revoke)
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			bo, by := r.join("bo"), r.join(tt.by, named("another"))
			bo.must("k", "1")
			tt.grant(r)
			for _, value := range []string{"2", "null"} {
				got := by.set("k", value)
				if refused := strings.Contains(got, `"error":"forbidden: `); refused == tt.want || (got == "") != tt.want {
					t.Errorf("to %s: got %q", value, got)
				}
			}
		})
	}
}

func TestFlawExt28StateNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.must("k", "1")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	want := `{"type":"ack","_reqId":1,"id":1,"messageId":"","queued":false,"error":"forbidden: you do not have the permission canWriteState in this mesh: ask its owner or an admin for it"}`
	wantText(t, bo.set("k", "2"), want)
	wantText(t, bo.get("k"), "1")
}

// The log knows that a value was set, and what it was only to who knows it.
func TestFlawExt19TheLogHasNoValues(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for _, tt := range []struct{ value, want string }{
		{`{"a": "secret"}`, `state_set {"key":"k","valueSha256":"` + fmt.Sprintf("%x", sha256.Sum256([]byte(`{"a":"secret"}`))) + `"}`},
		{`null`, `state_deleted {"key":"k"}`},
	} {
		answer, records := bo.ask(`{"type":"set_state","key":"k","value":` + tt.value + `}`)
		wantText(t, answer, "")
		wantList(t, "records", recorded(records), []string{tt.want})
	}
	_, records := bo.ask(`{"type":"set_state","key":"k","value":null}`)
	wantList(t, "records of a key that was not there", recorded(records), nil)
}

func TestFlawExt45NullDeletes(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.must("k", "1")
	cy.must("k", "null")
	cy.must("k", "null") // which nobody needs to hear of
	wantList(t, "told", bo.changes(), []string{"k=null by cy"})
	wantText(t, bo.get("k"), "null")
	keys, _ := bo.page(`{"type":"list_state"}`)
	wantList(t, "keys", keys, nil)
}

// Values come back as they were written, but for spaces between their parts.
func TestStateKeepsValues(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	tests := []struct{ value, want string }{
		{`false`, `false`}, {`0`, `0`}, {`""`, `""`}, {`-0.0`, `-0.0`}, {`1.50E+3`, `1.50E+3`},
		{`123456789012345678901234567890.5`, `123456789012345678901234567890.5`},
		{"[ 1 ,\n\t{ \"b\" : \"a b\", \"a\":null} ]", `[1,{"b":"a b","a":null}]`},
		{`"\u00e9é\/\ud83d\ude00<&>\\u0000"`, `"\u00e9é\/\ud83d\ude00<&>\\u0000"`},
		{strings.Repeat("[", valueDepth) + strings.Repeat("]", valueDepth), strings.Repeat("[", valueDepth) + strings.Repeat("]", valueDepth)},
	}
	for _, tt := range tests {
		bo.must("k", tt.value)
		wantText(t, bo.get("k"), tt.want)
		wantList(t, "told", cy.changes(), []string{"k=" + tt.want + " by bo"})
	}
}

func TestFlawExt44StateIsRefusedAloud(t *testing.T) {
	deep := strings.Repeat("[", valueDepth+1) + strings.Repeat("]", valueDepth+1)
	tests := []struct{ name, fields, want string }{
		{"no key", `"value":1`, "invalid: key: is required: want a string"},
		{"an empty key", `"key":"","value":1`, "invalid: key: want at least one byte"},
		{"a long key", `"key":"` + strings.Repeat("k", 257) + `","value":1`, "invalid: key: at most 256 bytes"},
		{"a key of the broker's", `"key":"_context:bo","value":1`, "invalid: key: those that begin with _context: are the broker's, for share_context"},
		{"no value", `"key":"k"`, "invalid: value: is required: any JSON, or null to delete the key"},
		{"a deep value", `"key":"k","value":` + deep, "invalid: value: want at most 28 levels of objects and lists"},
		{"a long value", `"key":"k","value":"` + strings.Repeat("v", 32767) + `"`, "invalid: value: at most 32768 bytes of JSON"},
		{"a zero byte", `"key":"k","value":"\u0000"`, `invalid: a text holds \u0000, which the broker does not store: leave it out`},
	}
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := bo.ask(`{"type":"set_state","_reqId":1,` + tt.fields + `}`)
			ack, err := wire.Decode[wire.Ack]([]byte(got))
			if err != nil {
				t.Fatal(err)
			}
			wantText(t, ack.Error, tt.want)
			wantList(t, "records", recorded(records), nil)
			wantList(t, "told", cy.changes(), nil)
		})
	}
}

// fill gives a member n values at once.
func (r *rig) fill(member string, n int) {
	r.t.Helper()
	c := &store.MeshCopy{
		Mesh: r.mesh, Now: time.Now(),
		Audit: func(func(*audit.Entry, error) bool) {}, Messages: func(func(*store.MessageCopy, error) bool) {},
	}
	for i := range n {
		c.Values = append(c.Values, &store.Value{
			MeshID: r.mesh.ID, Key: fmt.Sprint(member, " ", i), MemberID: r.members[member].ID, Author: member, At: time.Now(), JSON: []byte("1"),
		})
	}
	if _, err := r.store.ImportMesh(r.t.Context(), c); err != nil {
		r.t.Fatal(err)
	}
}

func TestFlawExt31StateHasRoom(t *testing.T) {
	r := newRig(t)
	bo, cy, ada := r.join("bo"), r.join("cy"), r.join("ada")
	r.fill("bo", valuesPerMember-1)
	bo.must("bo's last", "1")
	wantText(t, bo.set("one more", "1"), `{"type":"ack","_reqId":1,"id":1,"messageId":"","queued":false,"error":"capacity: 500 values of the state are yours, and that is all a member may have: delete some with null"}`)
	bo.must("bo 7", "2")
	r.fill("cy", valuesPerMesh-valuesPerMember-1)
	cy.must("cy's last", "1")
	wantText(t, ada.set("one more", "1"), `{"type":"ack","_reqId":1,"id":1,"messageId":"","queued":false,"error":"capacity: the mesh has 1000 values of the state, and that is all it may have: delete some with null"}`)
	ada.must("cy 7", "null")
	ada.must("one more", "1")
	keys, next := ada.page(`{"type":"list_state"}`)
	if len(keys) != valuesPerMesh || next != "" {
		t.Errorf("a list without limits has %d values and goes on at %q", len(keys), next)
	}
}

// A list ends when it gets long, and goes on where it ended.
func TestStatePages(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	large := `"` + strings.Repeat("v", 32000) + `"`
	var want []string
	for i := range 40 {
		key := fmt.Sprintf("k%02d", i)
		if i%5 == 0 {
			cy.must(key, large) // bo may not read it
			continue
		}
		bo.must(key, large)
		want = append(want, key)
	}
	r.allow("cy", "bo")
	for _, limit := range []string{"", `,"limit":0`, `,"limit":7`, `,"limit":100000`} {
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			keys, next := bo.page(fmt.Sprintf(`{"type":"list_state","cursor":%q%s}`, cursor, limit))
			if got = append(got, keys...); next == "" {
				break
			}
			if cursor = next; len(keys) > 16 || pages > 40 {
				t.Fatalf("%d values on page %d", len(keys), pages)
			}
		}
		wantList(t, "keys with"+limit, got, want)
	}
}

// What cannot be read is refused before anything is known of it.
func TestRefusalsNeedNothing(t *testing.T) {
	for _, o := range All(Deps{}).Owners() {
		if f := o.Refusal(&Call{}, sdk.ReasonInvalid, "text"); f == nil {
			t.Errorf("%s is not refused", o.Type)
		}
	}
}

// What mesh_info cannot find out it does not make up.
func TestStateWithoutAStore(t *testing.T) {
	tests := []struct{ frame, want string }{
		{`{"type":"get_state","key":"k","_reqId":1}`, `{"type":"state_result","_reqId":1,"key":"k","value":null,"updatedBy":"","updatedAt":"","error":"unavailable: *"}`},
		{`{"type":"list_state","_reqId":1}`, `{"type":"state_list","_reqId":1,"entries":[],"error":"unavailable: *"}`},
		{`{"type":"set_state","key":"k","value":1,"_reqId":1}`, `{"type":"ack","_reqId":1,"id":1,"messageId":"","queued":false,"error":"unavailable: *"}`},
		{`{"type":"mesh_info","_reqId":1}`, `{"type":"error","_reqId":1,"code":"unavailable","message":"*"}`},
	}
	for _, tt := range tests {
		r := newRig(t)
		bo, away := r.join("bo"), awayStore{Store: r.store, values: true}
		reg := All(Deps{Directory: r.dir, Engine: r.engine, Roster: r.roster, Store: away, Sessions: r, Announcer: announcer{r}})
		got, records := bo.askOf(reg, tt.frame)
		begin, end, _ := strings.Cut(tt.want, "*")
		if !strings.Contains(got, begin) || !strings.HasSuffix(got, end) || strings.Contains(got, "10.0.0.7") {
			t.Errorf("%s: got %s", tt.frame, got)
		}
		wantList(t, "records", recorded(records), nil)
	}
}

// Whatever comes, the state is what the requests that were not refused have made
// of it, and each refusal says why.
func TestStateProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
	model := map[string]string{}
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(peers).Draw(rt, "peer")
		key := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "_context:x", ""}), rapid.String()).Draw(rt, "key")
		value := rapid.OneOf(rapid.SampledFrom([]string{"null", "", "[", "{\"a\":1,\"a\":2}", "1e999", "[[]]"}), rapid.Custom(drawJSON)).Draw(rt, "value")
		frame := `{"type":"set_state","_reqId":1,"key":` + quoted(key) + `,"value":` + value + `}`
		if _, err := wire.Peek([]byte(frame)); err != nil {
			rt.Skip("no frame")
		}
		answer, _ := p.ask(frame)
		if answer != "" {
			ack, err := wire.Decode[wire.Ack]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"ack","_reqId":1,`) || !strings.Contains(ack.Error, ": ") {
				rt.Fatalf("%s: got %s", frame, answer)
			}
		} else if v := jsontext.Value(value); v.Compact() != nil {
			rt.Fatalf("%s was taken", frame)
		} else if model[key] = string(v); value == "null" {
			delete(model, key)
		}
		if want, ok := model[key]; len(key) <= 256 && !strings.Contains(key, "\x00") {
			if !ok {
				want = "null"
			}
			for _, p := range peers {
				if got := p.get(key); got != want {
					rt.Fatalf("after %s: got %s, want %s", frame, got, want)
				}
			}
		}
		cursor, limit := rapid.OneOf(rapid.Just(""), rapid.String()).Draw(rt, "cursor"), rapid.OneOf(rapid.Int64(), rapid.Int64Range(1, 3)).Draw(rt, "limit")
		if strings.Contains(cursor, "\x00") || len(cursor) > 256 {
			rt.Skip("refused")
		}
		keys, next := p.page(fmt.Sprintf(`{"type":"list_state","cursor":%s,"limit":%d}`, quoted(cursor), limit))
		var want []string
		for key := range model {
			if key > cursor {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		most := int(min(max(limit, 1), valuesPerMesh))
		if more := len(want) > most; more != (next != "") || !slices.Equal(keys, want[:min(len(want), most)]) {
			rt.Fatalf("behind %q: got %q and %q, want %d of %q", cursor, keys, next, limit, want)
		}
	})
}

// drawJSON draws JSON that nests.
func drawJSON(t *rapid.T) string {
	v := any(rapid.String().Draw(t, "text"))
	for range rapid.IntRange(0, valueDepth+3).Draw(t, "depth") {
		if rapid.Bool().Draw(t, "list") {
			v = []any{rapid.Float64Range(-1e9, 1e9).Draw(t, "number"), v}
		} else {
			v = map[string]any{"k": v}
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
