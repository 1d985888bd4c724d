package identity

import (
	"crypto/ed25519"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// InviteV2 is what is signed of a version 2 invite: fields of its row, not of
// anything the joining peer sends. The peer has only the short code, and gets
// the root key sealed to a key of its own.
type InviteV2 struct {
	MeshID      string
	InviteID    string
	ExpiresAt   int64 // Unix seconds, rounded down
	Role        string
	OwnerPubkey string // of the mesh, 64 hex digits
}

// capability is the stored form of a signed InviteV2. Pointers tell a missing
// part from an empty one.
type capability struct {
	Canonical *string `json:"canonical"`
	Signature *string `json:"signature"`
}

// Canonical returns the text that the owner signs.
func (i InviteV2) Canonical() string {
	return strings.Join([]string{
		"v=2", i.MeshID, i.InviteID, strconv.FormatInt(i.ExpiresAt, 10), i.Role, i.OwnerPubkey,
	}, "|")
}

// Sign returns the owner's signature over the canonical text, in hex. It is
// good only if OwnerPubkey is owner's.
func (i InviteV2) Sign(owner ed25519.PrivateKey) string {
	return signHex(owner, []byte(i.Canonical()))
}

// VerifySignature reports whether signature, in hex, is OwnerPubkey's.
func (i InviteV2) VerifySignature(signature string) bool {
	return checkSigned(i.OwnerPubkey, signature, []byte(i.Canonical())).OK()
}

// Capability returns the JSON text that is stored beside the row: the canonical
// text and its signature.
func (i InviteV2) Capability(owner ed25519.PrivateKey) (string, error) {
	canonical, signature := i.Canonical(), i.Sign(owner)
	text, err := json.Marshal(capability{Canonical: &canonical, Signature: &signature})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvite, err)
	}
	return string(text), nil
}

// CheckCapability compares a stored capability with the row as it is now. It
// returns [Malformed] when the text does not have both parts, and
// [BadSignature] when the row was changed after signing or the signature is not
// the owner's. Unknown parts are ignored.
func (i InviteV2) CheckCapability(stored string) Refusal {
	var c capability
	if err := json.Unmarshal([]byte(stored), &c); err != nil || c.Canonical == nil || c.Signature == nil {
		return Malformed
	}
	if *c.Canonical != i.Canonical() || !i.VerifySignature(*c.Signature) {
		return BadSignature
	}
	return Accepted
}
