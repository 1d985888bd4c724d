package issue

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names.
const (
	maxName        = 128 // bytes of a mesh's name
	maxSlug        = 48  // bytes of a slug, its number left out
	maxDisplayName = 256 // bytes of a member's name, as in a join
)

// checkName returns a mesh's name without the space around it.
func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", invalid("a mesh needs a name")
	case len(name) > maxName:
		return "", invalid("the name of a mesh has 128 bytes at most")
	case !plain(name):
		return "", invalid("the name of a mesh is plain text, without control characters")
	}
	return name, nil
}

// plain reports whether text has nothing in it that upsets a terminal or a store.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// checkSlug refuses what [slugOf] would never make.
func checkSlug(slug string) error {
	foreign := strings.ContainsFunc(slug, func(r rune) bool { return r != '-' && !slugRune(r) })
	if slug == "" || len(slug) > maxSlug || foreign || slug[0] == '-' || slug[len(slug)-1] == '-' {
		return invalid("a slug has 1 to 48 characters from a-z, 0-9 and -, with no - at either end")
	}
	return nil
}

// slugOf makes of a name what can stand in a URL and in a signed text: lower
// case, with one dash for whatever is neither a letter nor a digit.
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case slugRune(r):
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

func slugRune(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
