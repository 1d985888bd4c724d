package audit

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// canonicalizer reads JSON text once and writes it in canonical form as it
// goes. Only an object whose names were out of order is touched a second time.
type canonicalizer struct {
	src []byte
	pos int // next byte to read

	dst     []byte
	members []member // of all objects still open, outermost first
	spare   []byte   // room for sortMembers
}

// fail names the place; it repeats none of the text, which may be private.
func (c *canonicalizer) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrJSON, what, c.pos)
}

// peek returns the next byte, or 0 at the end, which no token begins with.
func (c *canonicalizer) peek() byte {
	if c.pos < len(c.src) {
		return c.src[c.pos]
	}
	return 0
}

// space skips white space.
func (c *canonicalizer) space() {
	for c.pos < len(c.src) {
		switch c.src[c.pos] {
		case ' ', '\t', '\n', '\r':
			c.pos++
		default:
			return
		}
	}
}

// skip reads b, with space on both sides, and reports whether it was there.
func (c *canonicalizer) skip(b byte) bool {
	c.space()
	if c.peek() != b {
		return false
	}
	c.pos++
	c.space()
	return true
}

// value copies the value at pos, which lies in depth arrays and objects.
func (c *canonicalizer) value(depth int) error {
	if depth > maxDepth {
		return c.fail("too deep")
	}
	switch c.peek() {
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	case '"':
		return c.text()
	case 'n':
		return c.word("null")
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	default:
		return c.number()
	}
}

func (c *canonicalizer) word(w string) error {
	if len(c.src)-c.pos < len(w) || string(c.src[c.pos:c.pos+len(w)]) != w {
		return c.fail("no value")
	}
	c.pos += len(w)
	c.dst = append(c.dst, w...)
	return nil
}

func (c *canonicalizer) array(depth int) error {
	c.skip('[')
	c.dst = append(c.dst, '[')
	for n := 0; !c.skip(']'); n++ {
		if n > 0 {
			if !c.skip(',') {
				return c.fail("no comma or end of the array")
			}
			c.dst = append(c.dst, ',')
		}
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	c.dst = append(c.dst, ']')
	return nil
}

func (c *canonicalizer) object(depth int) error {
	c.skip('{')
	c.dst = append(c.dst, '{')
	first, from, ordered := len(c.members), len(c.dst), true
	for !c.skip('}') {
		if n := len(c.members); n > first {
			if !c.skip(',') {
				return c.fail("no comma or end of the object")
			}
			c.dst = append(c.dst, ',')
		}
		m, err := c.member(depth)
		if err != nil {
			return err
		}
		if n := len(c.members); n > first && ordered {
			ordered = compareNames(c.members[n-1].name(c.dst), m.name(c.dst)) < 0
		}
		c.members = append(c.members, m)
	}
	if !ordered {
		var twice bool
		c.dst, c.spare, twice = sortMembers(c.dst, c.spare, from, c.members[first:])
		if twice {
			return c.fail("one name twice")
		}
	}
	c.members = c.members[:first]
	c.dst = append(c.dst, '}')
	return nil
}

// member copies one name and value.
func (c *canonicalizer) member(depth int) (member, error) {
	m := member{from: len(c.dst)}
	if c.peek() != '"' {
		return m, c.fail("no name")
	}
	if err := c.text(); err != nil {
		return m, err
	}
	m.nameTo = len(c.dst)
	if !c.skip(':') {
		return m, c.fail("no colon")
	}
	c.dst = append(c.dst, ':')
	if err := c.value(depth + 1); err != nil {
		return m, err
	}
	m.to = len(c.dst)
	return m, nil
}

// text copies a string.
func (c *canonicalizer) text() error {
	c.pos++
	c.dst = append(c.dst, '"')
	for {
		from := c.pos
		for c.pos < len(c.src) && plain(c.src[c.pos]) {
			c.pos++
		}
		c.dst = append(c.dst, c.src[from:c.pos]...)
		switch b := c.peek(); {
		case b == '"':
			c.pos++
			c.dst = append(c.dst, '"')
			return nil
		case b == '\\':
			if err := c.escape(); err != nil {
				return err
			}
		case b < 0x20: // also the end of the text
			return c.fail("no end of the string")
		default:
			r, n := utf8.DecodeRune(c.src[c.pos:])
			if r == utf8.RuneError && n == 1 {
				return c.fail("not UTF-8")
			}
			c.dst = append(c.dst, c.src[c.pos:c.pos+n]...)
			c.pos += n
		}
	}
}

// escape copies one escape, or the two of a surrogate pair.
func (c *canonicalizer) escape() error {
	c.pos++
	kind := c.peek()
	c.pos++
	if kind != 'u' {
		r := unescape(kind)
		if r == 0 {
			return c.fail("no such escape")
		}
		c.dst = appendRune(c.dst, r)
		return nil
	}
	unit, ok := fourDigits(c.src[c.pos:])
	if !ok {
		return c.fail("no such escape")
	}
	c.pos += 4
	if !utf16.IsSurrogate(unit) {
		c.dst = appendRune(c.dst, unit)
		return nil
	}
	if rest := c.src[c.pos:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		low, ok := fourDigits(rest[2:])
		if r := utf16.DecodeRune(unit, low); ok && r != utf8.RuneError {
			c.pos += 6
			c.dst = utf8.AppendRune(c.dst, r)
			return nil
		}
	}
	c.dst = appendEscape(c.dst, unit)
	return nil
}

// unescape returns what a one-letter escape means, or 0 for a letter that is
// none.
func unescape(kind byte) rune {
	switch kind {
	case '"', '\\', '/':
		return rune(kind)
	case 'b':
		return '\b'
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'f':
		return '\f'
	case 'r':
		return '\r'
	}
	return 0
}

// fourDigits reads the four hex digits at the front of s, in either case.
func fourDigits(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var unit rune
	for _, b := range s[:4] {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(b)
	}
	return unit, true
}

// number copies a number.
func (c *canonicalizer) number() error {
	from := c.pos
	if c.peek() == '-' {
		c.pos++
	}
	first := c.peek()
	whole := c.digits()
	if whole == 0 || whole > 1 && first == '0' {
		return c.fail("no value")
	}
	short := whole <= 15 // exact as a double, so it prints as it is
	if c.peek() == '.' {
		short = false
		c.pos++
		if c.digits() == 0 {
			return c.fail("no digit after the point")
		}
	}
	if b := c.peek(); b == 'e' || b == 'E' {
		short = false
		c.pos++
		if b := c.peek(); b == '+' || b == '-' {
			c.pos++
		}
		if c.digits() == 0 {
			return c.fail("no digit in the exponent")
		}
	}
	token := c.src[from:c.pos]
	if short && first != '0' {
		c.dst = append(c.dst, token...)
		return nil
	}
	f, err := strconv.ParseFloat(string(token), 64)
	if err != nil || math.IsInf(f, 0) {
		return c.fail("number too large")
	}
	c.dst = appendNumber(c.dst, f)
	return nil
}

// digits skips decimal digits and counts them.
func (c *canonicalizer) digits() int {
	from := c.pos
	for c.pos < len(c.src) && '0' <= c.src[c.pos] && c.src[c.pos] <= '9' {
		c.pos++
	}
	return c.pos - from
}
