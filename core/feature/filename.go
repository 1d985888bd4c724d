package feature

import (
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is how long the name of a file may be, in bytes, on most file systems.
const maxName = 255

// anyBytes is the media type of what nobody says anything of.
const anyBytes = "application/octet-stream"

// cleanName makes a name that does no harm where it is shown or written: no folders,
// no control characters, none that turn the writing around, no dot in front.
func cleanName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == utf8.RuneError || strings.ContainsRune(`<>:"|?*`, c) {
			return -1
		}
		return c
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	for len(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" {
		return "file"
	}
	return name
}

// mediaType returns a media type as it may stand in a header, without parameters but
// charset.
func mediaType(text string) string {
	media, params, err := mime.ParseMediaType(text)
	if err != nil || !strings.Contains(media, "/") || len(media) > 128 {
		return anyBytes
	}
	if charset := params["charset"]; charset != "" && len(charset) < 32 {
		if with := mime.FormatMediaType(media, map[string]string{"charset": charset}); with != "" {
			return with
		}
	}
	return media
}
