package store

import (
	"strings"
	"unicode"
)

// Words returns the words of a text in lower case, with a space between them:
// runs of letters and digits, with the accents on them. So a path or a name with
// dots has its parts for words. Engines stem what it returns, and find nothing in
// it that means more than a word.
func Words(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), separates), " ")
}

func separates(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.M) }
