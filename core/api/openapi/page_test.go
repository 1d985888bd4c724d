package openapi_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
)

// signedExample is an example of docs/http.md that is no request's signature.
type signedExample struct {
	signed, path string
	body         map[string]any
	raw          map[string]json.RawMessage // the body's fields as they stand there
	secret       ed25519.PrivateKey         // of the example of a request
}

// example reads the part of the page with a name.
func example(t *testing.T, name string) signedExample {
	t.Helper()
	page, err := os.ReadFile("../../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile(`(?s)<!-- begin ` + name + ` -->(.*)<!-- end ` + name + ` -->`).FindString(string(page))
	line := func(text, pattern string) string {
		m := regexp.MustCompile(`(?m)^` + pattern + `$`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the example %s has no line %s:\n%s", name, pattern, text)
		}
		return m[1]
	}
	seed, err := hex.DecodeString(line(string(page), `secret  (\w+)`))
	if err != nil {
		t.Fatal(err)
	}
	e := signedExample{
		signed: line(part, `signed  (.*)`), path: line(part, `POST (\S+) HTTP/1.1`), secret: ed25519.NewKeyFromSeed(seed),
	}
	for _, into := range []any{&e.body, &e.raw} {
		if err := json.Unmarshal([]byte(line(part, `(\{.*\})`)), into); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// wantSigned holds the text and the signature of an example to what the page says
// of them.
func (e signedExample) wantSigned(t *testing.T, parts ...string) {
	t.Helper()
	want := strings.Join(parts, "|")
	if e.signed != want {
		t.Errorf("got\n%s, want\n%s", e.signed, want)
	}
	if sig := hex.EncodeToString(ed25519.Sign(e.secret, []byte(want))); e.body["signature"] != sig {
		t.Errorf("got the signature %v, want %s", e.body["signature"], sig)
	}
}

var exampleTime = time.UnixMilli(1776254400000)

func TestPageLink(t *testing.T) {
	e := example(t, "link")
	pubkey, signature := e.body["pubkey"].(string), e.body["signature"].(string)
	e.wantSigned(t, "claudemesh-link-v1", "Xk3vQ9cT", pubkey, "ada", "1776254400000")
	r := identity.CheckLink(identity.LinkProof{
		MeshID: "Xk3vQ9cT", Pubkey: pubkey, AccountID: "ada", TimestampToken: e.raw["timestamp"], Signature: signature,
	}, exampleTime)
	if !r.OK() || e.path != "/cli/mesh/home/link" {
		t.Errorf("the broker does not take it: %v", r)
	}
}

func TestPageClaim(t *testing.T) {
	e := example(t, "claim")
	code := strings.TrimSuffix(strings.TrimPrefix(e.path, "/invites/"), "/claim")
	key, recipient, signature := e.body["peer_pubkey"].(string), e.body["recipient_x25519_pubkey"].(string), e.body["signature"].(string)
	if code != strings.ToLower(code) || !strings.Contains(code, "-") {
		t.Errorf("the example of a code, %s, does not show that it is signed as it stands", code)
	}
	e.wantSigned(t, "claudemesh-claim-v2", code, key, recipient, "1776254400000")
	r := identity.CheckClaim(identity.ClaimProof{
		Code: code, PeerPubkey: key, RecipientKey: recipient, TimestampToken: e.raw["timestamp"], Signature: signature,
	}, exampleTime)
	if !r.OK() {
		t.Errorf("the broker does not take it: %v", r)
	}
}
