package feature

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// offer has a session register a server, and returns the answer.
func (p *peer) offer(server string, more string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"mcp_register","serverName":` + quoted(server) + `,"description":"d",` +
		`"tools":[{"name":"t","description":"does","inputSchema":{"type":"object"}}],"_reqId":"m"` + more + `}`)
	return answer
}

func (p *peer) mustOffer(server, more string) {
	p.rig.t.Helper()
	wantText(p.rig.t.(*testing.T), p.offer(server, more), `{"type":"mcp_register_ack","_reqId":"m","serverName":`+quoted(server)+`,"toolCount":1}`)
}

// servers returns the names of the servers that a peer sees, with a star for those
// that are online.
func (p *peer) servers() string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"mcp_list"}`)
	list, err := wire.Decode[wire.McpListResult]([]byte(answer))
	if err != nil || list.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	var names []string
	for _, s := range list.Servers {
		if s.Online {
			s.Name += "*"
		}
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

// use calls a tool, and returns the answer that comes at once.
func (p *peer) use(server, tool string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"mcp_call","serverName":` + quoted(server) + `,"toolName":` + quoted(tool) + `,"args":{"a":1},"_reqId":"c"}`)
	return answer
}

// leave ends a session as the broker does.
func (p *peer) leave() {
	p.rig.t.Helper()
	p.rig.dir.Leave(p.session, p.conn, false)
	p.rig.reg.Gone(p.session, p.conn)
	p.rig.End(p.session, 1000, "")
}

func TestMcpIsOfferedAndCalled(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.mustOffer("clock", "")
	bo.wantHeard()
	cy.wantHeard(`mcp_registered {"serverName":"clock","description":"d","tools":["t"],"hostedBy":"bo"}`)
	list, _ := cy.ask(`{"type":"mcp_list","_reqId":1}`)
	wantText(t, list, `{"type":"mcp_list_result","_reqId":1,"servers":[{"name":"clock","description":"d","hostedBy":"bo",`+
		`"tools":[{"name":"t","description":"does","inputSchema":{"type":"object"}}],"online":true,"persistent":false}]}`)

	wantText(t, cy.use("clock", "t"), "")
	list2 := bo.heard()
	if len(list2) != 1 || !strings.Contains(list2[0], `"serverName":"clock","toolName":"t","args":{"a":1},"callerName":"cy"`) {
		t.Fatalf("got %q", list2)
	}
	id := between(list2[0], `"callId":"`, `"`)
	bo.ask(`{"type":"mcp_call_response","callId":"` + id + `","result":{"now":[1]}}`)
	cy.wantHeard(`{"type":"mcp_call_result","_reqId":"c","result":{"now":[1]}}`)
	cy.use("clock", "t")
	bo.ask(`{"type":"mcp_call_response","callId":"` + bo.asked("callId") + `","error":"it is late"}`)
	cy.wantHeard(`{"type":"mcp_call_result","_reqId":"c","error":"it is late"}`)

	if got, _ := bo.ask(`{"type":"mcp_unregister","serverName":"clock"}`); got != "" {
		t.Errorf("got %s", got)
	}
	cy.wantHeard(`mcp_unregistered {"serverName":"clock","hostedBy":"bo"}`)
	wantText(t, cy.servers(), "")
	if got, _ := bo.ask(`{"type":"mcp_unregister","serverName":"clock"}`); got != "" {
		t.Errorf("again: got %s", got)
	}
}

func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

func TestMcpCallsThatFail(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.mustOffer("clock", `,"persistent":true`)
	cy.heard()
	for frame, want := range map[string]string{
		`"serverName":"none","toolName":"t"`:              `MCP server \"none\" not found in mesh`,
		`"serverName":"clock","toolName":"x"`:             `MCP server \"clock\" has no tool \"x\": list the servers`,
		`"serverName":"clock","toolName":"t","args":[1]`:  `invalid: args: want an object`,
		`"serverName":"clock","toolName":7`:               `invalid: toolName: `,
		`"serverName":"clock","toolName":"t","args":null`: ``,
	} {
		got, _ := cy.ask(`{"type":"mcp_call",` + frame + `,"_reqId":"c"}`)
		if want == "" {
			wantText(t, got, "")
			continue
		}
		if !strings.HasPrefix(got, `{"type":"mcp_call_result","_reqId":"c","error":"`+want) {
			t.Errorf("%s: got %s", frame, got)
		}
	}
	bo.leave()
	heard := cy.heard()
	if want := `{"type":"mcp_call_result","_reqId":"c","error":"MCP server \"clock\" host disconnected"}`; len(heard) == 0 || heard[0] != want {
		t.Errorf("got %q", heard)
	}
	if got := cy.use("clock", "t"); !strings.Contains(got, `"error":"Server 'clock' is offline — hosted by bo who disconnected 0s ago. It will restore when they reconnect."`) {
		t.Errorf("got %s", got)
	}
}

