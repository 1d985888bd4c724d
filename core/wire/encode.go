package wire

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Frame is a struct that knows its type on the wire.
type Frame interface {
	// FrameType returns what stands in "type".
	FrameType() string
}

// Append appends the frame of v to dst. The error means that v holds something
// that JSON cannot say, such as a raw value that is none; dst then comes back as
// it was.
func Append(dst []byte, v Frame) ([]byte, error) {
	return AppendReply(dst, v, nil)
}

// AppendReply is [Append] with the _reqId of the request that v answers, raw;
// nil adds none. A request is written in the same way, to be answered.
func AppendReply(dst []byte, v Frame, reqID jsontext.Value) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"type":"`...)
	dst = append(dst, v.FrameType()...)
	dst = append(dst, '"')
	if len(reqID) > 0 {
		dst = append(dst, `,"_reqId":`...)
		dst = append(dst, reqID...)
	}
	dst, err := appendFields(dst, v)
	if err != nil {
		return dst[:start], err
	}
	return append(dst, '}'), nil
}

// appendFields appends the fields of a frame that has its type already.
func appendFields(dst []byte, v Frame) ([]byte, error) {
	switch v := v.(type) {
	case fielder:
		return v.appendFields(dst), nil
	case *Event:
		return v.appendFields(dst)
	default:
		return appendMembers(dst, v)
	}
}

// fielder is a frame that writes its own fields, each behind a comma, and cannot
// fail.
type fielder interface{ appendFields(dst []byte) []byte }

// appendMembers appends the members of v's object behind a comma.
func appendMembers(dst []byte, v any) ([]byte, error) {
	start := len(dst)
	dst, err := appendJSON(dst, v)
	if err != nil {
		return dst, err
	}
	dst[start] = ',' // was the opening brace
	if len(dst) == start+len("{}") {
		return dst[:start], nil
	}
	return dst[:len(dst)-1], nil
}

// appendJSON appends the JSON of any value.
func appendJSON(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	err := json.MarshalWrite(buf, v, writeOptions)
	return buf.Bytes(), err
}
