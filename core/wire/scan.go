package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// members walks over the top-level members of a frame, without allocating.
//
// It reads the structure of the top level strictly and jumps over values: a
// nested value may still turn out to be no JSON. After next returned false,
// err says whether the frame ended as it should.
type members struct {
	frame []byte
	pos   int

	name    []byte // decoded; valid until the next call
	value   []byte // raw, a part of frame
	escaped bool   // the name was written with escapes

	started bool
	err     *DecodeError
}

// next moves to the next member and reports whether there is one.
func (m *members) next() bool {
	if !m.separator() {
		return false
	}
	if !m.readName() {
		return m.fail()
	}
	m.space()
	if !m.take(':') {
		return m.fail()
	}
	m.space()
	start := m.pos
	if !m.skipValue() {
		return m.fail()
	}
	m.value = m.frame[start:m.pos]
	return true
}

// separator consumes what stands before a member, and reports false at the end
// of the frame or of its sense.
func (m *members) separator() bool {
	m.space()
	if !m.started {
		m.started = true
		if !m.take('{') {
			m.err = notObject(m.frame)
			return false
		}
		m.space()
		if m.take('}') {
			return m.end()
		}
		return true
	}
	if m.take('}') {
		return m.end()
	}
	if !m.take(',') {
		return m.fail()
	}
	m.space()
	return true
}

// end allows nothing but space after the closing brace. It always returns
// false: there is no further member.
func (m *members) end() bool {
	m.space()
	if m.pos < len(m.frame) {
		m.fail()
	}
	return false
}

// fail notes where the frame stopped making sense, unless the reason is known.
func (m *members) fail() bool {
	if m.err == nil {
		m.err = notJSON(m.pos)
	}
	return false
}

// readName reads a name. Names are short, so looking at each byte is cheaper
// than skipString.
func (m *members) readName() bool {
	if !m.take('"') {
		return false
	}
	start := m.pos
	n := bytes.IndexByte(m.frame[start:], '"')
	if n < 0 {
		return false
	}
	m.name, m.escaped = m.frame[start:start+n], false
	if bytes.IndexByte(m.name, '\\') >= 0 {
		m.pos = start - 1
		return m.readEscapedName()
	}
	m.pos = start + n + 1
	return true
}

func (m *members) readEscapedName() bool {
	start := m.pos
	if !m.skipString() {
		return false
	}
	name, err := jsontext.AppendUnquote(nil, m.frame[start:m.pos])
	m.name, m.escaped = name, true
	return err == nil
}

// plain returns the text between the quotes when the value is a string that
// stands for itself: printable ASCII without escapes.
func (m *members) plain() ([]byte, bool) {
	if len(m.value) < 2 || m.value[0] != '"' {
		return nil, false
	}
	text := m.value[1 : len(m.value)-1]
	return text, isPlain(text)
}

// skipValue jumps over one value of any type.
func (m *members) skipValue() bool {
	if m.pos >= len(m.frame) {
		return false
	}
	switch m.frame[m.pos] {
	case '"':
		return m.skipString()
	case '{', '[':
		return m.skipNested()
	default:
		return m.skipScalar()
	}
}

// skipString jumps over a string.
func (m *members) skipString() bool {
	if !m.take('"') {
		return false
	}
	for m.pos <= len(m.frame) {
		n := bytes.IndexByte(m.frame[m.pos:], '"')
		if n < 0 {
			return false
		}
		escape := bytes.IndexByte(m.frame[m.pos:m.pos+n], '\\')
		if escape < 0 {
			m.pos += n + 1
			return true
		}
		m.pos += escape + 2 // whatever is escaped cannot end the string
	}
	return false
}

// skipNested jumps over an object or a list by counting brackets outside of
// strings.
func (m *members) skipNested() bool {
	depth := 1 // the frame's own object
	for m.pos < len(m.frame) {
		switch m.frame[m.pos] {
		case '"':
			if !m.skipString() {
				return false
			}
			continue
		case '{', '[':
			if depth++; depth > MaxDepth {
				m.err = tooDeep()
				return false
			}
		case '}', ']':
			if depth--; depth == 1 {
				m.pos++
				return true
			}
		}
		m.pos++
	}
	return false
}

// skipScalar jumps over a number or a literal.
func (m *members) skipScalar() bool {
	start := m.pos
	for m.pos < len(m.frame) && isScalar(m.frame[m.pos]) {
		m.pos++
	}
	return m.pos > start
}

// isScalar reports whether c can be a part of a number or a literal.
func isScalar(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

func (m *members) space() {
	for m.pos < len(m.frame) {
		switch m.frame[m.pos] {
		case ' ', '\n', '\r', '\t':
			m.pos++
		default:
			return
		}
	}
}

func (m *members) take(c byte) bool {
	if m.pos < len(m.frame) && m.frame[m.pos] == c {
		m.pos++
		return true
	}
	return false
}
