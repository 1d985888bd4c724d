package lite

import (
	"context"
	"fmt"
	"strings"

	"github.com/claudemesh/broker/core/meshsql"
)

// SQLite puts the text of a view where its name stands, and again for each view in
// it, before it asks the policy, looks at a limit or can be interrupted: fifteen
// views, each of which names the one before twice, take seconds and all memory. So
// the words that this comes to are counted first.

// mostWords is how many words the views in a statement may come to, and all views
// and triggers of a mesh.
const mostWords = 30_000

// Limits of a mesh's catalog, all of which SQLite reads for each statement.
const (
	mostObjects = 1000
	mostCatalog = 1 << 20 // bytes
)

// catalog is what the tables, views and triggers of a mesh are made of.
type catalog struct {
	objects, bytes int
	views          map[string][]string // the words of each view, by its name
	triggers       [][]string
	weights        map[string]int
}

// catalog reads the catalog.
func (s *statement) catalog(ctx context.Context) (_ *catalog, err error) {
	rows, err := s.conn.QueryContext(ctx, "SELECT type, name, coalesce(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	c := &catalog{views: map[string][]string{}, weights: map[string]int{}}
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		c.objects++
		c.bytes += len(text)
		switch kind {
		case "view":
			c.views[lower(name)] = words(text)
		case "trigger":
			c.triggers = append(c.triggers, words(text))
		}
	}
	return c, rows.Err()
}

// weigh returns how many words the views come to that a list of words names.
func (c *catalog) weigh(list []string) int {
	sum := 0
	for _, word := range list {
		if sum += c.weight(word); sum > mostWords {
			return mostWords + 1
		}
	}
	return sum
}

// weight returns how many words a view comes to; 0 for what is none, and within
// itself, which SQLite refuses.
func (c *catalog) weight(name string) int {
	list, view := c.views[name]
	if !view {
		return 0
	}
	w, known := c.weights[name]
	if !known {
		c.weights[name] = 0
		w = len(list) + c.weigh(list)
		c.weights[name] = w
	}
	return w
}

// fits refuses a statement whose views come to too much.
func (c *catalog) fits(text string) error {
	if len(c.views) > 0 && c.weigh(words(text)) > mostWords {
		return meshsql.Fail("the views in this statement come to more than %d words: let them name fewer views", mostWords)
	}
	return nil
}

// check refuses a catalog that has become too large.
func (c *catalog) check() error {
	sum := 0
	for name := range c.views {
		sum += c.weight(name)
	}
	for _, list := range c.triggers {
		sum += len(list) + c.weigh(list)
	}
	switch {
	case sum > mostWords:
		return meshsql.Fail("the views and triggers of the mesh would come to more than %d words, with those of the views in them: let them name fewer views", mostWords)
	case c.objects > mostObjects, c.bytes > mostCatalog:
		return &meshsql.Error{Kind: meshsql.Full, Text: fmt.Sprintf(
			"the mesh may have %d tables, indexes, views and triggers, and %d bytes of SQL that made them: drop some", mostObjects, mostCatalog)}
	}
	return nil
}

// words returns what a text is made of, as SQLite takes it apart, but for comments.
// A name is without its quotes and in lower case; a text may be a name too.
func words(text string) []string {
	var list []string
	for at := 0; at < len(text); {
		rest := text[at:]
		end, word := 1, ""
		switch c := rest[0]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			at++
			continue
		case strings.HasPrefix(rest, "--"):
			at += until(rest, 2, "\n")
			continue
		case strings.HasPrefix(rest, "/*"):
			at += until(rest, 2, "*/")
			continue
		case c == '[':
			end = until(rest, 1, "]")
			word = strings.TrimSuffix(rest[1:end], "]")
		case c == '"' || c == '\'' || c == '`':
			end, word = quotedWord(rest)
		case inWord(c):
			for end < len(rest) && inWord(rest[end]) {
				end++
			}
			word = rest[:end]
		}
		list = append(list, lower(word))
		at += end
	}
	return list
}

// until returns where the first mark behind some bytes ends, or the text.
func until(text string, from int, mark string) int {
	if i := strings.Index(text[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(text)
}

// quotedWord returns where a quoted word at the beginning of a text ends, and the
// word.
func quotedWord(text string) (end int, word string) {
	quote := text[:1]
	for end = 1; end < len(text); {
		end = until(text, end, quote)
		if !strings.HasPrefix(text[end:], quote) {
			break
		}
		end++ // two are one that is meant
	}
	return end, strings.ReplaceAll(strings.TrimSuffix(text[1:end], quote), quote+quote, quote)
}

func inWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// lower is how SQLite compares names: by the letters of ASCII.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
