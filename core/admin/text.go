package admin

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names.
const (
	maxName = 128 // bytes of a mesh's name
	maxSlug = 48  // bytes of a slug, its number left out
)

// checkName returns a mesh's name without the space around it.
func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", invalid("a mesh needs a name")
	case len(name) > maxName:
		return "", invalid("the name of a mesh has 128 bytes at most")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", invalid("the name of a mesh is plain text, without control characters")
	}
	return name, nil
}

// slugOf makes of a name what can stand in a URL and in a signed text: lower
// case, with one dash for whatever is neither a letter nor a digit.
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == maxSlug {
			break
		}
	}
	if slug := strings.TrimSuffix(b.String(), "-"); slug != "" {
		return slug
	}
	return "mesh"
}

// quote shows an operator's own text back, cut when long.
func quote(text string) string {
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return strconv.Quote(text)
}
