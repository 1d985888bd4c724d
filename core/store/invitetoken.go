package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// hashedToken begins the token column of an invite's row. No token of before
// begins so: they are base64url, which has no colon.
const hashedToken = "sha256:"

// HashInvite returns the hash by which the invite with a token is found.
func HashInvite(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// TokenColumn is how engines write the hash of an invite's token.
func TokenColumn(hash [32]byte) string { return hashedToken + hex.EncodeToString(hash[:]) }

// ReadToken takes what engines find in the token column of an invite's row: a
// hash, or in a row of a program of before, the token itself.
func (inv *Invite) ReadToken(column string) {
	digits, hashed := strings.CutPrefix(column, hashedToken)
	if !hashed {
		inv.PlainToken, inv.TokenHash = column, HashInvite(column)
		return
	}
	if sum, err := hex.DecodeString(digits); err == nil && len(sum) == len(inv.TokenHash) {
		inv.TokenHash = [32]byte(sum)
	}
}

// TwinColumn is what stands in the token column of an invite of before whose
// token another row has too: something that no token is found by. Two brokers,
// one of before, can make such twins. The other row answers for both.
func (inv *Invite) TwinColumn() string {
	return TokenColumn(HashInvite("twin|" + inv.ID + "|" + inv.PlainToken))
}
