package feature

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// sealsMost is how many members one answer names that wait for a key.
const sealsMost = 50

// What a copy of a topic's key looks like: an x25519 key and a crypto_box of 32
// bytes, and the nonce of that.
const (
	topicKeyBytes   = 32 + 16 + 32
	topicNonceBytes = 24
)

// keyed returns a topic with a key that the member is in.
func (b *TopicBook) keyed(ctx context.Context, c *Call, idOrName string) (*topicAt, error) {
	t, err := b.find(ctx, c, idOrName)
	switch {
	case err != nil:
		return nil, err
	case !t.in():
		return nil, errNotIn
	case t.KeyPubkey == "":
		return nil, core.Refuse(ReasonTopicUnencrypted, "topic: it has no key: send to it with bodyVersion 1, or give it a key")
	}
	return t, nil
}

// Key returns the member's copy of a topic's key, with the topic.
func (b *TopicBook) Key(ctx context.Context, c *Call, idOrName string) (*store.Topic, *store.TopicKey, error) {
	t, err := b.keyed(ctx, c, idOrName)
	if err != nil {
		return nil, nil, err
	}
	k, err := b.store.TopicKey(ctx, t.ID, c.Env.Sender.MemberID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil, core.Refuse(ReasonKeyNotSealed, "topic: nobody has sealed its key for you yet: try again when a member that has it is here")
	case err != nil:
		return nil, nil, core.Unavailable(err)
	}
	return t.Topic, k, nil
}

// PendingSeals returns members of a topic that have no copy of its key, for one
// that has.
func (b *TopicBook) PendingSeals(ctx context.Context, c *Call, idOrName string) ([]*store.Seat, error) {
	t, _, err := b.Key(ctx, c, idOrName)
	if err != nil {
		return nil, err
	}
	list, err := b.store.UnsealedSeats(ctx, t, sealsMost)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return list, nil
}

// Seal gives a member of a topic its copy of the key, from one that has its own.
// A copy that is there stays; who got a wrong one leaves the topic and joins
// again.
func (b *TopicBook) Seal(ctx context.Context, c *Call, idOrName, memberID, encrypted, nonce string) error {
	if err := checkSealed(encrypted, nonce); err != nil {
		return err
	}
	t, _, err := b.Key(ctx, c, idOrName)
	if err != nil {
		return err
	}
	err = b.store.SealTopicKey(ctx, t, &store.TopicKey{
		TopicID: t.ID, MemberID: memberID, Encrypted: encrypted, Nonce: nonce, CreatedAt: time.Now(),
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return core.Refuse(ReasonNotInTopic, "memberId: nobody in the topic has this id: pending-seals has those that wait")
	case err != nil && !errors.Is(err, store.ErrConflict):
		return core.Unavailable(err)
	}
	return nil
}

// ClaimKey gives a key to a topic that has none, with the member's own copy of it.
func (b *TopicBook) ClaimKey(ctx context.Context, c *Call, idOrName, pubkey, encrypted, nonce string) error {
	if key, err := hex.DecodeString(pubkey); err != nil || len(key) != 32 {
		return core.Refuse(sdk.ReasonInvalid, "encryptedKeyPubkey: want an x25519 key of 64 hex digits")
	}
	if err := checkSealed(encrypted, nonce); err != nil {
		return err
	}
	t, err := b.find(ctx, c, idOrName)
	if err != nil {
		return err
	}
	if !t.in() || t.seat.Role == store.TopicObserver {
		return errNotIn
	}
	err = b.store.ClaimTopicKey(ctx, t.Topic, pubkey, &store.TopicKey{
		TopicID: t.ID, MemberID: c.Env.Sender.MemberID, Encrypted: encrypted, Nonce: nonce, CreatedAt: time.Now(),
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return core.Refuse(ReasonAlreadyEncrypted, "topic: it has a key already: ask for your copy of it")
	case errors.Is(err, store.ErrNotFound):
		return errNotIn
	case err != nil:
		return core.Unavailable(err)
	}
	b.record(c, "topic_key_claimed", t.Topic, "")
	return nil
}

func checkSealed(encrypted, nonce string) error {
	if b, err := base64.StdEncoding.DecodeString(encrypted); err != nil || len(b) != topicKeyBytes {
		return core.Refuse(sdk.ReasonInvalid, "encryptedKey: want base64 of an x25519 key of 32 bytes and a crypto_box of 48")
	}
	if b, err := base64.StdEncoding.DecodeString(nonce); err != nil || len(b) != topicNonceBytes {
		return core.Refuse(sdk.ReasonInvalid, "nonce: want base64 of 24 bytes")
	}
	return nil
}
