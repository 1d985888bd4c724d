package identity

import (
	"crypto/ed25519"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// linkLabel is the first field of a link's canonical string.
const linkLabel = "claudemesh-link-v1"

// maxLinkID is the length of the longest id in a link, in bytes.
const maxLinkID = 128

// LinkProof is a member's word that it belongs to an account, each field as it
// arrived. The account shows by a token of its own that it agrees.
//
// Somebody who repeats a proof gains nothing: it names the account, and no other
// can use it.
type LinkProof struct {
	MeshID         string
	Pubkey         string // of the member; 64 hex digits in either case
	AccountID      string // whose token comes along; never taken from the request
	TimestampToken []byte // the raw JSON token
	Signature      string // by the member's secret
}

// LinkText returns the bytes that a member signs to be linked to an account.
// See [CheckLink].
func LinkText(meshID, pubkey, accountID, timestamp string) []byte {
	return appendFields(nil, linkLabel, meshID, pubkey, accountID, timestamp)
}

// CheckLink is [CheckHello] for a link: the clock, then the shapes, then the
// signature. Ids that hold a "|" are [Malformed], and so is an account that is
// spelt like a key: the text could be a hello's, whose last fields are a key and
// a time. Whether the key is a live member's is for the caller to look up.
func CheckLink(in LinkProof, now time.Time) Refusal {
	at, ok := parseMillis(in.TimestampToken)
	if !ok || !at.near(now) {
		return TimestampSkew
	}
	if !linkable(in.MeshID) || !LinkableAccount(in.AccountID) {
		return Malformed
	}
	var buf [2 * textSize]byte
	text := appendFields(buf[:0], linkLabel, in.MeshID, in.Pubkey, in.AccountID)
	return checkSigned(in.Pubkey, in.Signature, at.appendTo(append(text, '|')))
}

func linkable(id string) bool { return id != "" && len(id) <= maxLinkID && !strings.Contains(id, "|") }

// LinkableAccount reports whether a link can name an account with this id.
func LinkableAccount(id string) bool {
	_, err := sdk.ParseKey(id)
	return linkable(id) && err != nil
}

// SignLink makes the proof that [CheckLink] accepts.
func SignLink(member ed25519.PrivateKey, meshID, accountID string, at time.Time) LinkProof {
	in := LinkProof{
		MeshID:         meshID,
		Pubkey:         PublicKey(member).String(),
		AccountID:      accountID,
		TimestampToken: millisToken(at),
	}
	in.Signature = signHex(member, LinkText(meshID, in.Pubkey, accountID, string(in.TimestampToken)))
	return in
}
