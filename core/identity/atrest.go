package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// AtRestKeySize is the length of an at-rest key in bytes (AES-256).
const AtRestKeySize = 32

// Sizes of the parts before the ciphertext in a blob.
const (
	atRestIV  = 12
	atRestTag = 16
)

// atRestPrefix tells a bound blob from one of before: base64 has no full stop.
const atRestPrefix = "2."

const atRestLabel = "claudemesh-at-rest-v2"

// Errors of the at-rest cipher. None repeats a key or a plaintext.
var (
	ErrAtRestKey = errors.New("an at-rest key is 64 hex digits")
	ErrAtRest    = errors.New("at-rest blob cannot be opened")

	// ErrUnbound comes with ErrAtRest for a blob that is bound to no place.
	ErrUnbound = errors.New("it is bound to no place in the store")
)

// Purpose is what a sealed value is for: the column that it stands in.
type Purpose string

// Purposes. The id that goes with one is that of the row.
const (
	OwnerSecretAtRest Purpose = "owner-secret" // a mesh's: seed of its owner's key
	RootKeyAtRest     Purpose = "root-key"     // a mesh's
	InviteAtRest      Purpose = "invite-token" // an invite's v1 token
	ScheduleAtRest    Purpose = "schedule"     // a schedule's text
	WebhookKeyAtRest  Purpose = "webhook-key"  // a webhook's: what its requests are signed with
	WatchAtRest       Purpose = "watch"        // a watch's: the headers of its requests
)

// AtRestText is what a sealed value is bound to: the associated data of its
// cipher. The purpose holds no separator, and the id is the rest.
func AtRestText(p Purpose, id string) []byte {
	return []byte(atRestLabel + "|" + string(p) + "|" + id)
}

// AtRest seals short values before they are written to the database, with
// AES-256-GCM. A blob is "2." and then base64 (standard, padded) of the 12-byte
// IV, the 16-byte tag and the ciphertext, in that order. It opens only for the
// purpose and the row that it was sealed for, so that who can write the database
// but lacks the key cannot have one value taken for another. Its methods may be
// called concurrently.
//
// Programs of before wrote blobs that are bound to nothing, without the "2.".
//
// IVs are random, so one key should seal fewer than 2^32 values.
type AtRest struct {
	aead    cipher.AEAD
	key     [AtRestKeySize]byte
	unbound atomic.Bool // see AcceptUnbound
}

// NewAtRest makes the cipher from a raw key.
func NewAtRest(key [AtRestKeySize]byte) *AtRest {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only a wrong key size, which the type excludes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only a block size other than AES's
	}
	return &AtRest{aead: aead, key: key}
}

// Key returns the raw key, which keys of other purposes are derived from. It is
// not used for anything else.
func (a *AtRest) Key() [AtRestKeySize]byte { return a.key }

// ParseAtRest makes the cipher from 64 hex digits in either case. Any other
// text gives [ErrAtRestKey].
func ParseAtRest(keyHex string) (*AtRest, error) {
	var key [AtRestKeySize]byte
	if len(keyHex) != 2*AtRestKeySize {
		return nil, ErrAtRestKey
	}
	if _, err := hex.Decode(key[:], []byte(keyHex)); err != nil {
		return nil, ErrAtRestKey
	}
	return NewAtRest(key), nil
}

// AcceptUnbound says whether OpenFor also opens blobs that are bound to nothing.
// It begins with no. Yes is for the time in which brokers of before share the
// store: they write such blobs, and can read no others.
func (a *AtRest) AcceptUnbound(yes bool) { a.unbound.Store(yes) }

// SealFor returns a blob of plaintext under a fresh random IV, for the row with
// this id and no other, and for this purpose: sealing one value twice gives two
// different blobs.
func (a *AtRest) SealFor(p Purpose, id string, plaintext []byte) string {
	var iv [atRestIV]byte
	rand.Read(iv[:]) // never fails: it ends the process instead
	return atRestPrefix + a.sealWith(iv, plaintext, AtRestText(p, id))
}

// sealWith makes the part after the prefix under a chosen IV, which must never
// be used twice.
func (a *AtRest) sealWith(iv [atRestIV]byte, plaintext, bound []byte) string {
	sealed := a.aead.Seal(nil, iv[:], plaintext, bound) // ciphertext, then tag
	tag := len(sealed) - atRestTag
	blob := make([]byte, 0, atRestIV+len(sealed))
	blob = append(blob, iv[:]...)
	blob = append(blob, sealed[tag:]...)
	blob = append(blob, sealed[:tag]...)
	return base64.StdEncoding.EncodeToString(blob)
}

// IsBound reports whether a blob says that it is bound. [AtRest.OpenFor] alone
// tells to what, and whether that is true.
func IsBound(blob string) bool { return strings.HasPrefix(blob, atRestPrefix) }

// OpenFor returns the plaintext of a blob, or an error that is [ErrAtRest] when
// the blob is damaged, was sealed under another key, for another row or another
// purpose, or is not a blob at all. One that is bound to nothing is also
// [ErrUnbound], unless such are accepted.
func (a *AtRest) OpenFor(p Purpose, id, blob string) ([]byte, error) {
	sealed, bound := strings.CutPrefix(blob, atRestPrefix)
	switch {
	case bound:
		return a.open(sealed, AtRestText(p, id))
	case a.unbound.Load():
		return a.OpenUnbound(blob)
	default:
		return nil, fmt.Errorf("%w: %w", ErrAtRest, ErrUnbound)
	}
}

// OpenUnbound is OpenFor for a blob of before, which is bound to nothing: it may
// have been put where it is by anybody who can write there. The caller makes
// sure that it is what it should be.
func (a *AtRest) OpenUnbound(blob string) ([]byte, error) { return a.open(blob, nil) }

func (a *AtRest) open(blob string, bound []byte) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(blob)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrAtRest)
	}
	if len(raw) < atRestIV+atRestTag {
		return nil, fmt.Errorf("%w: too short", ErrAtRest)
	}
	tagAt, textAt := atRestIV, atRestIV+atRestTag
	sealed := make([]byte, 0, len(raw)-atRestIV)
	sealed = append(sealed, raw[textAt:]...)
	sealed = append(sealed, raw[tagAt:textAt]...)
	plaintext, err := a.aead.Open(sealed[:0], raw[:atRestIV], sealed, bound)
	if err != nil {
		return nil, fmt.Errorf("%w: damaged, or sealed with another key or for another place", ErrAtRest)
	}
	return plaintext, nil
}
