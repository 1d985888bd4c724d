package audit

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestCanonicalizeVectors(t *testing.T) {
	all := loadVectors(t)
	for _, payload := range all.Order.Payloads {
		got, err := Canonicalize([]byte(payload))
		if err != nil || string(got) != all.Order.CanonicalPayload {
			t.Errorf("got %s, %v, want %s", got, err, all.Order.CanonicalPayload)
		}
	}
	for _, c := range all.Chains {
		for _, r := range c.Rows {
			if r.CanonicalPayload == "" {
				continue // an edited row has none
			}
			got, err := Canonicalize([]byte(r.PayloadJSON))
			if err != nil || string(got) != r.CanonicalPayload {
				t.Errorf("%s row %d: got %s, %v, want %s", c.Name, r.ID, got, err, r.CanonicalPayload)
			}
		}
	}
}

func TestCanonicalize(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"drops space", " { \"a\" : [ 1 , true , null ] }\r\n\t", `{"a":[1,true,null]}`},
		{"keeps empty containers", `[[],{},""]`, `[[],{},""]`},
		{"takes a bare word", "false", "false"},
		{"sorts at every depth", `{"b":{"d":1,"c":{"f":1,"e":2}},"a":[{"y":1,"x":2}]}`, `{"a":[{"x":2,"y":1}],"b":{"c":{"e":2,"f":1},"d":1}}`},
		{"sorts a name before its continuation", `{"ab":1,"a":2,"":3}`, `{"":3,"a":2,"ab":1}`},
		{"sorts by UTF-16 and not by bytes", `{"～":1,"😀":2}`, `{"😀":2,"～":1}`},
		{"sorts pairs by their second half", `{"😁":1,"😀":2}`, `{"😀":2,"😁":1}`},
		{"sorts by what an escape means", `{"\\":1,"[":2,"]":3}`, `{"[":2,"\\":1,"]":3}`},
		{"sorts control characters first", `{"!":1,"\n":2,"\u0001":3}`, `{"\u0001":3,"\n":2,"!":1}`},
		{"sorts a lone surrogate by its unit", `{"～":1,"\ud83e":2,"😀":3,"\ud83d":4}`, `{"\ud83d":4,"😀":3,"\ud83e":2,"～":1}`},
		{"looks past equal halves", `{"😀":1,"\ud83d～":2,"\ud83da":3}`, `{"\ud83da":3,"😀":1,"\ud83d～":2}`},
		{"unescapes what needs no escape", `"\u0041\/\u00e9\u2028\ud83d\ude00\u007f"`, "\"A/é\u2028😀\x7f\""},
		{"keeps needed escapes short", `"\u0022\u005C\u0008\u0009\u000A\u000C\u000D"`, `"\"\\\b\t\n\f\r"`},
		{"prints other control characters in lower case", `"\u001F\u0000"`, `"\u001f\u0000"`},
		{"keeps lone surrogates as lower-case escapes", `"\uD83D \uDE00\uD83D\uD83D"`, `"\ud83d \ude00\ud83d\ud83d"`},
		{"joins a pair behind a lone half", `"\ud83d\ud83d\ude00"`, `"\ud83d😀"`},
		{"does not join a half with plain text", `"\ud83dx"`, `"\ud83dx"`},
		{"leaves HTML alone", `"<a href='x'>&amp;</a>"`, `"<a href='x'>&amp;</a>"`},
		{"prints zero in one way", `[0,-0,0.0,-0e5,1e-400]`, `[0,0,0,0,0]`},
		{"prints small and large numbers with an exponent", `[0.000001,0.0000001,1e20,1e21,1.5e-9,12E-11]`, `[0.000001,1e-7,100000000000000000000,1e+21,1.5e-9,1.2e-10]`},
		{"rounds integers to doubles", `[9007199254740993,-12345678901234567890]`, `[9007199254740992,-12345678901234567000]`},
		{"keeps integers of 15 digits", `[999999999999999,-999999999999999]`, `[999999999999999,-999999999999999]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Canonicalize([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
			again, err := Canonicalize(got)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("again: got %s, %v, want %s", again, err, got)
			}
		})
	}
}

func TestCanonicalizeRefuses(t *testing.T) {
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"space", " "},
		{"two values", "1 2"},
		{"half a word", "tru"},
		{"a word with a tail", "nullx"},
		{"an open array", "[1"},
		{"a comma at the end of an array", "[1,]"},
		{"a comma at the front of an array", "[,1]"},
		{"no comma in an array", "[1 2]"},
		{"an open object", `{"a":1`},
		{"a comma at the end of an object", `{"a":1,}`},
		{"a comma at the front of an object", `{,"a":1}`},
		{"no comma in an object", `{"a":1 "b":2}`},
		{"a name without a value", `{"a"}`},
		{"a value without a name", `{1:2}`},
		{"a name twice", `{"a":1,"a":1}`},
		{"a name twice, far apart", `{"b":1,"a":1,"c":1,"b":1}`},
		{"a name twice, once escaped", `{"a":1,"\u0061":1}`},
		{"an open string", `"a`},
		{"a raw control character", "\"\n\""},
		{"a zero byte", "\x00"},
		{"an unknown escape", `"\x"`},
		{"half an escape", `"\`},
		{"a short escape", `"\u12"`},
		{"a wrong digit in an escape", `"\u12g4"`},
		{"a wrong digit in a second half", `"\ud83d\udx00"`},
		{"bytes that are not UTF-8", "\"\xff\""},
		{"a surrogate in UTF-8", "\"\xed\xa0\xbd\""},
		{"an overlong character", "\"\xc0\xaf\""},
		{"a leading zero", "01"},
		{"a plus sign", "+1"},
		{"minus alone", "-"},
		{"a bare point", "1."},
		{"a number that starts with a point", ".5"},
		{"a bare exponent", "1e+"},
		{"a number too large", "1e309"},
		{"NaN", "NaN"},
		{"a comment", "1//"},
		{"what is too deep", strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Canonicalize([]byte(tt.in)); !errors.Is(err, ErrJSON) {
				t.Errorf("got %s, %v, want %v", got, err, ErrJSON)
			}
		})
	}
}

func TestAppendCanonical(t *testing.T) {
	type group struct {
		Name string `json:"name"`
		Role string `json:"role,omitempty"`
	}
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"null", nil, `null`},
		{"a map", map[string]any{"b": []int{2, 1}, "a": "x<y", "～": 1, "😀": 2}, `{"a":"x<y","b":[2,1],"😀":2,"～":1}`},
		{"structs", []group{{"core", "lead"}, {Name: "all"}}, `[{"name":"core","role":"lead"},{"name":"all"}]`},
		{"JSON text", jsontext.Value(`{"b":1.0,"a":"\u0041"}`), `{"a":"A","b":1}`},
		{"a large integer", int64(math.MaxInt64), `9223372036854776000`},
		{"a float", 1e-7, `1e-7`},
	}
	for _, tt := range tests {
		t.Run("takes "+tt.name, func(t *testing.T) {
			got, err := AppendCanonical([]byte("x"), tt.in)
			if err != nil || string(got) != "x"+tt.want {
				t.Errorf("got %s, %v, want x%s", got, err, tt.want)
			}
		})
	}
	for _, bad := range []any{math.NaN(), "a\xff", map[string]any{"f": func() {}}, jsontext.Value(`{"a":1,"a":2}`), jsontext.Value(`{"b":1,"a":`)} {
		if got, err := AppendCanonical([]byte("x"), bad); !errors.Is(err, ErrJSON) || string(got) != "x" {
			t.Errorf("%v: got %s, %v, want x and %v", bad, got, err, ErrJSON)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, c := range loadVectors(f).Chains {
		for _, r := range c.Rows {
			f.Add([]byte(r.PayloadJSON))
		}
	}
	for _, s := range []string{
		`{"\ud83d":1,"😀":2,"\ud83d～":3}`, `"\ud83d\ud83d\ude00"`, `[1e-400,1e309,-0,01]`, `{"a":1,"\u0061":2}`, "\"\xed\xa0\xbd\"", ` [ ] `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		got, err := Canonicalize(text)
		if !bytes.Equal(text, before) {
			t.Fatalf("%q was changed to %q", before, text)
		}
		// The JSON library has a canonical form too, which differs in what it
		// refuses (lone surrogates) and in numbers too large for a double.
		theirs := jsontext.Value(bytes.Clone(text))
		theirErr := theirs.Canonicalize()
		if err != nil {
			if !errors.Is(err, ErrJSON) || len(got) > 0 {
				t.Fatalf("%q: got %q, %v, want nothing and %v", text, got, err, ErrJSON)
			}
			if theirErr == nil && !strings.Contains(err.Error(), "number too large") {
				t.Fatalf("%q: got error %v, want %s", text, err, theirs)
			}
			return
		}
		if theirErr == nil && !bytes.Equal(got, theirs) {
			t.Fatalf("%q: got %s, want %s", text, got, theirs)
		}
		if theirErr != nil && !bytes.Contains(got, []byte(`\ud`)) {
			t.Fatalf("%q: got %s, want an error like %v", text, got, theirErr)
		}
		again, err := Canonicalize(got)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q: again got %q, %v, want %q", text, again, err, got)
		}
	})
}

func BenchmarkCanonicalize(b *testing.B) {
	payloads := map[string]string{
		"sorted":   `{"priority":"now","targetSpec":"@core"}`,
		"unsorted": `{"targetSpec":"@core","priority":"now"}`,
		"nested":   loadVectors(b).Chains[0].Rows[0].PayloadJSON,
	}
	for name, payload := range payloads {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Canonicalize([]byte(payload)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("library-nested", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v := jsontext.Value(payloads["nested"])
			if err := v.Canonicalize(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("from-map", func(b *testing.B) {
		value := map[string]any{"targetSpec": "@core", "priority": "now"}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := AppendCanonical(nil, value); err != nil {
				b.Fatal(err)
			}
		}
	})
}
