package feature

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/wire"
)

// What nobody owns is refused in the shape that clients wait for, with what to
// install.
func TestAbsentTypes(t *testing.T) {
	const (
		vector = `not_available: this broker keeps no vectors: its operator has to install the plugin vector`
		graph  = `not_available: this broker keeps no graph: its operator has to install the plugin graph`
		runner = `not_available: this broker runs no programs of its members: its operator has to install a plugin that owns `
	)
	tests := []struct{ name, frame, want string }{
		{"vector_store", `{"type":"vector_store","_reqId":"r"}`, `{"type":"error","_reqId":"r","code":"vector_error","message":"` + vector + `"}`},
		{"vector_search", `{"type":"vector_search","_reqId":"r"}`, `{"type":"vector_results","_reqId":"r","results":[],"error":"` + vector + `"}`},
		{"vector_delete", `{"type":"vector_delete","id":"v1"}`, `{"type":"ack","id":"v1","messageId":"v1","queued":false,"error":"` + vector + `"}`},
		{"list_collections", `{"type":"list_collections"}`, `{"type":"collection_list","collections":[],"error":"` + vector + `"}`},
		{"graph_query", `{"type":"graph_query","cypher":"RETURN 1"}`, `{"type":"error","code":"graph_error","message":"` + graph + `"}`},
		{"graph_execute", `{"type":"graph_execute","cypher":1}`, `{"type":"error","code":"graph_error","message":"` + graph + `"}`},
		{"mcp_logs", `{"type":"mcp_logs","server_name":"s"}`, `{"type":"mcp_logs_result","lines":[],"server_name":"s","error":"` + runner + `mcp_logs"}`},
		{"mcp_schema", `{"type":"mcp_schema","server_name":7}`, `{"type":"mcp_schema_result","tools":[],"error":"` + runner + `mcp_schema"}`},
		{"mcp_catalog", `{"type":"mcp_catalog"}`, `{"type":"mcp_catalog_result","services":[],"error":"` + runner + `mcp_catalog"}`},
	}
	p := newParty(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := p.gil.ask(tt.frame)
			wantText(t, got, tt.want)
			wantList(t, "records", recorded(records), nil)
		})
	}
}

// The broker runs no programs of members, so none of the flaws of running them is
// there: whoever may deploy is told that a plugin would have to do it. Nothing is
// stored, said to be done, or told to anybody.

func TestFlawExt10NothingIsRun(t *testing.T)         { testNoPrograms(t, "mcp_deploy") }
func TestFlawExt11NoProgramIsTakenOver(t *testing.T) { testNoPrograms(t, "mcp_deploy", "mcp_undeploy") }
func TestFlawExt13NothingIsRescoped(t *testing.T) {
	testNoPrograms(t, "mcp_scope", "mcp_undeploy", "mcp_deploy")
}
func TestFlawExt14SecretsStopNothing(t *testing.T) { testNoPrograms(t, "mcp_deploy") }
func TestFlawExt49NothingLooksLikeSuccess(t *testing.T) {
	testNoPrograms(t, "mcp_undeploy", "mcp_update", "skill_deploy")
}
func TestFlawExt62NothingIsBuildingForEver(t *testing.T) { testNoPrograms(t, "mcp_deploy") }

// A member without the permission learns that first.
func TestFlawExt10DeployingNeedsAPermission(t *testing.T) {
	p := newParty(t)
	for _, typ := range []string{"mcp_deploy", "mcp_undeploy", "mcp_update", "mcp_scope", "skill_deploy"} {
		got, _ := p.bo.ask(`{"type":"` + typ + `","server_name":"s"}`)
		if !strings.Contains(got, `"error":"forbidden: you do not have the permission canDeployMcp`) {
			t.Errorf("%s: %s", typ, got)
		}
	}
}

func testNoPrograms(t *testing.T, types ...string) {
	t.Helper()
	const none = `this broker runs no programs of its members: its operator has to install a plugin that owns `
	p := newParty(t)
	shapes := map[string]string{
		"mcp_deploy":   `{"type":"mcp_deploy_status","_reqId":"r","status":"failed","server_name":"s","error":"`,
		"mcp_undeploy": `{"type":"mcp_deploy_status","_reqId":"r","status":"failed","server_name":"s","error":"`,
		"mcp_update":   `{"type":"mcp_deploy_status","_reqId":"r","status":"failed","server_name":"s","error":"`,
		"mcp_scope":    `{"type":"mcp_scope_result","_reqId":"r","scope":{"type":"peer"},"deployed_by":"","server_name":"s","error":"`,
		"skill_deploy": `{"type":"skill_deploy_ack","_reqId":"r","name":"","files":[],"server_name":"s","error":"`,
	}
	for _, typ := range types {
		frame := `{"type":"` + typ + `","_reqId":"r","server_name":"s","source":{"type":"npx","package":"evil"},"config":{"env":{"A":"b"}}}`
		got, records := p.gil.ask(frame) // the owner of the mesh
		wantText(t, got, shapes[typ]+`not_available: `+none+typ+`"}`)
		wantList(t, "records", recorded(records), nil)
	}
}

// Every frame of such a type has an answer that repeats its _reqId.
func TestAbsentTypesOfAnyForm(t *testing.T) {
	p := newParty(t)
	types := absents()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(types).Draw(t, "type")
		fields := rapid.StringMatching(`(,"(a|id|server_name|limit|collection)":(1|"x"|null|\[\]|\{"b":\{\}\}))?`).Draw(t, "fields")
		owner := p.reg.Owner(a.typ)
		call, refused := p.bo.call(owner, `{"type":"`+a.typ+`","_reqId":7`+fields+`}`)
		if refused == nil {
			refused = p.bo.decide(p.reg, owner, call)
		}
		b, err := wire.AppendReply(nil, refused, call.ReqID)
		head, bad := wire.Peek(b)
		if err != nil || bad != nil || string(head.ReqID) != "7" {
			t.Fatalf("%s, %v, %v", b, err, bad)
		}
	})
}
