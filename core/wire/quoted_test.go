package wire

import (
	"strings"
	"testing"
)

// TestErrorsRepeatLittle has a member paste a secret where names are. What is
// said of it goes into the texts of refusals, which are kept.
func TestErrorsRepeatLittle(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-of-ada-that-opens-everything"
	for _, frame := range []string{
		`{"type":"set_grants","` + secret + `":1,"` + secret + `":2}`,
		`{"type":"set_grants","grants":{"` + secret + `":7}}`,
	} {
		_, err := Decode[SetGrants]([]byte(frame))
		if err == nil || !strings.Contains(err.Error(), `"s3cr3t-o…"`) {
			t.Errorf("%s: %v, want 8 characters of the secret", frame, err)
		}
	}
}
