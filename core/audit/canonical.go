package audit

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrJSON is returned, wrapped, for text or values that have no canonical form.
var ErrJSON = errors.New("no canonical JSON")

// maxDepth is how deep arrays and objects may nest, the limit of the JSON
// library in front of us, so that whatever was decoded can be logged.
const maxDepth = 10_000

// Canonicalize returns the one text that stands for all JSON texts with the
// same value: no spaces, members sorted by the UTF-16 code units of their names,
// numbers as JavaScript prints their nearest double, and in strings only those
// escapes that JSON demands. A lone surrogate stays an escape, in lower case.
//
// It returns [ErrJSON] for text that is not one JSON value in UTF-8, for an
// object with one name twice, for a number too large for a double, and beyond
// 10,000 levels. The result shares no memory with jsonText.
func Canonicalize(jsonText []byte) ([]byte, error) {
	return appendCanonicalText(make([]byte, 0, len(jsonText)), jsonText)
}

// AppendCanonical appends the canonical text of v to dst. A [jsontext.Value] is
// taken as JSON text; anything else goes through the JSON library first, with
// its rules for structs, maps and byte slices. Errors are those of
// [Canonicalize], and [ErrJSON] for values that JSON cannot hold; dst is then
// returned as it was.
func AppendCanonical(dst []byte, v any) ([]byte, error) {
	text, ok := v.(jsontext.Value)
	if !ok {
		var err error
		if text, err = json.Marshal(v); err != nil {
			return dst, fmt.Errorf("%w: %w", ErrJSON, err)
		}
	}
	return appendCanonicalText(dst, text)
}

// appendCanonicalText appends the canonical form of one JSON text.
func appendCanonicalText(dst, text []byte) ([]byte, error) {
	c := canonicalizer{src: text, dst: dst, members: make([]member, 0, 8)}
	c.space()
	err := c.value(0)
	if c.space(); err == nil && c.pos < len(c.src) {
		err = c.fail("more text after the value")
	}
	if err != nil {
		return dst, err
	}
	return c.dst, nil
}
