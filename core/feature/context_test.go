package feature

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// share shares a context and returns its id.
func (p *peer) share(summary string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"share_context","summary":` + quoted(summary) + `}`)
	got, err := wire.Decode[wire.ContextShared]([]byte(answer))
	if err != nil || got.ID == "" || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.ID
}

// summaries returns what a query finds, the newest first.
func (p *peer) summaries(query string) []string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"get_context","query":` + quoted(query) + `}`)
	got, err := wire.Decode[wire.ContextResults]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	var list []string
	for _, c := range got.Contexts {
		list = append(list, c.Summary)
	}
	return list
}

// briefs returns the summaries of list_contexts.
func (p *peer) briefs() []string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"list_contexts"}`)
	got, err := wire.Decode[wire.ContextList]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	var list []string
	for _, c := range got.Contexts {
		list = append(list, c.Summary)
	}
	return list
}

func TestFlawExt46ContextSharedRepeatsTheReqID(t *testing.T) {
	r := newRig(t)
	bo, sibling, cy, daemon := r.join("bo", named("Bobby")), r.join("bo", named("bo-2")), r.join("cy"), r.join("ada", control)
	answer, records := bo.ask(`{"type":"share_context","summary":"the \"wire\"","filesRead":["a.go"],"keyFindings":["it works"],"tags":["codec"],"_reqId":"s"}`)
	var shared struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &shared); err != nil {
		t.Fatal(err)
	}
	wantText(t, answer, fmt.Sprintf(`{"type":"context_shared","_reqId":"s","id":%q}`, shared.ID))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`context_shared {"contextId":%q}`, shared.ID)})
	wantList(t, "the sender", bo.changes(), nil)
	for _, p := range []*peer{sibling, cy, daemon} {
		wantList(t, p.name, p.changes(), []string{`_context:bo="the \"wire\"" by bo`})
	}
	answer, _ = cy.ask(`{"type":"get_context","query":"WIRE","_reqId":1}`)
	begin := `{"type":"context_results","_reqId":1,"contexts":[{"peerName":"bo","summary":"the \"wire\"","filesRead":["a.go"],"keyFindings":["it works"],"tags":["codec"],"updatedAt":"2`
	if !strings.HasPrefix(answer, begin) || !strings.HasSuffix(answer, `Z"}]}`) {
		t.Errorf("got %s", answer)
	}
	answer, _ = cy.ask(`{"type":"list_contexts","_reqId":1}`)
	begin = `{"type":"context_list","_reqId":1,"contexts":[{"peerName":"bo","summary":"the \"wire\"","tags":["codec"],"updatedAt":"2`
	if !strings.HasPrefix(answer, begin) || !strings.HasSuffix(answer, `Z"}]}`) {
		t.Errorf("got %s", answer)
	}
	wantText(t, cy.get("_context:bo"), "null") // it is no value of the state
	if again := sibling.share("another one"); again != shared.ID {
		t.Error("a member has two contexts")
	}
	wantList(t, "found", cy.summaries("codec"), nil)
	wantList(t, "listed", cy.briefs(), []string{"another one"})
}

// The percent sign and the underscore stand for themselves.
func TestContextsAreFoundLiterally(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.share("one hundred")
	cy.share("100% of a_b")
	wantList(t, "found", bo.summaries("%"), []string{"100% of a_b"})
	wantList(t, "found", bo.summaries("a_b"), []string{"100% of a_b"})
	wantList(t, "found", bo.summaries("o_e"), nil)
	wantList(t, "found", bo.summaries("ONE"), []string{"one hundred"})
	if all := bo.summaries(""); len(all) != 2 {
		t.Errorf("got %q", all)
	}
}

func TestContextsHeedGrants(t *testing.T) {
	told := []string{`_context:bo="x" by bo`}
	tests := []struct {
		name  string
		grant func(*rig)
		heard []string
		reads bool
	}{
		{"everybody may read what everybody shares", func(*rig) {}, told, true},
		{"who blocks the sender hears nothing, and may ask", func(r *rig) { r.allow("cy", "bo") }, nil, true},
		{"whom the sender blocks learns nothing", func(r *rig) { r.allow("bo", "cy", store.CapDM) }, nil, false},
		{"whom the sender allows this reads it", func(r *rig) { r.allow("bo", "cy", store.CapStateRead) }, told, true},
		{"the session that asks may be blocked", func(r *rig) { r.allow("bo", "session of cy") }, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			bo, cy := r.join("bo"), r.join("cy")
			tt.grant(r)
			bo.share("x")
			wantList(t, "told", cy.changes(), tt.heard)
			var want []string
			if tt.reads {
				want = []string{"x"}
			}
			wantList(t, "found", cy.summaries("x"), want)
			wantList(t, "listed", cy.briefs(), want)
			wantList(t, "its own", bo.summaries("x"), []string{"x"})
		})
	}
}

func TestFlawExt44ContextIsRefusedAloud(t *testing.T) {
	long := `"` + strings.Repeat("x", 8000) + `"`
	tests := []struct{ name, frame, want string }{
		{"no summary", `{"type":"share_context","_reqId":1}`, `{"type":"context_shared","_reqId":1,"error":"invalid: summary: is required: want a string"}`},
		{"a long summary", `{"type":"share_context","summary":"` + strings.Repeat("x", 16385) + `","_reqId":1}`, `{"type":"context_shared","_reqId":1,"error":"invalid: summary: at most 16384 bytes"}`},
		{"findings that are no list", `{"type":"share_context","summary":"x","keyFindings":{},"_reqId":1}`, `{"type":"context_shared","_reqId":1,"error":"invalid: keyFindings: want a list"}`},
		{"much of everything", `{"type":"share_context","summary":"x","keyFindings":[` + strings.Repeat(long+",", 8) + long + `],"_reqId":1}`, `{"type":"context_shared","_reqId":1,"error":"invalid: summary, filesRead, keyFindings and tags: want at most 65536 bytes together"}`},
		{"a zero byte", `{"type":"share_context","summary":"a\u0000b","_reqId":1}`, `{"type":"context_shared","_reqId":1,"error":"invalid: a text holds \\u0000, which the broker does not store: leave it out"}`},
		{"no query", `{"type":"get_context","_reqId":1}`, `{"type":"context_results","_reqId":1,"contexts":[],"error":"invalid: query: is required: want a string"}`},
		{"a query that is no text", `{"type":"get_context","query":["x"],"_reqId":1}`, `{"type":"context_results","_reqId":1,"contexts":[],"error":"invalid: query: want a string"}`},
	}
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := bo.ask(tt.frame)
			wantText(t, got, tt.want)
			wantList(t, "records", recorded(records), nil)
			wantList(t, "told", cy.changes(), nil)
		})
	}
}

