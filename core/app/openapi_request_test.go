package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is one of the document, to make requests of.
type operation struct {
	method, path string
	*openapi3.Operation
}

func (o *operation) name() string { return o.method + " " + o.path }

// operations returns those of a document that are no upgrade, in a fixed order.
func operations(doc *openapi3.T) []operation {
	var list []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		if path == "/ws" {
			continue
		}
		item := doc.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			list = append(list, operation{method, path, item.Operations()[method]})
		}
	}
	return list
}

// asking is a request as it goes over the wire.
type asking struct {
	of             *operation
	method, target string
	header         http.Header
	body           []byte
	changes        []string // what was done to a valid request
}

func (a *asking) changed(how string) { a.changes = append(a.changes, how) }

// String shows a request so that somebody can repeat it.
func (a *asking) String() string {
	body := a.body
	if len(body) > 1500 {
		body = append(slices.Clone(body[:1500]), "…"...)
	}
	return fmt.Sprintf("%s %.600q\n  changes: %s\n  header: %.600q\n  body (%d bytes): %q",
		a.method, a.target, strings.Join(a.changes, ", "), a.header, len(a.body), body)
}

// ask makes a request of an operation, valid as far as the document goes.
func (w *world) ask(o *operation) *asking {
	w.at = nil
	if chance(w.rand, 65) {
		w.at = pick(w.rand, w.places)
	}
	sign := w.credential()
	a := &asking{of: o, method: o.method, header: http.Header{}}
	values := map[string]string{}
	query := url.Values{}
	target := o.path
	for _, p := range o.Parameters {
		name := p.Value.Name
		value := w.value(sortOf(o.path, name, p.Value.In), p.Value.Schema.Value)
		text, _ := value.(string)
		switch {
		case p.Value.In == openapi3.ParameterInPath:
			values[name] = text
			target = strings.ReplaceAll(target, "{"+name+"}", url.PathEscape(text))
		case chance(w.rand, 60):
			query.Set(name, text)
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	a.target = target
	if o.RequestBody != nil {
		tree, _ := w.sample(o.path, "", o.RequestBody.Value.Content.Get("application/json").Schema.Value, 0).(map[string]any)
		maps.Copy(tree, w.recipe(o.name(), values))
		a.body = w.encode(a, tree)
	}
	w.spoil(a)
	if value := sign(a.method, a.target, a.body); value != "" && a.header.Get("Authorization") == "" {
		a.header.Set("Authorization", value)
	}
	return a
}

// sortOf says which words of the world a parameter or a field takes.
func sortOf(path, name, in string) string {
	switch {
	case name == "slug", name == "id" && strings.HasPrefix(path, "/mesh/"), name == "mesh" && strings.HasPrefix(path, "/v1/"):
		return "mesh"
	case name == "name" && strings.HasPrefix(path, "/v1/topics/"):
		return "topic"
	case name == "target":
		return "key"
	case name == "id" && strings.Contains(path, "/session/"):
		return "token"
	case name == "id":
		return "invite"
	case name == "code" && in == openapi3.ParameterInPath:
		return "invite code"
	case name == "device_code":
		return "device code"
	case name == "key", name == "session_id" && in == openapi3.ParameterInPath:
		return "sign-in"
	case name == "user_id", name == "requester_id":
		return "account"
	case name == "memberId", name == "member_id":
		return "member"
	case name == "pubkey", name == "peer_pubkey":
		return "key"
	case name == "token" && in == openapi3.ParameterInPath:
		return "invite token"
	case name == "token":
		return "bad bearer"
	case name == "invite_token":
		return "invite token"
	default:
		return name
	}
}

// oddTexts are what texts are not expected to be.
func oddTexts() []string {
	return []string{
		"", " ", ".", "..", "../..", "/", "//", "%", "%00", "%2f..%2f", "a|b", "'", `"`, "\\", ";--", "' OR 1=1 --", "<script>", "{{7*7}}", "null", "true",
		"0", "-1", "1e309", "\u0000", "a\u0000b", "\u202eabc", "e\u0301\u0301\u0301", "\ufeff", "\u2028", "\ufffd", "\U0001f600", "ʼ", "ẞ", "İ", "\x7f", "\r\nX-A: b",
		strings.Repeat("x", 1024), strings.Repeat("x", 1025), strings.Repeat("é", 700), strings.Repeat("x", 20000),
		strings.Repeat("a", 64), strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("Z", 64),
	}
}

// value returns a value for a schema of one text, number or truth.
func (w *world) value(sort string, s *openapi3.Schema) any {
	r := w.rand
	switch {
	case s.Type.Is("integer"):
		return pick(r, []any{0, 1, 2, 3600, -1, 1 << 31, int64(1) << 53, json.RawMessage("9223372036854775807")})
	case s.Type.Is("number"):
		return pick(r, []any{0, 1.5, -1, json.RawMessage("1e300")})
	case s.Type.Is("boolean"):
		return chance(r, 50)
	case len(s.Enum) > 0 && chance(r, 90):
		return pick(r, s.Enum)
	}
	if word := w.word(sort); word != "" && chance(r, 90) {
		return word
	}
	return pick(r, []string{"x", "a name", "/work", "home", "ann", "idle", "dm", "admin", "Ä ö", "a1-b2"})
}

// sample returns a value for a schema.
func (w *world) sample(path, name string, s *openapi3.Schema, depth int) any {
	r := w.rand
	switch {
	case len(s.AllOf) == 1:
		return w.sample(path, name, s.AllOf[0].Value, depth)
	case s.Nullable && chance(r, 20):
		return nil
	case s.Type == nil:
		return pick(r, []any{0, "x", nil, 1.5, []any{}, map[string]any{}, json.RawMessage("1700000000000")})
	case s.Type.Is("array"):
		list := []any{}
		for range r.IntN(3) {
			list = append(list, w.sample(path, name, s.Items.Value, depth+1))
		}
		return list
	case !s.Type.Is("object"):
		return w.value(sortOf(path, name, ""), s)
	}
	o := map[string]any{}
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, field) || chance(r, 55) {
			o[field] = w.sample(path, field, s.Properties[field].Value, depth+1)
		}
	}
	if name == "permissions" && chance(r, 25) {
		o[w.name(name)] = pick(r, []any{true, "x", nil})
	}
	if more := s.AdditionalProperties.Schema; more != nil {
		for range r.IntN(4) {
			o[w.name(name)] = w.sample(path, "in "+name, more.Value, depth+1)
		}
	}
	return o
}

