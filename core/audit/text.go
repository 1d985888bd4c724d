package audit

import "unicode/utf8"

// hexDigits are those of escapes and hashes.
const hexDigits = "0123456789abcdef"

// plain reports whether b stands for itself inside a string: ASCII, no quote,
// no backslash, no control character. DEL is plain.
func plain(b byte) bool {
	return b >= 0x20 && b < utf8.RuneSelf && b != '"' && b != '\\'
}

// appendText appends s as a canonical JSON string. Bytes that are not UTF-8
// become U+FFFD, because an entry with a mark in it is better than no entry.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		if plain(s[i]) {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = appendRune(dst, r)
		i += n
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// appendRune appends one character of a string: raw, unless JSON wants it
// escaped. Nothing else is: not the solidus, not <, > and &, not U+2028.
func appendRune(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	if r < 0x20 {
		return appendEscape(dst, r)
	}
	return utf8.AppendRune(dst, r)
}

// appendEscape appends the four-digit escape of a code unit, in lower case.
func appendEscape(dst []byte, unit rune) []byte {
	return append(dst, '\\', 'u',
		hexDigits[unit>>12&15], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
}
