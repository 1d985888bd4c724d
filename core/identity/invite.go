package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/sdk"
	"github.com/go-json-experiment/json"
)

// ErrInvite is returned, wrapped, for text that is not an invite and for
// invites whose fields cannot be right.
var ErrInvite = errors.New("not an invite")

// Limits of what is read as an invite.
const (
	MaxToken   = 8 << 10        // bytes of one token; real ones have about 550
	maxLink    = MaxToken + 512 // bytes of a link with a token in it
	maxExpires = 1 << 53        // seconds; larger numbers are not exact in JavaScript
)

// Roles that an invite can give.
const (
	RoleAdmin  = "admin"
	RoleMember = "member"
)

// linkScheme is the front of an invite link that opens the command line.
const linkScheme = "ic://join/"

// InviteV1 is the payload of a version 1 invite. It carries the mesh's root key
// in the clear, so whoever holds the token can read what the mesh encrypts.
//
// The names and their order are those of the JSON inside the token. Everything
// but the signature is signed, by the mesh's owner; whether OwnerPubkey is that
// owner, and whether the invite was revoked or used up, is for the caller to
// look up, and so is the role, because the token is only a key to its row.
type InviteV1 struct {
	Version     int    `json:"v" needed:"true" doc:"version of the form: 1"`
	MeshID      string `json:"mesh_id" needed:"true" doc:"id of the mesh"`
	MeshSlug    string `json:"mesh_slug" needed:"true" doc:"slug of the mesh when the invite was made"`
	BrokerURL   string `json:"broker_url" needed:"true" doc:"WebSocket URL to connect to"`
	ExpiresAt   int64  `json:"expires_at" needed:"true" doc:"until when somebody can join with it, in seconds since 1970"`
	MeshRootKey string `json:"mesh_root_key" needed:"true" doc:"the mesh's root key, 32 bytes in base64url without padding, which the broker itself does not use"`
	Role        string `json:"role" needed:"true" enum:"admin,member" doc:"what it makes of who joins"`
	OwnerPubkey string `json:"owner_pubkey" needed:"true" doc:"ed25519 key of the mesh's owner, 64 hex digits"`
	Signature   string `json:"signature" needed:"true" doc:"by that key over 1|<mesh_id>|<mesh_slug>|<broker_url>|<expires_at>|<mesh_root_key>|<role>|<owner_pubkey>, 128 hex digits"`
}

// Canonical returns the text that the owner signs.
func (i InviteV1) Canonical() string {
	return strings.Join([]string{
		strconv.Itoa(i.Version), i.MeshID, i.MeshSlug, i.BrokerURL, strconv.FormatInt(i.ExpiresAt, 10),
		i.MeshRootKey, i.Role, i.OwnerPubkey,
	}, "|")
}

// Validate tests every field but the signature. Free text with a "|" in it is
// refused: the canonical text of such an invite could be read in two ways.
// Expiry is not judged. All errors are [ErrInvite].
func (i InviteV1) Validate() error {
	if i.Version != 1 {
		return fmt.Errorf("%w: version %d", ErrInvite, i.Version)
	}
	for _, f := range [...]struct{ name, value string }{
		{"mesh_id", i.MeshID},
		{"mesh_slug", i.MeshSlug},
		{"broker_url", i.BrokerURL},
		{"mesh_root_key", i.MeshRootKey},
	} {
		if f.value == "" || strings.Contains(f.value, "|") {
			return fmt.Errorf("%w: %s is empty or holds a |", ErrInvite, f.name)
		}
	}
	if i.ExpiresAt <= 0 || i.ExpiresAt > maxExpires {
		return fmt.Errorf("%w: expires_at %d", ErrInvite, i.ExpiresAt)
	}
	if i.Role != RoleAdmin && i.Role != RoleMember {
		return fmt.Errorf("%w: role is neither admin nor member", ErrInvite)
	}
	if _, err := sdk.ParseKey(i.OwnerPubkey); err != nil {
		return fmt.Errorf("%w: owner_pubkey: %w", ErrInvite, err)
	}
	return nil
}

