package plugin

import "strings"

// nearest returns the candidate that name is most likely a slip of, or
// nothing. A name may be off by a third of its letters, and by two at least.
// The broker's own config does the same, in a package that plugins cannot see.
func nearest(name string, candidates []string) string {
	const longest = 64 // longer than any name of an option
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

// distance is the number of letters to put in, take out or change to get from
// a to b, with one row of the table kept.
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
