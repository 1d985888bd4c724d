package feature

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// asked returns the field of the question that the peer was asked last.
func (p *peer) asked(field string) string {
	p.rig.t.Helper()
	list := p.heard()
	var m map[string]any
	if len(list) == 0 || json.Unmarshal([]byte(list[len(list)-1]), &m) != nil {
		p.rig.t.Fatalf("%s was asked %q", p.name, list)
	}
	text, _ := m[field].(string)
	return text
}

func (p *peer) wantHeard(want ...string) {
	p.rig.t.Helper()
	wantList(p.rig.t.(*testing.T), p.name, p.heard(), want)
}

// readFile asks a peer for a file, and returns the refusal if there is one.
func (p *peer) readFile(of sdk.Key, reqID string) string {
	p.rig.t.Helper()
	refused, _ := p.ask(`{"type":"peer_file_request","targetPubkey":"` + of.String() + `","filePath":"a/b","_reqId":` + reqID + `}`)
	return refused
}

func TestPeerFileIsPassedOn(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("cy", "bo", store.CapFileRead)
	wantText(t, bo.readFile(cy.session.Key, `"r1"`), "")
	id := cy.asked("_reqId")
	if id == "" || id == "r1" {
		t.Errorf("the question has the id %q", id)
	}
	cy.ask(`{"type":"peer_file_response","requesterPubkey":"` + bo.session.Key.String() + `","filePath":"a/b","content":"aGk=","_reqId":"` + id + `"}`)
	bo.wantHeard(`{"type":"peer_file_response_forward","_reqId":"r1","filePath":"a/b","content":"aGk="}`)

	bo.ask(`{"type":"peer_dir_request","targetPubkey":"` + cy.member.Key.String() + `","dirPath":".","pattern":"*.go","_reqId":7}`)
	list := cy.heard()
	if len(list) != 1 || !strings.Contains(list[0], `"dirPath":".","pattern":"*.go"`) || !strings.Contains(list[0], bo.session.Key.String()) {
		t.Fatalf("asked %q", list)
	}
	// A client that repeats no id is understood too.
	answer := `{"type":"peer_dir_response","requesterPubkey":"` + bo.session.Key.String() + `","dirPath":".","entries":["a.go"]}`
	cy.ask(answer)
	bo.wantHeard(`{"type":"peer_dir_response_forward","_reqId":7,"dirPath":".","entries":["a.go"]}`)
	if got, _ := cy.ask(answer); !strings.Contains(got, `"error":"not_found: `) {
		t.Errorf("got %s", got)
	}
}

func TestPeerFileHeedsGrants(t *testing.T) {
	for _, tt := range []struct {
		name   string
		grant  func(*rig, *peer)
		wanted string // how the refusal begins
	}{
		{"nobody may by default", func(*rig, *peer) {}, "forbidden: "},
		{"who is granted other things may not", func(r *rig, _ *peer) { r.allow("cy", "bo", store.CapDM, store.CapStateRead) }, "forbidden: "},
		{"who is granted file-read may", func(r *rig, _ *peer) { r.allow("cy", "bo", store.CapFileRead) }, ""},
		{"a session that is granted it may", func(r *rig, _ *peer) { r.allow("cy", "session of bo", store.CapFileRead) }, ""},
		{"a hidden session is nobody", func(_ *rig, cy *peer) { cy.ask(`{"type":"set_visible","visible":false}`) }, "peer_not_found: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			bo, cy := r.join("bo"), r.join("cy")
			tt.grant(r, cy)
			cy.heard()
			got := bo.readFile(cy.session.Key, "1")
			if tt.wanted == "" {
				wantText(t, got, "")
				cy.asked("filePath")
				return
			}
			if want := `{"type":"peer_file_response_forward","_reqId":1,"filePath":"a/b","error":"` + tt.wanted; !strings.HasPrefix(got, want) {
				t.Errorf("got %s", got)
			}
			cy.wantHeard()
		})
	}
}

