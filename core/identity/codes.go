package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"unicode"
)

// codeAlphabet leaves out I, O, 0 and 1, which people confuse. Its 32
// characters take five random bits each.
const codeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// Sizes of codes, in characters of the alphabet.
const (
	InviteCodeSize = 12 // of [NewInviteCode]; clients take 6 to 16
	codeSize       = 12 // of [NewCode], without the dashes
	userCodeSize   = 8  // of [NewUserCode], without the dash
	deviceCodeSize = 32 // of [NewDeviceCode]
	sessionIDSize  = 32 // of [NewSessionID], behind its prefix
	codeGroup      = 4  // between two dashes
)

// sessionIDPrefix is the front of the sign-in ids that command lines know.
const sessionIDPrefix = "clm_sess_"

// NewInviteCode returns 12 random characters, 60 bits. The original's 40 would be
// too few where many invites are open and guesses come from many networks. Codes
// may collide, so the caller stores them under a unique index and tries again.
func NewInviteCode() string { return string(randomCode(InviteCodeSize)) }

// NewCode returns a one-time code for people, XXXX-XXXX-XXXX, 60 bits. It is
// kept as [HashCode]; 60 bits are enough for that while it lives for hours.
func NewCode() string { return grouped(randomCode(codeSize)) }

// NewUserCode returns the code that somebody compares and types to approve a
// sign-in, XXXX-XXXX, 40 bits. What [NewInviteCode] says about guessing and
// collisions holds here too.
func NewUserCode() string { return grouped(randomCode(userCodeSize)) }

// NewDeviceCode returns the secret with which a command line polls for its
// token: 32 characters, 160 bits, in one piece because nobody types it.
func NewDeviceCode() string { return string(randomCode(deviceCodeSize)) }

// NewSessionID returns the id of a sign-in, clm_sess_ and 32 characters. It
// stands in the link that a person opens; unlike [NewID] it comes straight from
// the system's randomness, because who holds it can look the sign-in up.
func NewSessionID() string { return sessionIDPrefix + string(randomCode(sessionIDSize)) }

// NormalizeCode undoes what happens to a code between a screen and a keyboard:
// ASCII letters become upper case, white space and dashes of all kinds go. It
// does not test what is left, and is no form for ids of sign-ins, whose prefix
// is lower case.
func NormalizeCode(code string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
			return -1
		}
		return r
	}, code)
}

// HashCode returns the SHA-256 of a code's normal form, under which device
// codes and one-time codes are stored: all spellings have one hash.
func HashCode(code string) [sha256.Size]byte {
	return sha256.Sum256([]byte(NormalizeCode(code)))
}

// randomCode returns n random characters of the alphabet.
func randomCode(n int) []byte {
	code := make([]byte, n)
	rand.Read(code) // never fails: it ends the process instead
	for i, b := range code {
		code[i] = codeAlphabet[int(b)%len(codeAlphabet)] // 32 divides 256: no bias
	}
	return code
}

// grouped puts a dash between each four characters.
func grouped(code []byte) string {
	var b strings.Builder
	for i, c := range code {
		if i > 0 && i%codeGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(c)
	}
	return b.String()
}
