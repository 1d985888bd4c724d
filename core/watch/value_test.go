package watch

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValueOf(t *testing.T) {
	const body = `{"a":{"b":[10,{"c":"text"}]},"n":1.50,"t":true,"z":null,"e":""}`
	for _, tt := range []struct{ mode, extract, body, want, failure string }{
		{Hash, "", "x", "2d711642b726b044", ""},
		{Hash, "a", "x", "2d711642b726b044", ""},
		{JSON, "", "x", "2d711642b726b044", ""},
		{Status, "", "x", "200", ""},
		{JSON, "a.b.1.c", body, "text", ""},
		{JSON, "$.a.b.0", body, "10", ""},
		{JSON, "$", body, `{"a":{"b":[10,{"c":"text"}]},"e":"","n":1.50,"t":true,"z":null}`, ""},
		{JSON, "a.b", body, `[10,{"c":"text"}]`, ""},
		{JSON, "n", body, "1.50", ""},
		{JSON, "t", body, "true", ""},
		{JSON, "z", body, "null", ""},
		{JSON, "a.b.7", body, "null", ""},
		{JSON, "a.b.-1", body, "null", ""},
		{JSON, "none.of.it", body, "null", ""},
		{JSON, "e", body, "", "what it extracts is an empty text"},
		{JSON, "a", "no JSON: a secret page", "", "the answer is no JSON"},
	} {
		got, err := valueOf(tt.mode, tt.extract, &Answer{Status: 200, Body: []byte(tt.body)})
		if failure := ""; err != nil {
			if failure = err.Error(); failure != tt.failure {
				t.Errorf("%s %s: got %q, want %q", tt.mode, tt.extract, failure, tt.failure)
			}
		} else if got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.mode, tt.extract, got, tt.want)
		}
	}
	for status, fails := range map[int]bool{404: false, 429: true, 500: true, 503: true} {
		if _, err := valueOf(Hash, "", &Answer{Status: status}); (err != nil) != fails {
			t.Errorf("status %d: got %v", status, err)
		}
		if got, err := valueOf(Status, "", &Answer{Status: status}); err != nil || len(got) != 3 {
			t.Errorf("status %d: got %q, %v", status, got, err)
		}
	}
}

func TestTriggers(t *testing.T) {
	for _, tt := range []struct {
		on, old, now string
		want         bool
	}{
		{"change", "a", "b", true},
		{"change", "a", "a", false},
		{"match:b", "a", "b", true},
		{"match:b", "b", "b", false},
		{"match:b", "b", "a", false},
		{"not_match:a", "a", "b", true},
		{"not_match:a", "b", "c", false},
		{"not_match:a", "b", "a", false},
	} {
		if got := triggers(tt.on, tt.old, tt.now); got != tt.want {
			t.Errorf("%s, %s after %s: got %v", tt.on, tt.now, tt.old, got)
		}
	}
}

// Whatever an answer and a path are, the value is short, whole text, and not empty.
func FuzzExtract(f *testing.F) {
	f.Add(`{"a":["x"]}`, "$.a.0")
	f.Add(`"`+strings.Repeat("é", 1000)+`"`, "")
	f.Add(`"\u0000"`, "$")
	f.Fuzz(func(t *testing.T, body, path string) {
		got, err := extracted([]byte(body), path)
		if (got == "") != (err != nil) || len(got) > valueBytes || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
