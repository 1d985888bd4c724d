package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Names of events about tool servers.
const (
	EventMcpRegistered   = "mcp_registered"   // a session offers tools
	EventMcpUnregistered = "mcp_unregistered" // it does not any more
	EventMcpRestored     = "mcp_restored"     // a session that has offered tools is back
)

// McpRegister offers the tools of a server to the mesh. Its answer is an
// [McpRegisterAck]. A name belongs to the member that registers it; another session
// of that member may take it over. Errors: invalid; forbidden for the name of
// another member; capacity; rate_limit.
type McpRegister struct {
	ServerName  string    `json:"serverName" required:"true" max:"128" doc:"name of the server in the mesh, at least one byte"`
	Description string    `json:"description,omitempty" max:"4096" doc:"what it is for"`
	Tools       []McpTool `json:"tools" required:"true" max:"128" doc:"what it can do: each name once"`
	Persistent  bool      `json:"persistent,omitzero" doc:"the name stays when the session ends, and is offline until a session of the member registers it again, or the same one comes back"`
}

// FrameType returns mcp_register.
func (McpRegister) FrameType() string { return "mcp_register" }

// McpTool is one tool of a server.
type McpTool struct {
	Name        string         `json:"name" required:"true" max:"128" doc:"name of the tool, at least one byte"`
	Description string         `json:"description" max:"4096" doc:"what it does"`
	InputSchema jsontext.Value `json:"inputSchema,omitzero" max:"16384" doc:"JSON Schema of its arguments, an object"`
}

// McpRegisterAck answers an [McpRegister].
type McpRegisterAck struct {
	ServerName string `json:"serverName" doc:"as it was asked for"`
	ToolCount  int64  `json:"toolCount" doc:"how many tools others see"`
	Error      string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns mcp_register_ack.
func (McpRegisterAck) FrameType() string { return "mcp_register_ack" }

// McpUnregister takes a server back. Its member may, the owner of the mesh and its
// admins. There is no answer; a refusal is an ack with an error. A name that is not
// there is fine. Errors: forbidden.
type McpUnregister struct {
	ServerName string `json:"serverName" required:"true" max:"128" doc:"name of the server"`
}

// FrameType returns mcp_unregister.
func (McpUnregister) FrameType() string { return "mcp_unregister" }

// McpList asks for the servers that sessions offer. Its answer is an
// [McpListResult].
type McpList struct {
	Cursor string `json:"cursor,omitempty" max:"128" doc:"the next of an answer, to go on behind it"`
}

// FrameType returns mcp_list.
func (McpList) FrameType() string { return "mcp_list" }

// McpListResult answers an [McpList]. An answer with more than a megabyte of
// servers ends there, and next says where to go on.
type McpListResult struct {
	Servers []McpRow `json:"servers" doc:"by name, without those whose member does not accept messages from the asker"`
	Next    string   `json:"next,omitempty" doc:"there may be more: the cursor to ask with"`
	Error   string   `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns mcp_list_result.
func (McpListResult) FrameType() string { return "mcp_list_result" }

// McpRow is one server.
type McpRow struct {
	Name         string    `json:"name" doc:"name of the server"`
	Description  string    `json:"description" doc:"what it is for"`
	HostedBy     string    `json:"hostedBy" doc:"name, at that time, of the session that registered it"`
	Tools        []McpTool `json:"tools" doc:"what it can do"`
	Online       bool      `json:"online" doc:"it can be called now"`
	OfflineSince time.Time `json:"offlineSince,omitzero" doc:"since when it cannot, where that is known"`
	Persistent   bool      `json:"persistent" doc:"it outlives its session"`
}

// McpCall calls a tool. What comes back is an [McpCallResult]: from the session that
// offers it, or, within 28 s, from the broker, which says why there is none. A
// request that is repeated with its _reqId while it waits is not called twice, and
// answered where it was repeated.
type McpCall struct {
	ServerName string         `json:"serverName" required:"true" max:"128" doc:"name of the server"`
	ToolName   string         `json:"toolName" required:"true" max:"128" doc:"name of the tool"`
	Args       jsontext.Value `json:"args,omitzero" max:"131072" doc:"arguments, an object nested 28 levels at most; none are an empty one"`
}

// FrameType returns mcp_call.
func (McpCall) FrameType() string { return "mcp_call" }

// McpCallForward asks the session that offers a tool to run it. It answers with an
// [McpCallResponse].
type McpCallForward struct {
	CallID     string         `json:"callId" doc:"what the answer names"`
	ServerName string         `json:"serverName" doc:"name of the server"`
	ToolName   string         `json:"toolName" doc:"name of the tool"`
	Args       jsontext.Value `json:"args" doc:"arguments, an object"`
	CallerName string         `json:"callerName" doc:"name of the session that calls"`
}

// FrameType returns mcp_call_forward.
func (McpCallForward) FrameType() string { return "mcp_call_forward" }

// McpCallResponse answers an [McpCallForward], once. There is no answer to it; a
// refusal is an ack with an error, and then nothing was passed on: whoever called is
// told that the answer cannot be read. Errors: not_found for what this session was
// not asked, or not any more.
type McpCallResponse struct {
	CallID string         `json:"callId" required:"true" max:"64" doc:"of the call"`
	Result jsontext.Value `json:"result,omitzero" max:"2097152" doc:"any JSON, nested 28 levels at most"`
	Error  string         `json:"error,omitempty" max:"8192" doc:"why there is no result"`
}

// FrameType returns mcp_call_response.
func (McpCallResponse) FrameType() string { return "mcp_call_response" }

// McpCallResult answers an [McpCall].
type McpCallResult struct {
	Result jsontext.Value `json:"result,omitzero" doc:"what the tool returned"`
	Error  string         `json:"error,omitempty" doc:"why there is no result: the host's words, or the broker's"`
}

// FrameType returns mcp_call_result.
func (McpCallResult) FrameType() string { return "mcp_call_result" }

// McpEvent is the eventData of events about tool servers.
type McpEvent struct {
	ServerName  string   `json:"serverName" doc:"name of the server"`
	Description string   `json:"description,omitempty" doc:"what it is for, with mcp_registered only"`
	Tools       []string `json:"tools,omitzero" doc:"names of its tools, with mcp_registered only"`
	HostedBy    string   `json:"hostedBy" doc:"name of the session that offers it"`
	Offline     bool     `json:"offline,omitzero" doc:"with mcp_unregistered: it is persistent, and offline until it is back"`
}
