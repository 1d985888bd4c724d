package identity

import "testing"

func TestUserCode(t *testing.T) {
	id := NewSessionID()
	for typed, want := range map[string]string{
		"ABCD-2345":   "ABCD-2345",
		"abcd2345":    "ABCD-2345",
		" abcd 2345 ": "ABCD-2345",
		"ABCD–2345":   "ABCD-2345",
		"ABCD-234":    "ABCD-234",
		"":            "",
		id:            id,
	} {
		if got := UserCode(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}
