package feature

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// What waits for an answer does not keep the question, which may be long.
func TestWaitingKeepsNoQuestion(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	args := weakly(t, func(args *wire.McpCallForward) {
		call := &Call{Env: &sdk.Envelope{Mesh: r.mesh.ID}, Session: bo.session, Peer: bo.conn}
		err := pass(r.relay, call, question{
			to: cy.session.ID, kind: askTool, within: time.Minute,
			frame:  func(string) wire.Frame { return *args },
			failed: func(sdk.Reason, string) wire.Frame { return wire.McpCallResult{} },
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	cy.asked("toolName")
	runtime.GC()
	if args.Value() != nil {
		t.Error("it is still there")
	}
	runtime.KeepAlive(r)
}

// weakly lets f use a frame that nobody else holds, and returns it as it is then.
func weakly(t *testing.T, f func(*wire.McpCallForward)) weak.Pointer[wire.McpCallForward] {
	t.Helper()
	frame := &wire.McpCallForward{ToolName: "t", Args: jsontext.Value(`{}`)}
	f(frame)
	return weak.Make(frame)
}

// Whatever stands in the fields of a request, it is answered in its own shape, in
// an ack, or not at all, and never takes the peers or their lists along.
func TestRequestsOfAnyForm(t *testing.T) {
	shapes := map[string]string{
		"create_stream": "stream_created", "subscribe": "subscribed", "unsubscribe": "ack", "publish": "ack", "list_streams": "stream_list",
		"peer_file_request": "peer_file_response_forward", "peer_dir_request": "peer_dir_response_forward",
		"peer_file_response": "ack", "peer_dir_response": "ack",
		"mcp_register": "mcp_register_ack", "mcp_unregister": "ack", "mcp_list": "mcp_list_result", "mcp_call": "mcp_call_result",
		"mcp_call_response": "ack",
	}
	types := slices.Sorted(maps.Keys(shapes))
	fields := []string{
		"name", "stream", "data", "targetPubkey", "filePath", "dirPath", "pattern", "requesterPubkey", "content", "entries", "error",
		"serverName", "description", "tools", "persistent", "cursor", "toolName", "args", "callId", "result",
	}
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.allow("cy", "bo", store.CapFileRead)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom([]string{"s", " s", "", "a/b"}), rapid.StringN(0, 40, 200))
		value := rapid.OneOf(
			rapid.Custom(drawJSON),
			rapid.Map(text, quoted),
			rapid.SampledFrom([]string{`[{"name":"t","description":"d","inputSchema":{}}]`, `[{"name":"t"},{"name":"t"}]`, quoted(cy.session.Key.String())}),
		)
		for range rapid.IntRange(1, 12).Draw(rt, "requests") {
			typ := rapid.SampledFrom(types).Draw(rt, "type")
			frame := `{"type":"` + typ + `","_reqId":"r"`
			for _, f := range fields {
				if rapid.Bool().Draw(rt, f+" is there") {
					frame += `,"` + f + `":` + value.Draw(rt, f)
				}
			}
			frame += "}"
			if _, err := wire.Peek([]byte(frame)); err != nil {
				continue // no frame
			}
			answer, _ := bo.ask(frame)
			if answer != "" && !strings.HasPrefix(answer, `{"type":"`+shapes[typ]+`",`) {
				rt.Fatalf("%s: got %s", frame, answer)
			}
		}
		for frame, want := range map[string]string{
			`{"type":"mcp_list"}`: `{"type":"mcp_list_result","servers":[`, `{"type":"list_streams"}`: `{"type":"stream_list","streams":[`,
			`{"type":"mesh_info"}`: `{"type":"mesh_info_result",`,
		} {
			if got, _ := cy.ask(frame); !strings.HasPrefix(got, want) || strings.Contains(got, `"error"`) {
				rt.Fatalf("%s: got %s", frame, got)
			}
		}
	})
}
