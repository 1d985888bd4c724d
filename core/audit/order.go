package audit

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// member is one "name":value of an object, as places in the text written.
type member struct {
	from, to int // of the whole member
	nameTo   int // where the name ends, closing quote included
}

// name returns the member's name in canonical text, without its quotes.
func (m member) name(text []byte) []byte { return text[m.from+1 : m.nameTo-1] }

// compareNames orders two names, in canonical text, by their UTF-16 code units.
// That differs from the order of bytes where a character above U+FFFF meets one
// from U+E000 to U+FFFF: the former is two units, which are smaller. Equal texts
// are equal names and the other way round.
func compareNames(a, b []byte) int {
	ua, ub := units{rest: a}, units{rest: b}
	for {
		x, moreA := ua.next()
		y, moreB := ub.next()
		switch {
		case !moreA && !moreB:
			return 0
		case !moreA:
			return -1
		case !moreB:
			return 1
		case x != y:
			return cmp.Compare(x, y)
		}
	}
}

// units walks the UTF-16 code units of canonical text.
type units struct {
	rest []byte
	low  rune // second half of a pair, not yet given out
}

// next returns one unit, or false at the end.
func (u *units) next() (rune, bool) {
	if u.low != 0 {
		unit := u.low
		u.low = 0
		return unit, true
	}
	if len(u.rest) == 0 {
		return 0, false
	}
	if u.rest[0] == '\\' {
		return u.escaped(), true
	}
	r, n := utf8.DecodeRune(u.rest)
	u.rest = u.rest[n:]
	if r < 0x10000 {
		return r, true
	}
	high, low := utf16.EncodeRune(r)
	u.low = low
	return high, true
}

// escaped reads one of the escapes that canonical text has.
func (u *units) escaped() rune {
	kind := u.rest[1]
	if kind == 'u' {
		unit, _ := fourDigits(u.rest[2:])
		u.rest = u.rest[6:]
		return unit
	}
	u.rest = u.rest[2:]
	return unescape(kind)
}

// sortMembers puts members in order, and rewrites with the help of spare the
// part of text that they fill, which starts at from. It returns the text, the
// spare buffer, and whether two members have one name.
func sortMembers(text, spare []byte, from int, members []member) (sorted, buffer []byte, twice bool) {
	slices.SortFunc(members, func(a, b member) int { return compareNames(a.name(text), b.name(text)) })
	for i := 1; i < len(members); i++ {
		if bytes.Equal(members[i-1].name(text), members[i].name(text)) {
			return text, spare, true
		}
	}
	spare = append(spare[:0], text[from:]...)
	text = text[:from]
	for i, m := range members {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, spare[m.from-from:m.to-from]...)
	}
	return text, spare, false
}
