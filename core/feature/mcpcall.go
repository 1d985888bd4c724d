package feature

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// callWithin is how long a tool may take. Clients wait for 30 s, and hear of it
// before that.
const callWithin = 28 * time.Second

const askTool = "mcp"

// call passes a call to the session that offers the tool. What is wrong is said
// in the answer, in the original's words where it has some.
func (s *mcpServers) call(ctx context.Context, c *Call, m *wire.McpCall) error {
	args := m.Args
	switch {
	case args == nil || args.Kind() == jsontext.KindNull:
		args = jsontext.Value("{}")
	case args.Kind() != jsontext.KindBeginObject:
		return core.Refuse(sdk.ReasonInvalid, "args: want an object")
	}
	row, err := s.callable(ctx, c, m)
	if err != nil {
		return err
	}
	server := row.Name
	forward := wire.McpCallForward{
		ServerName: server, ToolName: m.ToolName, Args: args.Clone(), CallerName: c.Env.Sender.Name,
	}
	return pass(s.relay, c, question{
		to: row.PresenceID, kind: askTool, hint: server + "\n" + m.ToolName, within: callWithin,
		frame: func(id string) wire.Frame {
			forward.CallID = id
			return forward
		},
		failed: func(why sdk.Reason, text string) wire.Frame {
			return wire.McpCallResult{Error: callFailed(server, why, text)}
		},
	})
}

// callFailed says why a call has no result.
func callFailed(server string, why sdk.Reason, text string) string {
	switch why {
	case ReasonPeerNotFound:
		return fmt.Sprintf("MCP server %q host disconnected", server)
	case ReasonPeerTimeout:
		return fmt.Sprintf("MCP call timed out (%ds)", int(callWithin.Seconds()))
	default:
		return worded(why, text)
	}
}

// refusedMcpCall refuses a call in the shape of its answer.
func refusedMcpCall(_ *Call, why sdk.Reason, text string) wire.Frame {
	if why == ReasonMcpCall {
		return wire.McpCallResult{Error: text}
	}
	return wire.McpCallResult{Error: worded(why, text)}
}

// refusedCall is a refusal whose text is the whole error.
func refusedCall(text string) error { return core.Refuse(ReasonMcpCall, text) }

// ReasonMcpCall stands for what is wrong with a call, in the words of the original.
const ReasonMcpCall sdk.Reason = "mcp_call"

// callable returns the server that a call means.
func (s *mcpServers) callable(ctx context.Context, c *Call, m *wire.McpCall) (*store.McpServer, error) {
	unknown := refusedCall(fmt.Sprintf("MCP server %q not found in mesh", m.ServerName))
	row, err := s.store.McpServer(ctx, c.Env.Mesh, m.ServerName)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, unknown
	case err != nil:
		return nil, core.Unavailable(err)
	}
	shown, err := s.shown(ctx, c, row)
	if err != nil {
		return nil, err
	}
	if !shown {
		return nil, unknown
	}
	if online, since := s.online(row); !online {
		return nil, refusedCall(fmt.Sprintf("Server '%s' is offline — hosted by %s who disconnected %s. It will restore when they reconnect.",
			row.Name, row.Host, ago(time.Since(since), since.IsZero())))
	}
	if !hasTool(row, m.ToolName) {
		return nil, refusedCall(fmt.Sprintf("MCP server %q has no tool %q: list the servers", row.Name, m.ToolName))
	}
	return row, nil
}

// ago names a time that has passed, as the original does.
func ago(d time.Duration, unknown bool) string {
	switch {
	case unknown:
		return "before the broker was started"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
}

// refusedAnswer refuses an answer.
func (s *mcpServers) refusedAnswer(c *Call, why sdk.Reason, text string) wire.Frame {
	if m, _ := c.Request.(*wire.McpCallResponse); m == nil {
		spoil(s.relay, c, why, wire.PeekText(c.Body, "callId"))
	}
	return refusedPresence(c, why, text)
}

// answer passes the answer of a host on to whoever called.
func (s *mcpServers) answer(_ context.Context, c *Call, m *wire.McpCallResponse) (Silent, error) {
	if m.CallID == "" {
		return Silent{}, core.Refuse(sdk.ReasonInvalid, "callId: want the id of the call")
	}
	return Silent{}, answered(s.relay, c, askTool, m.CallID, "", wire.McpCallResult{Result: m.Result, Error: m.Error})
}
