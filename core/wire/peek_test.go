package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
)

// head is a Head as text.
type head struct{ Type, ID, ReqID, Traceparent string }

func textHead(h Head) head {
	return head{string(h.Type), string(h.ID), string(h.ReqID), string(h.Traceparent)}
}

func TestPeek(t *testing.T) {
	long := `"` + strings.Repeat("x", MaxEcho) + `"`
	tests := []struct {
		name  string
		frame string
		want  head
		code  sdk.Reason // empty when no error is wanted
		err   string     // part of the message
	}{
		{
			name:  "finds the head in any order",
			frame: `{"nonce":"a","_reqId":7,"id":"c1","type":"send","x":[{"type":"no"}]}`,
			want:  head{Type: "send", ID: `"c1"`, ReqID: "7"},
		},
		{
			name:  "takes any JSON as id and _reqId",
			frame: ` { "id" : {"a" : [1]} , "_reqId":null,"type":"send" } `,
			want:  head{Type: "send", ID: `{"a" : [1]}`, ReqID: "null"},
		},
		{
			name:  "does not care for the types of other fields",
			frame: `{"type":"set_status","status":[[{}]],"id":false,"pid":1.5}`,
			want:  head{Type: "set_status", ID: "false"},
		},
		{
			name:  "is not misled by quotes and brackets in texts",
			frame: `{"a":"\\\"}]","b":"\\","c":["]",{"}":"{\""}],"type":"send"}`,
			want:  head{Type: "send"},
		},
		{
			name:  "reads escaped names and types",
			frame: `{"t\u0079pe":"se\u006ed","\u005freqId":"r"}`,
			want:  head{Type: "send", ReqID: `"r"`},
		},
		{
			name:  "finds a trace context",
			frame: `{"type":"send","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}`,
			want:  head{Type: "send", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		},
		{
			name:  "passes over a trace context that is none",
			frame: `{"traceparent":["no"],"type":"send"}`,
			want:  head{Type: "send"},
		},
		{
			name:  "counts the first of two",
			frame: `{"type":"a","type":"b","id":1,"id":2}`,
			want:  head{Type: "a", ID: "1"},
		},
		{name: "accepts an empty object", frame: `{}`},
		{
			name:  "keeps the rest when the id is too long",
			frame: `{"id":` + long + `,"_reqId":"r","type":"send"}`,
			want:  head{Type: "send", ReqID: `"r"`}, code: sdk.ReasonInvalid, err: "id: at most 256 bytes",
		},
		{
			name:  "keeps the rest when the id is no JSON",
			frame: `{"id":{"a":1,"a":2},"type":"send"}`,
			want:  head{Type: "send"}, code: sdk.ReasonInvalid, err: "id: want a JSON value",
		},
		{
			name:  "would not send back what is no UTF-8",
			frame: "{\"_reqId\":\"\xff\",\"type\":\"send\"}",
			want:  head{Type: "send"}, code: sdk.ReasonInvalid, err: "_reqId: want a JSON value",
		},
		{
			name:  "refuses a type that is no text",
			frame: `{"type":5,"_reqId":"r"}`,
			want:  head{ReqID: `"r"`}, code: sdk.ReasonInvalid, err: "type: want a string",
		},
		{
			name:  "keeps what came before the frame broke off",
			frame: `{"type":"send","id":"c1","nonce":"abc`,
			want:  head{Type: "send", ID: `"c1"`}, code: sdk.ReasonMalformed, err: "not valid JSON at byte 34",
		},
		{name: "refuses an empty frame", code: sdk.ReasonMalformed, err: "empty frame"},
		{name: "refuses a list", frame: `[{"type":"send"}]`, code: sdk.ReasonMalformed, err: "want a JSON object"},
		{name: "refuses a number", frame: `12`, code: sdk.ReasonMalformed, err: "want a JSON object"},
		{
			name:  "refuses what follows the object",
			frame: `{"type":"send"} {}`,
			want:  head{Type: "send"}, code: sdk.ReasonMalformed, err: "not valid JSON at byte 16",
		},
		{
			name:  "refuses a trailing comma",
			frame: `{"type":"send",}`,
			want:  head{Type: "send"}, code: sdk.ReasonMalformed, err: "not valid JSON",
		},
		{name: "refuses a missing value", frame: `{"type":}`, code: sdk.ReasonMalformed, err: "not valid JSON"},
		{name: "refuses a text that ends in a backslash", frame: `{"type":"\`, code: sdk.ReasonMalformed, err: "not valid JSON"},
		{
			name:  "accepts the deepest nesting allowed",
			frame: `{"type":"a","x":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
			want:  head{Type: "a"},
		},
		{
			name:  "refuses deeper nesting",
			frame: `{"type":"a","x":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`,
			want:  head{Type: "a"}, code: sdk.ReasonMalformed, err: "nested too deep",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := Peek([]byte(tt.frame))
			if diff := cmp.Diff(tt.want, textHead(h)); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
			checkError(t, err, tt.code, tt.err)
		})
	}
}

// checkError wants a DecodeError with a code and a part of its message, or no
// error for an empty code.
func checkError(t *testing.T, err error, code sdk.Reason, part string) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("got error %q, want none", err)
		}
		return
	}
	got, ok := errors.AsType[*DecodeError](err)
	if !ok {
		t.Fatalf("got error %v, want a DecodeError", err)
	}
	if got.Code != code || !strings.Contains(got.Message, part) {
		t.Errorf("got %s %q, want %s %q", got.Code, got.Message, code, part)
	}
}

func TestPeekText(t *testing.T) {
	for frame, want := range map[string]string{
		`{"type":"a","callId":"x"}`:                          "x",
		`{"callId":"\u0041","result":` + "\xff}":             "A",
		`{"callId":"x","a":` + strings.Repeat("[", MaxDepth): "x",
		`{"a":{"callId":"x"}}`:                               "",
		`{"callId":7}`:                                       "",
		`{"callId":"\ud800"}`:                                "",
		`[]`:                                                 "",
		`{"callId":"`:                                        "",
	} {
		if got := PeekText([]byte(frame), "callId"); got != want {
			t.Errorf("%s: got %q, want %q", frame, got, want)
		}
	}
}

func TestPeekAllocatesNothing(t *testing.T) {
	frame := sendFrame(512)
	got := testing.AllocsPerRun(100, func() {
		if _, err := Peek(frame); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