// Sign sets the version, the owner's key and the signature. Fields that
// [InviteV1.Validate] refuses are not signed.
func (i *InviteV1) Sign(owner ed25519.PrivateKey) error {
	i.Version = 1
	i.OwnerPubkey = PublicKey(owner).String()
	if err := i.Validate(); err != nil {
		return err
	}
	i.Signature = signHex(owner, []byte(i.Canonical()))
	return nil
}

// VerifySignature reports whether the fields are valid and signed by the secret
// of the invite's own OwnerPubkey.
func (i InviteV1) VerifySignature() bool {
	return i.Validate() == nil && checkSigned(i.OwnerPubkey, i.Signature, []byte(i.Canonical())).OK()
}

// Token returns the base64url, without padding, of the invite's JSON. It equals
// the token that other makers give for the same payload, byte for byte, so
// comparing the two shows whether a payload belongs to a token. Text that is
// not UTF-8, or a token above [MaxToken], gives an error that is [ErrInvite].
func (i InviteV1) Token() (string, error) {
	text, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvite, err)
	}
	token := base64.RawURLEncoding.EncodeToString(text)
	if len(token) > MaxToken {
		return "", fmt.Errorf("%w: token of %d bytes", ErrInvite, len(token))
	}
	return token, nil
}

// InviteLink returns the link that opens the command line's join.
func InviteLink(token string) string { return linkScheme + token }

// ParseToken reads an invite from a token, an ic://join/ link or an https link
// with /join/ before the token. The JSON inside must have every field once, no
// other, and valid values; the signature's shape is tested, the signature is
// not: see [InviteV1.VerifySignature]. All errors are [ErrInvite].
func ParseToken(s string) (InviteV1, error) {
	token, err := ExtractToken(s)
	if err != nil {
		return InviteV1{}, err
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return InviteV1{}, fmt.Errorf("%w: token is not base64url", ErrInvite)
	}
	var invite InviteV1
	if err := json.Unmarshal(text, &invite, json.RejectUnknownMembers(true)); err != nil {
		return InviteV1{}, fmt.Errorf("%w: %w", ErrInvite, err)
	}
	if err := invite.Validate(); err != nil {
		return InviteV1{}, err
	}
	if _, err := ParseSignature(invite.Signature); err != nil {
		return InviteV1{}, fmt.Errorf("%w: %w", ErrInvite, err)
	}
	return invite, nil
}

// ExtractToken returns the token of a link, or s itself when it is a bare one,
// which is the text that invites are stored under. Space around s, a query, a
// fragment and a closing slash are dropped. What is left has only characters of
// base64url and at most [MaxToken] of them. All errors are [ErrInvite].
func ExtractToken(s string) (string, error) {
	if len(s) > maxLink {
		return "", fmt.Errorf("%w: %d bytes", ErrInvite, len(s))
	}
	token := strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(token, linkScheme); ok {
		token = trimLink(rest)
	} else if rest, ok := strings.CutPrefix(token, "https://"); ok {
		rest = trimLink(rest)
		at := strings.LastIndex(rest, "/join/")
		if at < 0 {
			return "", fmt.Errorf("%w: link without /join/", ErrInvite)
		}
		token = rest[at+len("/join/"):]
	}
	if token == "" || len(token) > MaxToken {
		return "", fmt.Errorf("%w: token of %d bytes", ErrInvite, len(token))
	}
	if strings.ContainsFunc(token, func(r rune) bool { return !isBase64URL(r) }) {
		return "", fmt.Errorf("%w: token is not base64url", ErrInvite)
	}
	return token, nil
}

// trimLink cuts what may follow the path of a link.
func trimLink(s string) string {
	if at := strings.IndexAny(s, "?#"); at >= 0 {
		s = s[:at]
	}
	return strings.TrimSuffix(s, "/")
}

// isBase64URL reports whether r is one of the 64 characters of base64url.
func isBase64URL(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}