func TestFlawExt12ToolsAreForWhomTheirHostAllows(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("bo", "cy", store.CapStateRead)
	bo.mustOffer("clock", "")
	cy.wantHeard()
	wantText(t, cy.servers(), "")
	if got := cy.use("clock", "t"); !strings.Contains(got, "not found in mesh") {
		t.Errorf("got %s", got)
	}
	r.edit("cy", func(m *store.Member) { m.Permissions = store.Permissions{store.CanUseTools: false} })
	if got := cy.use("clock", "t"); !strings.Contains(got, `"error":"forbidden: `) {
		t.Errorf("got %s", got)
	}
	if got := cy.offer("x", ""); !strings.Contains(got, `"serverName":"x","toolCount":0,"error":"forbidden: `) {
		t.Errorf("got %s", got)
	}
}

// Who calls is told of an answer that cannot be read, and does not wait for another.
func TestMcpAnswersThatCannotBeRead(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	bo.mustOffer("clock", "")
	for _, more := range []string{`"error":{"a":1}`, `"result":{"a":1,"a":2}`, `"result":"\u0000"`, `"error":"` + strings.Repeat("x", 9000) + `"`} {
		cy.heard()
		cy.use("clock", "t")
		answer := `{"type":"mcp_call_response","callId":"` + bo.asked("callId") + `",` + more + `}`
		gil.ask(answer)
		cy.wantHeard() // it was not asked
		if got, _ := bo.ask(answer); !strings.HasPrefix(got, `{"type":"ack",`) {
			t.Errorf("%.40s: got %s", more, got)
		}
		cy.wantHeard(`{"type":"mcp_call_result","_reqId":"c","error":"peer_answer: what the peer answered cannot be read, or is too long: ask it for less"}`)
	}
}

// Only the session that was asked can answer a call.
func TestFlawExt15CallsAreAnsweredByTheirHost(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	sibling := r.join("bo", named("bo-2"))
	bo.mustOffer("clock", "")
	for _, p := range []*peer{cy, gil, sibling} {
		p.heard()
	}
	cy.use("clock", "t")
	id := bo.asked("callId")
	for _, p := range []*peer{gil, sibling, cy} {
		if got, _ := p.ask(`{"type":"mcp_call_response","callId":"` + id + `","result":"evil"}`); !strings.Contains(got, `"error":"not_found: `) {
			t.Errorf("%s: got %s", p.name, got)
		}
	}
	cy.wantHeard()
	bo.ask(`{"type":"mcp_call_response","callId":"` + id + `","result":"true"}`)
	cy.wantHeard(`{"type":"mcp_call_result","_reqId":"c","result":"true"}`)
}

// A name belongs to the member that has registered it.
func TestFlawExt16NamesHaveOwners(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	sibling := r.join("bo", named("bo-2"))
	bo.mustOffer("clock", "")
	if got := cy.offer("clock", ""); !strings.Contains(got, `"error":"forbidden: this name belongs to another member`) {
		t.Errorf("got %s", got)
	}
	if got, _ := cy.ask(`{"type":"mcp_unregister","serverName":"clock"}`); !strings.Contains(got, `"error":"forbidden: `) {
		t.Errorf("got %s", got)
	}
	cy.heard()
	sibling.mustOffer("clock", "") // of the same member: everybody is told
	cy.wantHeard(`mcp_registered {"serverName":"clock","description":"d","tools":["t"],"hostedBy":"bo-2"}`)
	bo.leave()
	wantText(t, cy.servers(), "clock*")
	sibling.leave()
	wantText(t, cy.servers(), "")
	cy.mustOffer("clock", "")
	if got, _ := gil.ask(`{"type":"mcp_unregister","serverName":"clock"}`); got != "" {
		t.Errorf("an admin: got %s", got)
	}
	wantText(t, cy.servers(), "")
}

