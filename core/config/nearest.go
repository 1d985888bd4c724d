package config

import "strings"

// nearest returns the candidate that name is most likely a slip of, or nothing.
// A name may be off by a third of its letters, and by two letters at least.
func nearest(name string, candidates []string) string {
	const longest = 64 // longer than any name of ours, so no slip of one
	if len(name) > longest {
		return ""
	}
	best, bound := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bound && d < max(len(name), len(c)) {
			best, bound = c, d
		}
	}
	return best
}

// distance is the number of letters to put in, take out or change to get from a
// to b (Levenshtein), with one row of the table kept.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// didYouMean returns the end of an error text that names the nearest candidate.
func didYouMean(name string, candidates []string) string {
	return hint(nearest(name, candidates), "")
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
