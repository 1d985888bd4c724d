package wire

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Head is what can be known of a frame before its type's struct is. Its fields
// are parts of the frame and live as long as the frame's buffer does; those of
// a wrong form are left nil.
type Head struct {
	Type        []byte         // without quotes; nil when there is none
	ID          jsontext.Value // raw JSON of id, at most MaxEcho bytes
	ReqID       jsontext.Value // raw JSON of _reqId, at most MaxEcho bytes
	Traceparent []byte         // W3C trace context, without quotes, not parsed; nil when there is none
}

// Peek finds the head of a frame in one pass and without allocating.
//
// It says little about the rest: a frame whose other fields are wrong has a
// good head, so that the refusal can be matched to its request. The error is a
// [*DecodeError], and comes with whatever was found: nothing after the place
// where a frame stops being JSON, everything when only the head's own fields
// are to blame. Where a name comes twice the first one counts; [Decode] refuses
// such a frame.
func Peek(frame []byte) (Head, error) {
	var h Head
	var first *DecodeError
	m := members{frame: frame}
	for m.next() {
		if err := h.take(m.name, &m); err != nil && first == nil {
			first = err
		}
	}
	if m.err != nil {
		first = m.err
	}
	if first != nil {
		return h, first
	}
	return h, nil
}

// PeekText returns the text of one member of a frame, as far as the frame makes
// sense; "" when there is none.
func PeekText(frame []byte, name string) string {
	m := members{frame: frame}
	for m.next() {
		if string(m.name) != name {
			continue
		}
		text, err := jsontext.AppendUnquote(nil, m.value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	return ""
}

// take keeps the current member if it belongs to the head.
func (h *Head) take(name []byte, m *members) (err *DecodeError) {
	switch string(name) {
	case "type":
		if h.Type == nil {
			h.Type, err = peekType(m)
		}
	case "id":
		if h.ID == nil {
			h.ID, err = peekEcho("id", m)
		}
	case "_reqId":
		if h.ReqID == nil {
			h.ReqID, err = peekEcho("_reqId", m)
		}
	case "traceparent":
		if text, ok := m.plain(); ok && len(text) <= MaxTrace {
			h.Traceparent = text
		}
	}
	return err
}

// peekType returns the text of the type, which only in unheard-of frames is
// written with escapes.
func peekType(m *members) ([]byte, *DecodeError) {
	if text, ok := m.plain(); ok {
		return text, nil
	}
	if m.value[0] != '"' {
		return nil, invalid("type", "want a string")
	}
	text, err := jsontext.AppendUnquote(nil, m.value)
	if err != nil {
		return nil, invalid("type", "want a string of valid Unicode")
	}
	return text, nil
}

// peekEcho returns a value that will be sent back and must therefore be short
// and good JSON by itself.
func peekEcho(name string, m *members) (jsontext.Value, *DecodeError) {
	value := jsontext.Value(m.value)
	if len(value) > MaxEcho {
		return nil, invalid(name, "at most 256 bytes of JSON")
	}
	if _, ok := m.plain(); ok || value.IsValid() {
		return value, nil
	}
	return nil, invalid(name, "want a JSON value")
}