// What is no list of tools is refused, and leaves nothing behind.
func TestFlawExt17ToolsAreChecked(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	long := fmt.Sprintf(`[{"name":"a","description":"","inputSchema":{"x":"%s"}},{"name":"b","description":"","inputSchema":{"x":"%[1]s"}},{"name":"c","description":"","inputSchema":{"x":"%[1]s"}}]`, strings.Repeat("y", 12<<10))
	for _, tools := range []string{
		"", `,"tools":null`, `,"tools":{}`, `,"tools":[1]`, `,"tools":[{}]`, `,"tools":[{"name":""}]`, `,"tools":[{"name":7}]`,
		`,"tools":[{"name":"a"},{"name":"a"}]`, `,"tools":[{"name":"a","inputSchema":[]}]`, `,"tools":` + long,
	} {
		got, _ := bo.ask(`{"type":"mcp_register","serverName":"clock"` + tools + `,"_reqId":"m"}`)
		if !strings.HasPrefix(got, `{"type":"mcp_register_ack","_reqId":"m",`) || !strings.Contains(got, `"error":"invalid: tools`) {
			t.Errorf("%.60s: got %s", tools, got)
		}
		wantText(t, cy.servers(), "")
	}
}

// What is persistent goes back to the session that has offered it, and to no other
// of its member.
func TestFlawExt61ServersReturnToTheirSession(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.mustOffer("clock", `,"persistent":true`)
	bo.mustOffer("fleeting", "")
	cy.heard()
	bo.leave()
	heard := strings.Join(cy.heard(), "\n")
	for _, want := range []string{
		`mcp_unregistered {"serverName":"clock","hostedBy":"bo","offline":true}`,
		`mcp_unregistered {"serverName":"fleeting","hostedBy":"bo"}`,
	} {
		if !strings.Contains(heard, want) {
			t.Errorf("got %s, want %s", heard, want)
		}
	}
	wantText(t, cy.servers(), "clock")
	if got := cy.offer("clock", ""); !strings.Contains(got, "forbidden") {
		t.Errorf("somebody else takes it: got %s", got)
	}

	command := r.join("bo", named("a command")) // of the same member
	r.reg.Arrived(context.Background(), r.dir.View(command.session))
	wantText(t, cy.servers(), "clock")
	cy.heard()

	r.settle()
	saved, err := r.store.State(t.Context(), r.mesh.ID, bo.member.ID, bo.session.Key)
	if err != nil || !saved.Kept.Serves {
		t.Fatalf("%+v, %v", saved, err)
	}
	back := r.join("bo", func(a *presence.Arrival) { a.Saved = saved })
	r.reg.Arrived(context.Background(), r.dir.View(back.session))
	wantText(t, cy.servers(), "clock*")
	cy.wantHeard(`mcp_restored {"serverName":"clock","hostedBy":"bo"}`)
	back.wantHeard(`mcp_restored {"serverName":"clock","hostedBy":"bo"}`)
	cy.use("clock", "t")
	back.asked("callId")
}

func TestMcpServersAreLimited(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for n := range serversPerMember {
		bo.mustOffer(fmt.Sprint("s", n), "")
	}
	if got := bo.offer("more", ""); !strings.Contains(got, `"error":"capacity: 20 tool servers are yours`) {
		t.Errorf("got %s", got)
	}
	refused := ""
	for n := 0; n < 2*registerBurst && refused == ""; n++ {
		if got := bo.offer("s1", ""); strings.Contains(got, "rate_limit: ") {
			refused = got
		}
	}
	if refused == "" {
		t.Error("registering again and again is not refused")
	}
}

func TestMcpListIsPaged(t *testing.T) {
	r := newRig(t)
	schema := fmt.Sprintf(`{"x":%q}`, strings.Repeat("y", 15<<10))
	tools := fmt.Sprintf(`[{"name":"a","description":"","inputSchema":%s},{"name":"b","description":"","inputSchema":%[1]s}]`, schema)
	for _, name := range []string{"ada", "gil", "bo"} {
		p := r.join(name)
		for n := range serversPerMember {
			p.ask(fmt.Sprintf(`{"type":"mcp_register","serverName":"%s%02d","tools":%s}`, name, n, tools))
		}
	}
	cy, seen, cursor := r.join("cy"), 0, ""
	for page := 0; page == 0 || cursor != ""; page++ {
		answer, _ := cy.ask(`{"type":"mcp_list","cursor":` + quoted(cursor) + `}`)
		list, err := wire.Decode[wire.McpListResult]([]byte(answer))
		if err != nil || len(answer) > answerBytes+64<<10 || page > 10 {
			t.Fatalf("page %d has %d bytes, error %v", page, len(answer), err)
		}
		seen, cursor = seen+len(list.Servers), list.Next
	}
	if seen != 3*serversPerMember {
		t.Errorf("saw %d servers", seen)
	}
}
