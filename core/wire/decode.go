package wire

import (
	"bytes"
	"reflect"

	"github.com/go-json-experiment/json"

	"github.com/claudemesh/broker/sdk"
)

// Decode reads a frame into a new T. The result shares no memory with frame,
// whose buffer may be used again. Errors are [*DecodeError].
func Decode[T any](frame []byte) (*T, error) {
	v := new(T)
	if err := DecodeInto(frame, v); err != nil {
		return nil, err
	}
	return v, nil
}

// DecodeInto is [Decode] into a struct of the caller's, which is overwritten; v
// is a pointer to it. After an error its content is undefined.
//
// The texts of a message's body share one allocation, and so do its short ones,
// so that keeping an id does not keep the body.
func DecodeInto(frame []byte, v any) error {
	if decodeFast(frame, v) {
		return nil
	}
	if err := decodeStrict(frame, v); err != nil {
		return err
	}
	return nil
}

// decodeFast reads the frames that every message costs, when they are written
// as every known peer writes them. It reports false, never an error, for
// everything else: then decodeStrict reads the frame again from the start.
func decodeFast(frame []byte, v any) bool {
	switch v := v.(type) {
	case *Send:
		return decodeSend(frame, v)
	case *ClientAck:
		return decodeClientAck(frame, v)
	case *Ack:
		return decodeAck(frame, v)
	case *Push:
		return decodePush(frame, v)
	}
	return false
}

// holdsNUL reports whether a valid frame holds the character NUL, which JSON can
// only write as \u0000 and which PostgreSQL cannot store.
func holdsNUL(frame []byte) bool {
	for rest := frame; ; {
		i := bytes.Index(rest, []byte(`\u0000`))
		if i < 0 {
			return false
		}
		before := len(rest[:i]) - len(bytes.TrimRight(rest[:i], `\`))
		if before%2 == 0 {
			return true // else the backslash itself is escaped
		}
		rest = rest[i+1:]
	}
}

// decodeStrict reads any frame into any struct.
func decodeStrict(frame []byte, v any) *DecodeError {
	target := reflect.ValueOf(v).Elem()
	target.SetZero()
	if d, ok := v.(interface{ setDefaults() }); ok {
		d.setDefaults()
	}
	shape := shapeOf(target.Type())
	missing, err := shape.missing(frame)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(frame, v, readOptions); err != nil {
		return explain(err, frame, target.Type())
	}
	if holdsNUL(frame) {
		return &DecodeError{Code: sdk.ReasonInvalid, Message: `a text holds \u0000, which the broker does not store: leave it out`}
	}
	if missing != nil {
		err := invalid(missing.name, "is required: "+missing.want())
		err.Missing = true
		return err
	}
	return shape.check(target, "")
}
