package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
)

// vectors are the members of testdata/vectors.json that this package answers
// for. The file was made with three independent implementations.
type vectors struct {
	Keys []struct {
		Label       string `json:"label"`
		SeedHex     string `json:"seed_hex"`
		PublicHex   string `json:"public_hex"`
		Secret64Hex string `json:"secret64_hex"`
	} `json:"keys"`
	Hello []struct {
		Name          string  `json:"name"`
		NowMillis     int64   `json:"now_ms"`
		MeshID        string  `json:"mesh_id"`
		MemberID      string  `json:"member_id"`
		Pubkey        string  `json:"pubkey"`
		TimestampJSON string  `json:"timestamp_json"`
		Signature     string  `json:"signature"`
		Canonical     string  `json:"canonical"`
		CanonicalHex  string  `json:"canonical_hex"`
		ExpectOK      bool    `json:"expect_ok"`
		ExpectReason  *string `json:"expect_reason"`
	} `json:"hello"`
	InviteV1 []struct {
		Name              string   `json:"name"`
		Payload           InviteV1 `json:"payload"`
		PayloadJSON       string   `json:"payload_json"`
		Token             string   `json:"token"`
		Link              string   `json:"link"`
		Canonical         string   `json:"canonical"`
		CanonicalHex      string   `json:"canonical_hex"`
		ExpectSignatureOK bool     `json:"expect_signature_ok"`
	} `json:"invite_v1"`
	InviteV2 []struct {
		Name string `json:"name"`
		Row  struct {
			MeshID      string `json:"mesh_id"`
			InviteID    string `json:"invite_id"`
			ExpiresAt   int64  `json:"expires_at"`
			Role        string `json:"role"`
			OwnerPubkey string `json:"owner_pubkey"`
		} `json:"row"`
		Canonical         string `json:"canonical"`
		CanonicalHex      string `json:"canonical_hex"`
		StoredCapability  string `json:"stored_capability"`
		Signature         string `json:"signature"`
		ExpectSignatureOK bool   `json:"expect_signature_ok"`
	} `json:"invite_v2"`
	InviteV2Seal struct {
		SecretHex        string `json:"secret_hex"`
		PublicBase64URL  string `json:"public_b64url"`
		RootKeyHex       string `json:"root_key_hex"`
		RootKeyBase64URL string `json:"root_key_b64url"`
		SealedBase64URL  string `json:"sealed_b64url"`
		SealedBytes      int    `json:"sealed_bytes"`
	} `json:"invite_v2_seal"`
	AtRest []struct {
		KeyHex       string `json:"key_hex"`
		IVHex        string `json:"iv_hex"`
		Plaintext    string `json:"plaintext"`
		PackedBase64 string `json:"packed_base64"`
		ExpectOK     bool   `json:"expect_ok"`
	} `json:"at_rest"`
	ClientDirectBox struct {
		Sender           string `json:"sender"`
		Recipient        string `json:"recipient"`
		Plaintext        string `json:"plaintext"`
		NonceBase64      string `json:"nonce_base64"`
		CiphertextBase64 string `json:"ciphertext_base64"`
		SenderHex        string `json:"sender_curve25519_public_hex"`
		RecipientHex     string `json:"recipient_curve25519_public_hex"`
	} `json:"client_direct_box"`
}

// loadVectors reads the file anew for each test; it is small.
func loadVectors(tb testing.TB) vectors {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	if len(v.Keys) == 0 || len(v.Hello) == 0 || len(v.InviteV1) == 0 || len(v.InviteV2) == 0 || len(v.AtRest) == 0 {
		tb.Fatal("vectors.json lacks a member that this package tests")
	}
	return v
}

// secret returns the secret key with the given label.
func (v vectors) secret(tb testing.TB, label string) ed25519.PrivateKey {
	tb.Helper()
	for _, k := range v.Keys {
		if k.Label == label {
			return mustSecret(tb, k.SeedHex)
		}
	}
	tb.Fatalf("no key %q in vectors.json", label)
	return nil
}

func mustSecret(tb testing.TB, s string) ed25519.PrivateKey {
	tb.Helper()
	secret, err := ParseSecret(s)
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

func mustHex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
