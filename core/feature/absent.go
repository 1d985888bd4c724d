package feature

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ReasonNotAvailable refuses a request that only a plugin can answer, and none
// does.
const ReasonNotAvailable sdk.Reason = "not_available"

// absent is a type of request that known clients send and that the broker has no
// handler for: a plugin may own it. What it needs and how it is refused holds
// whoever answers.
type absent struct {
	typ   string
	needs store.Permission // "" for what everybody may ask for
	lacks string           // what the broker does not do without its plugin
	from  string           // the plugin to install; empty: the broker comes with none

	// A refusal: its type, and its fields before the error. With a word it is an
	// error frame, which the oldest clients expect of these.
	reply, fields, word string
}

// absents lists them.
func absents() []absent {
	const (
		vectors, graphs, services = "keeps no vectors", "keeps no graph", "runs no programs of its members"
		status                    = `{"status":"failed"}`
	)
	return []absent{
		{typ: "vector_store", needs: store.CanWriteState, lacks: vectors, from: "vector", word: "vector_error"},
		{typ: "vector_search", lacks: vectors, from: "vector", reply: "vector_results", fields: `{"results":[]}`},
		{typ: "vector_delete", needs: store.CanWriteState, lacks: vectors, from: "vector", reply: "ack"},
		{typ: "list_collections", lacks: vectors, from: "vector", reply: "collection_list", fields: `{"collections":[]}`},
		{typ: "graph_query", needs: store.CanUseTools, lacks: graphs, from: "graph", word: "graph_error"},
		{typ: "graph_execute", needs: store.CanWriteState, lacks: graphs, from: "graph", word: "graph_error"},
		{typ: "mcp_deploy", needs: store.CanDeployMcp, lacks: services, reply: "mcp_deploy_status", fields: status},
		{typ: "mcp_undeploy", needs: store.CanDeployMcp, lacks: services, reply: "mcp_deploy_status", fields: status},
		{typ: "mcp_update", needs: store.CanDeployMcp, lacks: services, reply: "mcp_deploy_status", fields: status},
		{typ: "mcp_scope", needs: store.CanDeployMcp, lacks: services, reply: "mcp_scope_result", fields: `{"scope":{"type":"peer"},"deployed_by":""}`},
		{typ: "mcp_logs", needs: store.CanUseTools, lacks: services, reply: "mcp_logs_result", fields: `{"lines":[]}`},
		{typ: "mcp_schema", needs: store.CanUseTools, lacks: services, reply: "mcp_schema_result", fields: `{"tools":[]}`},
		{typ: "mcp_catalog", lacks: services, reply: "mcp_catalog_result", fields: `{"services":[]}`},
		{typ: "skill_deploy", needs: store.CanDeployMcp, lacks: services, reply: "skill_deploy_ack", fields: `{"name":"","files":[]}`},
	}
}

// absentOwners returns what the registry knows of them, by type.
func absentOwners() map[string]*Owner {
	owners := make(map[string]*Owner)
	for _, a := range absents() {
		owners[a.typ] = &Owner{
			Type: a.typ, needs: a.needs, open: true,
			decode: func(frame []byte) (any, error) { return wire.Decode[wire.ForeignRequest](frame) },
			refuse: a.refusal,
		}
	}
	return owners
}

// install says what an operator can do about a kind that nobody owns.
func install(kind string) string {
	list := absents()
	i := slices.IndexFunc(list, func(a absent) bool { return a.typ == kind })
	switch {
	case i < 0:
		return "no plugin of this broker answers " + kind
	case list[i].from == "":
		return "this broker " + list[i].lacks + ": its operator has to install a plugin that owns " + kind
	default:
		return "this broker " + list[i].lacks + ": its operator has to install the plugin " + list[i].from
	}
}

// refusal refuses a request in the shape that clients wait for.
func (a absent) refusal(c *Call, why sdk.Reason, text string) wire.Frame {
	switch {
	case a.word != "":
		return wire.Error{Code: sdk.Reason(a.word), Message: worded(why, text), ID: c.ID}
	case a.reply == "ack":
		return wire.Ack{ID: idOf(c), MessageID: unquoted(c.ID), Error: worded(why, text)}
	}
	f := wire.Foreign{Type: a.reply, Fields: jsontext.Value(a.fields)}
	if name := serverName(c); name != "" {
		f = f.With("server_name", name)
	}
	return f.With("error", worded(why, text))
}

// idOf is the id of what the request is about, which is that of its ack too.
func idOf(c *Call) jsontext.Value {
	if c.ID == nil {
		return jsonText("")
	}
	return c.ID
}

// unquoted returns what a JSON text says, and nothing for any other value.
func unquoted(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}

// serverName is the service that the request is about.
func serverName(c *Call) string {
	if m, ok := c.Request.(*wire.ForeignRequest); ok && m != nil {
		return unquoted(m.ServerName)
	}
	return ""
}
