package meshsql

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Result is what a statement came to.
type Result struct {
	Columns   []string         // each name once
	Rows      []jsontext.Value // an object each, with the columns in their order
	RowCount  int64            // rows in the answer, or rows that were changed
	Truncated bool             // there are more rows
}

// exact is the largest whole number up to which every whole number is exact in
// JSON, as clients read it.
const exact = 1 << 53

// nesting is how deep a JSON value may nest to stand in an answer as it is, which
// nests itself and may nest no deeper than frames may.
const nesting = 24

// Value is one value as JSON.
type Value jsontext.Value

// Null is what a database knows as NULL.
func Null() Value { return Value("null") }

// Bool returns true or false.
func Bool(b bool) Value { return strconv.AppendBool(nil, b) }

// Int returns a whole number: a text beyond 2^53, where clients that read numbers
// as floating point would take it for another one.
func Int(i int64) Value {
	if i > exact || i < -exact {
		return Text(strconv.FormatInt(i, 10))
	}
	return strconv.AppendInt(nil, i, 10)
}

// Float returns a number; a text for what JSON has no number for.
func Float(f float64) Value {
	switch {
	case math.IsNaN(f):
		return Text("NaN")
	case math.IsInf(f, 1):
		return Text("Infinity")
	case math.IsInf(f, -1):
		return Text("-Infinity")
	}
	return strconv.AppendFloat(nil, f, 'g', -1, 64)
}

// Text returns a text. Bytes that are not UTF-8 are replaced.
func Text(s string) Value {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	v, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		panic(err) // only for text that is not UTF-8
	}
	return v
}

// Blob returns bytes, as base64.
func Blob(b []byte) Value { return Text(base64.StdEncoding.EncodeToString(b)) }

// Time returns a moment, as RFC 3339 in UTC.
func Time(t time.Time) Value { return Text(t.UTC().Format(time.RFC3339Nano)) }

// JSON returns a value that is JSON already; as a text where it nests too deep, or
// is no JSON that everybody reads in the same way.
func JSON(s string) Value {
	v := jsontext.Value(s)
	if !v.IsValid() || deeper(s, nesting) {
		return Text(s)
	}
	return Value(v)
}

// deeper reports whether a valid JSON value nests deeper than so many levels.
func deeper(s string, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// Collector puts an answer together, as long as it fits.
type Collector struct {
	limits Limits
	names  [][]byte // quoted, each with its colon
	result Result
	size   int
	wide   bool // the first row does not fit
}

// NewCollector returns an answer without rows. A name that comes a second time
// gets a number, since an object has each name once.
func NewCollector(names []string, l Limits) *Collector {
	c := &Collector{limits: l, result: Result{Columns: make([]string, len(names)), Rows: []jsontext.Value{}}}
	seen := map[string]bool{}
	for _, name := range names {
		seen[name] = false
	}
	for i, name := range names {
		unique := name
		for n := 2; seen[unique]; n++ {
			unique = fmt.Sprintf("%s_%d", name, n)
		}
		seen[unique] = true
		unique = strings.ToValidUTF8(unique, "\uFFFD")
		c.result.Columns[i] = unique
		c.names = append(c.names, append(Text(unique), ':'))
		c.size += len(unique) + len(`"",`)
	}
	return c
}

// Add adds a row, and reports whether another one may follow. A row that does not
// fit is left out.
func (c *Collector) Add(values []Value) bool {
	if c.result.Truncated {
		return false
	}
	size := len("{},")
	for i, v := range values {
		size += len(c.names[i]) + len(v) + len(",")
	}
	if len(c.result.Rows) == c.limits.Rows || c.size+size > c.limits.Bytes {
		c.wide = len(c.result.Rows) == 0
		c.result.Truncated = true
		return false
	}
	row := append(make(jsontext.Value, 0, size), '{')
	for i, v := range values {
		if i > 0 {
			row = append(row, ',')
		}
		row = append(append(row, c.names[i]...), v...)
	}
	c.result.Rows = append(c.result.Rows, append(row, '}'))
	c.size += size
	return true
}

// Result returns the answer; an error when not even one row fits.
func (c *Collector) Result() (*Result, error) {
	if c.wide {
		return nil, Fail("a row of the answer has more than %d bytes: ask for fewer columns", c.limits.Bytes)
	}
	c.result.RowCount = int64(len(c.result.Rows))
	return &c.result, nil
}

func clean(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func blank(s string) bool { return strings.Trim(s, " \t\r\n\f\v;") == "" }
