package admin

import "strconv"

// quote shows an operator's own text back, cut when long.
func quote(text string) string {
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return strconv.Quote(text)
}
