package identity

import (
	"regexp"
	"testing"
)

func TestNewCodes(t *testing.T) {
	const symbol = "[A-HJ-NP-Z2-9]"
	tests := []struct {
		name, shape string
		make        func() string
	}{
		{"invite code", symbol + "{12}", NewInviteCode},
		{"one-time code", symbol + "{4}-" + symbol + "{4}-" + symbol + "{4}", NewCode},
		{"user code", symbol + "{4}-" + symbol + "{4}", NewUserCode},
		{"device code", symbol + "{32}", NewDeviceCode},
		{"session id", "clm_sess_" + symbol + "{32}", NewSessionID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shape := regexp.MustCompile("^" + tt.shape + "$")
			seen := map[string]bool{}
			for range 500 {
				code := tt.make()
				if !shape.MatchString(code) || seen[code] {
					t.Fatalf("got %q, want a new code like %s", code, shape)
				}
				seen[code] = true
			}
		})
	}
}

func TestCodeAlphabet(t *testing.T) {
	counts := map[byte]int{}
	for _, c := range randomCode(32 * 1000) {
		counts[c]++
	}
	if len(counts) != 32 {
		t.Errorf("got %d characters, want 32", len(counts))
	}
	for c, n := range counts {
		if n < 750 || n > 1250 { // 8 standard deviations
			t.Errorf("got %d times %q, want about 1000", n, c)
		}
	}
}

func TestNormalizeCode(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"leaves the normal form", "ABCDEFGH2345", "ABCDEFGH2345"},
		{"drops dashes", "ABCD-EFGH-2345", "ABCDEFGH2345"},
		{"drops the dashes of a word processor", "ABCD\u2013EFGH\u20142345", "ABCDEFGH2345"},
		{"drops space of all kinds", " ABCD EFGH\u00a02345\t\n", "ABCDEFGH2345"},
		{"takes lower case", "abcd-efgh-2345", "ABCDEFGH2345"},
		{"changes ASCII letters only", "\u0131\u017f", "\u0131\u017f"},
		{"keeps what is no code", "I0|\"", "I0|\""},
		{"has nothing of nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := NormalizeCode(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// SHA-256 of ABCDEFGH2345, by coreutils.
const codeHash = "77485ffa630b96946173a2d8ecff374327af1d230aafd5f8c18ddf9177441900"

func TestHashCode(t *testing.T) {
	want := [32]byte(mustHex(t, codeHash))
	for _, spelling := range []string{"ABCDEFGH2345", "ABCD-EFGH-2345", " abcd efgh 2345 "} {
		if got := HashCode(spelling); got != want {
			t.Errorf("%q: got %x, want %x", spelling, got, want)
		}
	}
	if HashCode("ABCD-EFGH-2346") == want {
		t.Error("two codes have one hash")
	}
}

func FuzzNormalizeCode(f *testing.F) {
	for _, s := range []string{"abcd-efgh", "\u2013", "\xff-", NewCode(), NewSessionID()} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		normal := NormalizeCode(s)
		if again := NormalizeCode(normal); again != normal {
			t.Errorf("%q: got %q, then %q", s, normal, again)
		}
		if HashCode(s) != HashCode(normal) {
			t.Errorf("%q: its normal form has another hash", s)
		}
	})
}
