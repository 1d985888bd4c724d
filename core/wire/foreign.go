package wire

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// Foreign is a frame whose fields the broker did not make: the answer of a plugin
// that owns the kind of a request.
type Foreign struct {
	Type   string
	Fields jsontext.Value // an object with neither type nor _reqId
}

// FrameType returns the type that whoever made the frame gave it.
func (f Foreign) FrameType() string { return f.Type }

// appendFields implements fielder.
func (f Foreign) appendFields(dst []byte) []byte {
	inside := bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(f.Fields), []byte("{")), []byte("}")))
	if len(inside) == 0 {
		return dst
	}
	return append(append(dst, ','), inside...)
}

// With returns the frame with one more field, a text, behind the others.
func (f Foreign) With(name, text string) Foreign {
	b := f.appendFields([]byte("{"))
	if len(b) > 1 {
		b = append(append([]byte("{"), b[2:]...), ',') // the comma in front goes behind
	}
	b, _ = jsontext.AppendQuote(b, name) // fails for invalid UTF-8 alone, which it replaces
	b, _ = jsontext.AppendQuote(append(b, ':'), text)
	return Foreign{f.Type, append(b, '}')}
}

// ForeignRequest is a request that a plugin answers: the broker looks at the
// fields that a refusal needs and at no others.
type ForeignRequest struct {
	ServerName jsontext.Value `json:"server_name,omitzero" doc:"the service that it is about"`
}

// FrameType is not known: the type is the plugin's.
func (ForeignRequest) FrameType() string { return "" }

// Fields returns the fields of a request without those that are the broker's:
// type, _reqId and traceparent. The error is a [*DecodeError].
func Fields(frame []byte) (jsontext.Value, error) {
	if err := decodeStrict(frame, new(ForeignRequest)); err != nil {
		return nil, err
	}
	var all map[string]jsontext.Value
	err := json.Unmarshal(frame, &all)
	if err == nil {
		for _, ours := range []string{"type", "_reqId", "traceparent"} {
			delete(all, ours)
		}
		var b []byte
		if b, err = json.Marshal(all, json.Deterministic(true)); err == nil {
			return b, nil
		}
	}
	return nil, &DecodeError{Code: sdk.ReasonMalformed, Message: "not a frame"}
}
