package bus

import "strings"

// maxSubject is the length in bytes of the longest subject. It leaves most of a
// small datagram to the message.
const maxSubject = 255

// ValidSubject reports whether every bus can carry the subject: tokens of
// letters, digits, "_" and "-", with dots between them, at most 255 bytes.
func ValidSubject(subject string) bool {
	if subject == "" || len(subject) > maxSubject {
		return false
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || strings.ContainsFunc(token, foreign) {
			return false
		}
	}
	return true
}

func foreign(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}
