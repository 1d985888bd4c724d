package config

import (
	"strings"

	"github.com/claudemesh/broker/core/nearest"
)

// didYouMean returns the end of an error text that names the nearest candidate.
func didYouMean(name string, candidates []string) string {
	return hint(nearest.Of(name, candidates), "")
}

// hint returns the end of an error text: the name that was probably meant, if
// any, and then the rest.
func hint(meant, rest string) string {
	switch {
	case meant == "" && rest == "":
		return ""
	case meant == "":
		return "; " + rest
	case rest == "":
		return "; did you mean " + meant + "?"
	default:
		return "; did you mean " + meant + "? " + upper(rest)
	}
}

// upper makes the first letter a capital.
func upper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