// name returns a name for a map.
func (w *world) name(of string) string {
	if of == "permissions" {
		return w.word("permission")
	}
	return w.word("key")
}

// encode writes a body, after changes to its tree.
func (w *world) encode(a *asking, tree map[string]any) []byte {
	r := w.rand
	names := slices.Sorted(maps.Keys(tree))
	for len(names) > 0 && chance(r, 25) {
		name := pick(r, names)
		how := pick(r, []string{"leave out", "null", "type", "odd", "number", "deep", "new"})
		a.changed(how + " " + name)
		switch how {
		case "leave out":
			delete(tree, name)
		case "null":
			tree[name] = nil
		case "type":
			tree[name] = pick(r, []any{1, 1.5, true, "x", []any{}, []any{nil}, []any{[]any{}}, map[string]any{}, map[string]any{"": 0}})
		case "odd":
			tree[name] = pick(r, oddTexts())
		case "number":
			tree[name] = json.RawMessage(pick(r, []string{"-0", "1e999", "-9223372036854775809", "18446744073709551616", "1E-400", "0.1", "1e3", strings.Repeat("9", 400)}))
		case "deep":
			n := pick(r, []int{5, 31, 32, 33, 200, 5000})
			tree[name] = json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
		case "new":
			tree[pick(r, []string{"__proto__", "", "OK", "user_id", "é", strings.ToUpper(name)})] = pick(r, []any{nil, "ann", 1, map[string]any{}})
		}
	}
	body, err := json.Marshal(tree)
	if err != nil {
		panic(err)
	}
	return body
}