func TestFlawExt28ContextNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	got, _ := bo.ask(`{"type":"share_context","summary":"x"}`)
	wantText(t, got, `{"type":"context_shared","error":"forbidden: you do not have the permission canWriteState in this mesh: ask its owner or an admin for it"}`)
	wantList(t, "listed", bo.briefs(), nil)
}

// Whatever comes, each request has an answer in its own shape, and each member
// has the context that it shared last.
func TestContextProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy")}
	model := map[string]string{}
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "%", "a_b", "ÀB", `"`}), rapid.String())
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(peers).Draw(rt, "peer")
		summary := text.Draw(rt, "summary")
		tags, _ := json.Marshal(rapid.SliceOfN(text, 0, 3).Draw(rt, "tags"))
		answer, _ := p.ask(`{"type":"share_context","_reqId":1,"summary":` + quoted(summary) + `,"tags":` + string(tags) + `}`)
		got, err := wire.Decode[wire.ContextShared]([]byte(answer))
		switch {
		case err != nil || !strings.HasPrefix(answer, `{"type":"context_shared","_reqId":1,`):
			rt.Fatalf("got %s, %v", answer, err)
		case got.ID == "" && !strings.HasPrefix(got.Error, "invalid: "):
			rt.Fatalf("got %s", answer)
		case got.ID != "":
			model[p.name] = summary
		}
		query := text.Draw(rt, "query")
		answer, _ = p.ask(`{"type":"get_context","_reqId":1,"query":` + quoted(query) + `}`)
		found, err := wire.Decode[wire.ContextResults]([]byte(answer))
		if err != nil || found.Error != "" && !strings.HasPrefix(found.Error, "invalid: ") {
			rt.Fatalf("%q: got %s, %v", query, answer, err)
		}
		for _, c := range found.Contexts {
			if model[c.PeerName] != c.Summary {
				rt.Fatalf("%s has %q, want %q", c.PeerName, c.Summary, model[c.PeerName])
			}
		}
	})
}