// A member's sessions read one another's files, and each other's first.
func TestPeerFileOfOnesOwn(t *testing.T) {
	r := newRig(t)
	bo, sibling := r.join("bo"), r.join("bo", named("bo-2"))
	r.join("bo", control)
	wantText(t, bo.readFile(bo.member.Key, "1"), "")
	sibling.asked("filePath")
	bo.wantHeard()
	got := bo.readFile(keyOf("nobody"), "2")
	if !strings.HasPrefix(got, `{"type":"peer_file_response_forward","_reqId":2,"filePath":"a/b","error":"peer_not_found: target peer not connected`) {
		t.Errorf("got %s", got)
	}
}

// A session that only hears, over HTTP, is not asked.
func TestPeerFileIsNotAskedOfEventStreams(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("cy", "bo", store.CapFileRead)
	stream := r.join("cy", func(a *presence.Arrival) { a.Key, a.About.Channel = sdk.Key{}, ChannelEvents })
	wantText(t, bo.readFile(cy.member.Key, "1"), "")
	cy.asked("filePath")
	cy.leave()
	bo.heard()
	if got := bo.readFile(cy.member.Key, "2"); !strings.Contains(got, `"error":"peer_not_found: `) {
		t.Errorf("got %s", got)
	}
	stream.wantHeard()
}

// Only the session that was asked can answer, and only what it was asked.
func TestFlawExt18AnswersNeedAQuestion(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	r.allow("cy", "bo", store.CapFileRead)
	forged := func(id string) string {
		return `{"type":"peer_file_response","requesterPubkey":"` + bo.session.Key.String() + `","filePath":"a/b","content":"ZXZpbA==","_reqId":"` + id + `"}`
	}
	if got, _ := gil.ask(forged("r1")); !strings.Contains(got, "not_found") {
		t.Errorf("without a question: got %s", got)
	}
	bo.readFile(cy.session.Key, `"r1"`)
	id := cy.asked("_reqId")
	for _, guess := range []string{"r1", id} {
		if got, _ := gil.ask(forged(guess)); !strings.Contains(got, `"error":"not_found: `) {
			t.Errorf("got %s", got)
		}
	}
	if got, _ := cy.ask(`{"type":"peer_dir_response","requesterPubkey":"` + bo.session.Key.String() + `","dirPath":"a/b","entries":[],"_reqId":"` + id + `"}`); !strings.Contains(got, "not_found") {
		t.Errorf("of another kind: got %s", got)
	}
	bo.wantHeard()
	cy.ask(forged(id))
	if got := bo.heard(); len(got) != 1 {
		t.Errorf("the true answer: %q", got)
	}
}

func TestPeerFileEndsWithThePeer(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("cy", "bo", store.CapFileRead)
	bo.readFile(cy.session.Key, `"r1"`)
	r.reg.Gone(cy.session, cy.conn)
	bo.wantHeard(`{"type":"peer_file_response_forward","_reqId":"r1","filePath":"a/b","error":"peer_not_found: target peer not connected"}`)

	bo.readFile(cy.session.Key, `"r2"`)
	id := cy.asked("_reqId")
	cy.ask(`{"type":"peer_file_response","requesterPubkey":7,"_reqId":"` + id + `"}`)
	bo.wantHeard(`{"type":"peer_file_response_forward","_reqId":"r2","filePath":"a/b","error":"peer_answer: what the peer answered cannot be read, or is too long: ask it for less"}`)
}

func TestPeerQuestionsAreLimited(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("cy", "bo", store.CapFileRead)
	refused := ""
	for n := 0; n < 100 && refused == ""; n++ {
		refused = bo.readFile(cy.session.Key, quoted(strings.Repeat("x", n)))
	}
	if !strings.Contains(refused, `"error":"capacity: `) {
		t.Errorf("got %s", refused)
	}
	for range 200 {
		if refused = bo.readFile(cy.session.Key, `"y"`); strings.Contains(refused, "rate_limit") {
			return
		}
	}
	t.Errorf("got %s", refused)
}
