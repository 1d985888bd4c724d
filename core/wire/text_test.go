package wire

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestIsPlain(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c < 0x80 && c != '"' && c != '\\'
		for _, at := range []int{0, 1, 7, 8, 15, 16, 20} {
			b := []byte(strings.Repeat("~", 21))
			b[at] = byte(c)
			if got := isPlain(b); got != want {
				t.Errorf("byte %#x at %d: got %v, want %v", c, at, got, want)
			}
			if got := isPlain(string(b)); got != want {
				t.Errorf("text with byte %#x at %d: got %v, want %v", c, at, got, want)
			}
		}
	}
	if !isPlain("") {
		t.Error("an empty text is not plain, want plain")
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x00\x1f\x7f", "ä€😀\u2028</script>", "\xff\xc0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendString(nil, s)
		got, err := jsontext.AppendUnquote(nil, quoted)
		if want := string([]rune(s)); err != nil || string(got) != want {
			t.Errorf("got %q (%v) from %s, want %q", got, err, quoted, want)
		}
	})
}