// spoil changes a request so that it is not what the document describes.
func (w *world) spoil(a *asking) {
	r := w.rand
	if chance(r, 15) {
		w.spoilBody(a)
	}
	if chance(r, 8) {
		a.method = pick(r, []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get", "PROPFIND"})
		a.changed("method")
	}
	if chance(r, 15) {
		w.spoilTarget(a)
	}
	if chance(r, 10) {
		w.spoilHeader(a)
	}
}

func (w *world) spoilBody(a *asking) {
	r := w.rand
	odd := []string{
		"", " ", "null", "true", "0", `""`, "[]", "{}", "{", "}", `{"a"`, `{"a":1,}`, "{}{}", "\ufeff{}", "\x00", "\xff\xfe{}", `{"\ud800":1}`, `{"a":"\ud800"}`, `{"a":"\u0000"}`,
		"{\"a\":\"\x01\"}", "{\"a\":\"\xc3\x28\"}", `{"a":1,"a":2}`, `{'a':1}`, `{a:1}`, "a=b&c=d", "<a/>", `{"a":NaN}`, `{"a":01}`, `{"a":.5}`, "/**/{}", "{}//",
		strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 1000), `{"a":"` + strings.Repeat("x", 60000) + `"}`,
		`{"a":"` + strings.Repeat("x", 65536-8) + `"}`, `{"a":"` + strings.Repeat("x", 65536-7) + `"}`, strings.Repeat(" ", 65537),
	}
	how := pick(r, []string{"another", "another", "cut", "twice", "behind", "byte"})
	if len(a.body) < 3 {
		how = "another"
	}
	a.changed("body: " + how)
	switch how {
	case "another":
		a.body = []byte(pick(r, odd))
	case "cut":
		a.body = a.body[:r.IntN(len(a.body))]
	case "twice":
		a.body = append(append(bytes.TrimSuffix(a.body, []byte("}")), ','), a.body[1:]...)
	case "behind":
		a.body = append(a.body, pick(r, odd)...)
	case "byte":
		a.body = slices.Clone(a.body)
		a.body[r.IntN(len(a.body))] = byte(r.IntN(256))
	}
}

func (w *world) spoilTarget(a *asking) {
	r := w.rand
	path, query, asked := strings.Cut(a.target, "?")
	segments := strings.Split(path, "/")
	i := r.IntN(len(segments))
	how := pick(r, []string{"odd", "raw", "double", "slash", "dot", "query", "case", "cut", "more", "whole"})
	a.changed("target: " + how)
	switch how {
	case "odd":
		segments[i] = url.PathEscape(pick(r, oddTexts()))
	case "raw":
		segments[i] = pick(r, []string{"%", "%zz", "%2e%2e", "%2F", "%00", "%C0%AF", "%ff", "a%20b", "{slug}", "{", "*", "a;b", "a:b", "a@b", "..", ".", "\u00e9", "|", `\`, "a#b", "+", "~"})
	case "double":
		segments = slices.Insert(segments, i, "")
	case "slash":
		segments = append(segments, "")
	case "dot":
		segments = slices.Insert(segments, i, pick(r, []string{".", "..", "x/..", "../.."}))
	case "query":
		asked = true
		query += pick(r, []string{"&", "&a", "&a=b", "&a=%zz", "&a=%00", "&;", "&user_id=ann", "&user_id=bo&user_id=ann", "&user_id=%ff", "&" + strings.Repeat("a=b&", 500), "&=", "&?"})
	case "case":
		segments[i] = strings.ToUpper(segments[i])
	case "cut":
		segments = segments[:max(1, i)]
	case "more":
		segments = append(segments, "more")
	case "whole":
		segments = []string{"", pick(r, []string{"", "*", strings.Repeat("a", 6000), "..", "%2e%2e%2f", "nope", "ws", "ws/", "favicon.ico", "debug/pprof/"})}
	}
	a.target = strings.Join(segments, "/")
	if !strings.HasPrefix(a.target, "/") {
		a.target = "/" + a.target
	}
	if asked {
		a.target += "?" + query
	}
}

func (w *world) spoilHeader(a *asking) {
	r := w.rand
	a.changed("header")
	name := pick(r, []string{"Content-Type", "Accept", "X-Request-Id", "Origin", "X-Forwarded-For", "Range", "If-None-Match", "Accept-Encoding", "Cookie", "Traceparent", "X-Member-Id", "Expect", "Content-Encoding"})
	values := []string{"", "x", "text/html", "application/json; charset=utf-16", "*/*", "https://evil.example", "127.0.0.1", "bytes=0-1", "gzip", strings.Repeat("y", 3000), "\u00e9", "a, b;q=0"}
	if name == "Origin" && chance(r, 70) {
		values = []string{"https://app.example"}
		if chance(r, 70) {
			a.method = http.MethodOptions
			a.header.Set("Access-Control-Request-Method", pick(r, []string{"GET", "DELETE", "x"}))
		}
	}
	if name == "Expect" {
		values = []string{"100-continue"} // anything else is net/http's to refuse
	}
	a.header.Set(name, pick(r, values))
}

// shuffle returns a source of random numbers for one request, which does not
// depend on those before.
func shuffle(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
