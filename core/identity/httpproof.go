package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// HTTPScheme is the first word of an Authorization header with an [HTTPProof].
const HTTPScheme = "Mesh-Member"

// Limits of an HTTPProof, in bytes.
const (
	MaxHTTPProof  = 512 // the header's value; ours have about 290
	maxProofMesh  = 128
	maxProofTime  = 15 // digits; milliseconds have 13 until the year 2286
	maxHTTPMethod = 32
)

// HTTPProof is a member's signature over one HTTP request, each field as it
// arrived. The header is, with its fields in any order:
//
//	Authorization: Mesh-Member mesh="<mesh id>", key="<64 hex>", ts="<Unix ms>", sig="<128 hex>"
//
// What is signed covers the method, the request target as sent (path and
// query), the mesh, the key, the time and the lower-case hex SHA-256 of the
// body's bytes, of none for a request without a body:
//
//	claudemesh-http-v1|<method>|<target>|<mesh id>|<key>|<ts>|<body hash>
//
// A target may hold a "|" and the text can still be read in one way only: no
// other field can, so the first two and the last four separators are fixed and
// the target is all that lies between. The host is not signed; a mesh id means
// one mesh wherever it is served.
type HTTPProof struct {
	Mesh      string // id; visible ASCII without quote, backslash and "|"
	Key       string // of the member; 64 hex digits in either case
	Timestamp string // Unix milliseconds in decimal digits, without a leading zero
	Signature string // 128 hex digits in either case
}

// shapes reports whether mesh, key and signature can be what they should be.
func (in *HTTPProof) shapes() bool {
	if in.Mesh == "" || len(in.Mesh) > maxProofMesh || strings.ContainsFunc(in.Mesh, notInField) {
		return false
	}
	if _, err := sdk.ParseKey(in.Key); err != nil {
		return false
	}
	_, err := ParseSignature(in.Signature)
	return err == nil
}

// time reads the timestamp. Only the form that is signed is taken: what the
// digits say and what is printed of them are the same.
func (in *HTTPProof) time() (millis, bool) {
	s := in.Timestamp
	if s == "" || len(s) > maxProofTime || s[0] == '0' {
		return 0, false
	}
	var at int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		at = 10*at + int64(c-'0')
	}
	return millis(at), true
}

// CheckHTTP tests the clock, then the shapes, then the signature, and returns
// the first failure: [TimestampSkew], [Malformed] or [BadSignature]. Method and
// target are the request's as they came; bodyHash is the SHA-256 of its body.
//
// That the key is a member of the mesh is for the caller to look up, and so is
// whether the same proof came before: see [HTTPProof.Once].
func CheckHTTP(in HTTPProof, method, target string, bodyHash [sha256.Size]byte, now time.Time) Refusal {
	at, ok := in.time()
	if !ok || !at.near(now) {
		return TimestampSkew
	}
	if !in.shapes() || !isMethod(method) || target == "" {
		return Malformed
	}
	var buf [2 * textSize]byte
	text := appendHTTP(buf[:0], method, target, in.Mesh, in.Key, in.Timestamp, bodyHash)
	return checkSigned(in.Key, in.Signature, text)
}

// Once returns what a caller remembers, for twice [MaxSkew], to take a proof
// only once: the SHA-256 of the signature's bytes. Respelling the header does
// not change it, and nobody but the signer can make a second signature over the
// same request. It means nothing before [CheckHTTP] has accepted the proof.
func (in HTTPProof) Once() [sha256.Size]byte {
	sig, _ := ParseSignature(in.Signature)
	return sha256.Sum256(sig[:])
}

// SignHTTP returns the value of the Authorization header that [CheckHTTP]
// accepts for a request with this method, target and body.
func SignHTTP(member ed25519.PrivateKey, method, target, meshID string, body []byte, at time.Time) string {
	in := HTTPProof{
		Mesh:      meshID,
		Key:       PublicKey(member).String(),
		Timestamp: string(millisToken(at)),
	}
	in.Signature = signHex(member, HTTPText(method, target, meshID, in.Key, in.Timestamp, sha256.Sum256(body)))
	return in.header()
}

// appendHTTP appends the canonical text of a request.
func appendHTTP(dst []byte, method, target, meshID, key, timestamp string, bodyHash [sha256.Size]byte) []byte {
	dst = appendFields(dst, httpLabel, method, target, meshID, key, timestamp)
	return hex.AppendEncode(append(dst, '|'), bodyHash[:])
}

// isMethod reports whether s is a method that can be signed: ASCII letters and
// dashes. HTTP allows more, the separator among it.
func isMethod(s string) bool {
	return s != "" && len(s) <= maxHTTPMethod && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// notInField reports whether r cannot stand between the quotes of a mesh id.
func notInField(r rune) bool {
	return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == '|'
}
