package core_test

import (
	"testing"

	"github.com/claudemesh/broker/core"
)

func TestShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 `""`,
		"canSend1":         `"canSend1"`,
		"s3cr3t-of-ada":    `"s3cr3t-o"…`,
		"ääääääää":         `"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"`,
		"ääääääääb":        `"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"…`,
		"\x1b[1m\"\xffabc": `"\x1b[1m\"\xffab"…`,
	} {
		if got := core.Shown(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}
