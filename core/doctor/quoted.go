package doctor

import (
	"fmt"
	"strings"
	"unicode"
)

// quoted is a path as it is typed into a shell. What does not print is written
// as bytes, in the quotes with a dollar that bash, zsh and newer POSIX shells know.
func quoted(path string) string {
	plain, printing := path != "", true
	for _, r := range path {
		plain = plain && (r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("/._-+:,@%", r))
		printing = printing && unicode.IsPrint(r) && r != unicode.ReplacementChar
	}
	switch {
	case plain && !strings.HasPrefix(path, "-"):
		return path
	case printing:
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	var b strings.Builder
	for _, c := range []byte(path) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteString("\\" + string(rune(c)))
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return "$'" + b.String() + "'"
}
