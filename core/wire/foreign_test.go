package wire

import (
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestForeign(t *testing.T) {
	tests := []struct {
		name, fields, reqID, want string
	}{
		{"it puts the type and the _reqId first", `{"id":"7","n":[1]}`, `"r"`, `{"type":"kept","_reqId":"r","id":"7","n":[1]}`},
		{"it may have no fields", ` { } `, "", `{"type":"kept"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendReply(nil, Foreign{"kept", jsontext.Value(tt.fields)}, jsontext.Value(tt.reqID))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
	for fields, want := range map[string]string{
		`{"id":""}`: `{"type":"kept","id":"","error":"no \"room\""}`,
		`{}`:        `{"type":"kept","error":"no \"room\""}`,
	} {
		got, err := Append(nil, Foreign{"kept", jsontext.Value(fields)}.With("error", `no "room"`))
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func TestFields(t *testing.T) {
	tests := []struct {
		name, frame, want string // the fields, or the code of the error
	}{
		{"it leaves out what is the broker's", `{"type":"t","_reqId":{"a":1},"traceparent":"x","id":"7","b":{"type":"inner"}}`, `{"b":{"type":"inner"},"id":"7"}`},
		{"it may have none", `{"type":"t"}`, `{}`},
		{"it refuses a name that comes twice", `{"type":"t","a":1,"a":2}`, "malformed"},
		{"it refuses what cannot be stored", `{"type":"t","a":"\u0000"}`, "invalid"},
		{"it refuses what is no object", `[]`, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Fields([]byte(tt.frame))
			text := string(got)
			if refused := new(DecodeError); errors.As(err, &refused) {
				text = string(refused.Code)
			}
			if text != tt.want {
				t.Errorf("got %s (%v), want %s", text, err, tt.want)
			}
		})
	}
}

// Whatever comes, the fields are an object without the broker's names.
func TestFieldsAreAnObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := rapid.OneOf(rapid.String(), rapid.StringMatching(`\{("(type|_reqId|a|b)":("x"|1|\{\}|\[\{\}\]|null),){0,3}"z":1\}`)).Draw(t, "frame")
		got, err := Fields([]byte(frame))
		if err == nil && (!got.IsValid() || got.Kind() != '{') {
			t.Fatalf("%q: %s", frame, got)
		}
	})
}
