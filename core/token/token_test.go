package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// header is what real makers write.
const header = `{"alg":"HS256","typ":"JWT"}`

// start is when all tests happen.
func start() time.Time { return time.Unix(1749956800, 0) }

// testKey is 32×07.
func testKey() [KeySize]byte { return [KeySize]byte([]byte(strings.Repeat("\x07", KeySize))) }

// forge makes a token without the library, of whatever header and payload.
func forge(key []byte, header, payload string) string {
	text := segment(header) + "." + segment(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + segment(string(mac.Sum(nil)))
}

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// middle decodes the second part as a client does.
func middle(tb testing.TB, text string) string {
	tb.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) <= 50 {
		tb.Fatalf("got %q, want three parts and more than 50 characters", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// shape is a row about the form of a token, which both kinds share.
type shape struct {
	name string
	text string
	want error
}

// shapes are tokens under key whose payload is good and whose form is not.
func shapes(key []byte, good string) []shape {
	text := forge(key, header, good)
	parts := strings.Split(text, ".")
	return []shape{
		{"takes a good one", text, nil},
		{"takes a header with a key id", forge(key, `{"alg":"HS256","kid":"1"}`, good), nil},
		{"refuses nothing", "", ErrMalformed},
		{"refuses dots", "..", ErrMalformed},
		{"refuses one part", parts[0], ErrMalformed},
		{"refuses two parts", parts[0] + "." + parts[1], ErrMalformed},
		{"refuses four parts", text + ".", ErrMalformed},
		{"refuses padding", text + "=", ErrMalformed},
		{"refuses a space behind", text + " ", ErrMalformed},
		{"refuses a line end inside the signature", text[:len(text)-4] + "\n" + text[len(text)-4:], ErrMalformed},
		{"refuses spare bits in the signature", nextSpelling(text), ErrMalformed},
		{"refuses standard base64", text[:len(text)-4] + "+/+/", ErrMalformed},
		{"refuses no signature", parts[0] + "." + parts[1] + ".", ErrSignature},
		{"refuses half a signature", text[:len(text)-23], ErrSignature},
		{"refuses another signature", parts[0] + "." + parts[1] + "." + segment(strings.Repeat("\x00", 32)), ErrSignature},
		{"refuses another payload", parts[0] + "." + segment(strings.Replace(good, "ada", "eve", 1)) + "." + parts[2], ErrSignature},
		{"refuses another header", segment(`{"typ":"JWT","alg":"HS256"}`) + "." + parts[1] + "." + parts[2], ErrSignature},
		{"refuses another key", forge([]byte(strings.Repeat("k", 32)), header, good), ErrSignature},
		{"refuses no algorithm", forge(key, `{"typ":"JWT"}`, good), ErrMalformed},
		{"refuses none", segment(`{"alg":"none"}`) + "." + parts[1] + ".", ErrAlgorithm},
		{"refuses none with a signature", forge(key, `{"alg":"none"}`, good), ErrAlgorithm},
		{"refuses none in another case", forge(key, `{"alg":"nOnE"}`, good), ErrAlgorithm},
		{"refuses HS512", forge(key, `{"alg":"HS512"}`, good), ErrAlgorithm},
		{"refuses HS384", forge(key, `{"alg":"HS384"}`, good), ErrAlgorithm},
		{"refuses RS256", forge(key, `{"alg":"RS256"}`, good), ErrAlgorithm},
		{"refuses the algorithm in another case", forge(key, `{"alg":"hs256"}`, good), ErrAlgorithm},
		{"refuses an endless algorithm", forge(key, `{"alg":"`+strings.Repeat("a", 33)+`"}`, good), ErrMalformed},
		{"refuses an algorithm that is no text", forge(key, `{"alg":["HS256"]}`, good), ErrMalformed},
		{"refuses two algorithms", forge(key, `{"alg":"none","alg":"HS256"}`, good), ErrMalformed},
		{"refuses the algorithm under another name", forge(key, `{"ALG":"HS256"}`, good), ErrMalformed},
		{"refuses a critical extension", forge(key, `{"alg":"HS256","crit":["b64"],"b64":false}`, good), ErrMalformed},
		{"refuses a critical null", forge(key, `{"alg":"HS256","crit":null}`, good), ErrMalformed},
		{"refuses a header that is no object", forge(key, `["HS256"]`, good), ErrMalformed},
		{"refuses a header of null", forge(key, `null`, good), ErrMalformed},
		{"refuses a header with more behind", forge(key, header+"{}", good), ErrMalformed},
		{"refuses a payload that is no JSON", forge(key, header, "x"), ErrMalformed},
		{"refuses an empty payload", forge(key, header, ""), ErrMalformed},
		{"refuses a payload of null", forge(key, header, "null"), ErrMalformed},
		{"refuses a payload that is a list", forge(key, header, "["+good+"]"), ErrMalformed},
		{"refuses a payload with more behind", forge(key, header, good+"{}"), ErrMalformed},
		{"refuses a claim twice", forge(key, header, `{"sub":"eve",`+good[1:]), ErrMalformed},
		{"refuses an unknown claim twice", forge(key, header, `{"x":1,"x":2,`+good[1:]), ErrMalformed},
		{"refuses what is not UTF-8", forge(key, header, `{"x":"`+"\xff"+`",`+good[1:]), ErrMalformed},
		{"refuses half a character", forge(key, header, `{"x":"\ud800",`+good[1:]), ErrMalformed},
		{"refuses a payload with an endless claim", forge(key, header, `{"x":"`+strings.Repeat("x", MaxSync)+`",`+good[1:]), ErrMalformed},
	}
}

// nextSpelling changes the last character by the bits that a decoder which is
// not strict throws away: 43 characters are 258 bits, for 256.
func nextSpelling(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(text) - 1
	return text[:last] + string(alphabet[strings.IndexByte(alphabet, text[last])+1])
}

// without drops one claim from a payload of ours, set exchanges its value.
func without(payload, claim string) string { return set(payload, claim, "") }

func set(payload, claim, value string) string {
	at := strings.Index(payload, `"`+claim+`":`)
	end := at + len(claim) + 3
	for depth := 0; depth > 0 || payload[end] != ',' && payload[end] != '}'; end++ {
		switch payload[end] {
		case '[':
			depth++
		case ']':
			depth--
		}
	}
	if value != "" {
		return payload[:at] + `"` + claim + `":` + value + payload[end:]
	}
	if payload[end] == ',' {
		return payload[:at] + payload[end+1:]
	}
	return payload[:at-1] + payload[end:]
}
