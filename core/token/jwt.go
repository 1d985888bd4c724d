package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// algorithm is the only one that is made or taken.
const algorithm = "HS256"

const (
	maxAlgorithm = 8            // bytes of an algorithm's name, which an error repeats; ours have 4 to 6
	maxDate      = 253402300799 // seconds; the end of the year 9999
)

// payload is the middle part of a token as JSON text. The library carries it
// and checks the signature; what is in it is read here, strictly, afterwards.
// The embedded claims stay empty: the library asks for their methods, and
// calls none of them while it is told not to validate.
type payload struct {
	jwt.RegisteredClaims
	text []byte
}

// MarshalJSON returns the text.
func (p *payload) MarshalJSON() ([]byte, error) { return p.text, nil }

// UnmarshalJSON takes the text.
func (p *payload) UnmarshalJSON(text []byte) error {
	p.text = append([]byte(nil), text...)
	return nil
}

// seal makes a token of claims.
func seal(claims any, key []byte) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err) // text that is not UTF-8
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, &payload{text: text}).SignedString(key)
}

// open checks shape, algorithm and signature of a token of at most limit bytes
// and reads its payload into claims. Unknown claims are ignored; one that comes
// twice, or under a name in another case, is not taken for a known one.
func open(text string, limit int, key []byte, claims any) error {
	if len(text) > limit || strings.ContainsFunc(text, notInToken) {
		return ErrMalformed
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}),
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation(),
	)
	if err := checkHeader(parser, text); err != nil {
		return err
	}
	var p payload
	_, err := parser.ParseWithClaims(text, &p, func(*jwt.Token) (any, error) { return key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return ErrSignature
	case err != nil:
		return ErrMalformed
	}
	if err := json.Unmarshal(p.text, claims); err != nil {
		return ErrMalformed
	}
	return nil
}

// checkHeader reads the first part before the library does, which would take
// the last of two algorithms, and would ignore what RFC 7515 (4.1.11) says must
// not be ignored: a critical extension.
func checkHeader(parser *jwt.Parser, text string) error {
	first, _, _ := strings.Cut(text, ".")
	raw, err := parser.DecodeSegment(first)
	if err != nil {
		return ErrMalformed
	}
	var header struct {
		Algorithm string         `json:"alg"`
		Critical  jsontext.Value `json:"crit"`
	}
	if err := json.Unmarshal(raw, &header); err != nil || header.Critical != nil {
		return ErrMalformed
	}
	switch {
	case header.Algorithm == "" || len(header.Algorithm) > maxAlgorithm:
		return ErrMalformed
	case header.Algorithm != algorithm:
		return fmt.Errorf("%w: %s", ErrAlgorithm, header.Algorithm)
	}
	return nil
}

// notInToken reports whether r is neither of base64url nor the dot. Decoders
// skip line ends, with which one token would have many texts.
func notInToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// life is when a token begins and ends, in Unix seconds. Others may write
// fractions. Nil means that the claim is not there.
type life struct {
	IssuedAt  *float64 `json:"iat"`
	ExpiresAt *float64 `json:"exp"`
}

// check wants both times, the end after now and the beginning at most skew
// after now.
func (l life) check(now time.Time, skew time.Duration) (issued, expires time.Time, err error) {
	if issued, err = date(l.IssuedAt, "iat"); err != nil {
		return time.Time{}, time.Time{}, err
	}
	if expires, err = date(l.ExpiresAt, "exp"); err != nil {
		return time.Time{}, time.Time{}, err
	}
	switch {
	case !now.Before(expires):
		return time.Time{}, time.Time{}, ErrExpired
	case issued.After(now.Add(skew)):
		return time.Time{}, time.Time{}, ErrFuture
	}
	return issued, expires, nil
}

// date reads a time, cut to milliseconds.
func date(seconds *float64, name string) (time.Time, error) {
	switch {
	case seconds == nil:
		return time.Time{}, fmt.Errorf("%w: missing %s", ErrMalformed, name)
	case *seconds < 0 || *seconds > maxDate:
		return time.Time{}, fmt.Errorf("%w: %s is no time", ErrMalformed, name)
	}
	return time.UnixMilli(int64(*seconds * 1000)), nil
}
