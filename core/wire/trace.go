package wire

// Trace returns a text that is a W3C traceparent, and "" for any other: it goes to
// stages, plugins and recipients as it is, and comes from whoever can send a
// header. Versions to come may be longer, up to [MaxTrace].
func Trace(text string) string {
	if len(text) < 55 || len(text) > MaxTrace || len(text) > 55 && text[55] != '-' {
		return ""
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case i == 2 || i == 35 || i == 52:
			if c != '-' {
				return ""
			}
		case i >= 55:
			if c < ' ' || c > '~' {
				return ""
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return ""
		}
	}
	return text
}
