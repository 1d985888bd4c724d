package sqlite

import (
	"slices"
	"strings"

	"github.com/claudemesh/broker/core/store"
)

// searched returns the words of a query that memories are searched for, each
// once: those that English texts are full of are left out.
func searched(query string) []string {
	var words []string
	ignored := stopWords()
	for w := range strings.FieldsSeq(store.Words(query)) {
		if !slices.Contains(words, w) && !slices.Contains(ignored, w) {
			words = append(words, w)
		}
	}
	return words
}

// stopWords are those that PostgreSQL's English configuration ignores.
func stopWords() []string {
	return strings.Fields(`i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she
		her hers herself it its itself they them their theirs themselves what which who whom this that these those am is
		are was were be been being have has had having do does did doing a an the and but if or because as until while of
		at by for with about against between into through during before after above below to from up down in out on off
		over under again further then once here there when where why how all any both each few more most other some such
		no nor not only own same so than too very s t can will just don should now`)
}
