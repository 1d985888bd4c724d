package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// match compares a frame with what a transcript says, and tells the difference,
// empty for none.
func (p *play) match(want, got string) string {
	p.t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		p.fail("not JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return "got no JSON: " + err.Error()
	}
	return p.differ("", w, g)
}

// differ compares two values. Objects may have more keys than they should.
func (p *play) differ(path string, want, got any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: got %v, want an object", path, got)
		}
		keys := make([]string, 0, len(w))
		for k := range w {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			at := path + "." + k
			value, there := g[k]
			switch {
			case w[k] == "!" && there:
				return at + " is there"
			case w[k] == "!":
				continue
			case !there:
				return at + " is missing"
			}
			if d := p.differ(at, w[k], value); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: got %v, want %d entries", path, got, len(w))
		}
		for i := range w {
			if d := p.differ(path+"["+strconv.Itoa(i)+"]", w[i], g[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		return p.differText(path, w, got)
	default:
		if want != got {
			return fmt.Sprintf("%s: got %v, want %v", path, got, want)
		}
		return ""
	}
}

// differText compares a value with a text, which may stand for a value.
func (p *play) differText(path, want string, got any) string {
	if name, ok := strings.CutPrefix(want, "$"); ok {
		raw, err := json.Marshal(got)
		if err != nil {
			return err.Error()
		}
		before, bound := p.bound[name]
		if bound && before != string(raw) {
			return fmt.Sprintf("%s: got %s, want %s as before", path, raw, before)
		}
		p.bound[name] = string(raw)
		return ""
	}
	if text, ok := got.(string); want == "*" || ok && isLike(want, text) {
		return ""
	}
	return fmt.Sprintf("%s: got %v, want %q", path, got, want)
}

// isLike compares a text with one that may end in a star.
func isLike(want, got string) bool {
	if front, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, front)
	}
	return want == got
}

var (
	timeText = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	uuidText = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-`)
	hashText = regexp.MustCompile(`^[0-9a-f]{64}$`)
	idText   = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)
)

// general turns a frame into what a transcript can say about it: with variables
// in place of what is different each time.
func (p *play) general(frame string) string {
	p.t.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(frame))
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out)
	for {
		token, err := dec.ReadToken()
		if err != nil {
			break
		}
		if token.Kind() == jsontext.KindString {
			token = jsontext.String(p.generalText(token.String()))
		}
		if err := enc.WriteToken(token); err != nil {
			p.fail("rewrite %s: %v", frame, err)
		}
	}
	return strings.TrimSpace(out.String())
}

func (p *play) generalText(text string) string {
	if name, ok := p.known(text); ok {
		return name
	}
	raw, err := json.Marshal(text)
	if err != nil {
		p.fail("%v", err)
	}
	names := make([]string, 0, len(p.bound))
	for name, value := range p.bound {
		if value == string(raw) {
			return "$" + name
		}
		names = append(names, name)
	}
	switch {
	case timeText.MatchString(text), uuidText.MatchString(text), hashText.MatchString(text):
		return "*"
	case !idText.MatchString(text):
		return text
	}
	next := 1
	for slices.Contains(names, strconv.Itoa(next)) {
		next++
	}
	p.bound[strconv.Itoa(next)] = string(raw)
	return "$" + strconv.Itoa(next)
}

func TestTranscriptsTellDifferences(t *testing.T) {
	p := &play{t: t, bound: map[string]string{"7": `"seven"`}}
	tests := []struct {
		name, want, got, differ string
	}{
		{"takes more keys than asked for", `{"a":1}`, `{"a":1,"b":2}`, ""},
		{"misses a key", `{"a":1}`, `{"b":1}`, ".a is missing"},
		{"finds a key that should not be there", `{"a":"!"}`, `{"a":1}`, ".a is there"},
		{"looks into lists", `{"a":[{"b":1}]}`, `{"a":[{"b":2}]}`, ".a[0].b: got 2, want 1"},
		{"counts lists", `{"a":[]}`, `{"a":[1]}`, ".a: got [1], want 0 entries"},
		{"takes anything for a star", `{"a":"*"}`, `{"a":{"b":null}}`, ""},
		{"takes what begins like a text with a star", `{"a":"too large: *"}`, `{"a":"too large: 7"}`, ""},
		{"remembers values", `{"a":"$1","b":"$1"}`, `{"a":5,"b":6}`, ".b: got 6, want 5 as before"},
		{"knows values from before", `{"a":"$7"}`, `{"a":"seven"}`, ""},
		{"compares null", `{"a":null}`, `{"a":0}`, ".a: got 0, want <nil>"},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			delete(p.bound, "1")
			if got := p.match(tt.want, tt.got); got != tt.differ {
				t.Errorf("got %q, want %q", got, tt.differ)
			}
		})
	}
}
