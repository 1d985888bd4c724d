package supervise

import (
	"strings"
	"unicode/utf8"
)

// head returns the first n bytes of a text, less a character that does not fit,
// in memory of its own: the whole may be far longer.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n])
}

// tail returns the last n bytes of a text, from the beginning of a line where
// there is one, and else of a character.
func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	at := strings.IndexByte(text, '\n') + 1
	if at == 0 || at == len(text) {
		for at = 0; at < len(text) && !utf8.RuneStart(text[at]); at++ {
		}
	}
	return strings.Clone(text[at:])
}
