package dial

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"unicode/utf8"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// nonceSize is the length of a nonce in bytes, also where nothing is sealed.
const nonceSize = 24

// SealDirect seals a text for the holder of a key, who sees this peer's routing
// key as its sender.
func (p *Peer) SealDirect(to sdk.Key, text string) (nonce, ciphertext string, err error) {
	return identity.SealTo(p.id.secret(), to, []byte(text))
}

// OpenDirect opens a message that was sealed for this peer's session key, or for
// its member's.
func (p *Peer) OpenDirect(push *wire.Push) (string, error) {
	var first error
	for _, secret := range []ed25519.PrivateKey{p.id.SessionKey, p.id.Key} {
		if secret == nil {
			continue
		}
		text, err := identity.OpenFrom(secret, push.SenderPubkey.Key(), push.Nonce, push.Ciphertext)
		if err == nil {
			return string(text), nil
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

// Plain puts a text into the form in which peers send to groups, topics and
// everybody: base64, not sealed, with a nonce that means nothing.
func Plain(text string) (nonce, ciphertext string) {
	var filler [nonceSize]byte
	rand.Read(filler[:])
	return base64.StdEncoding.EncodeToString(filler[:]), base64.StdEncoding.EncodeToString([]byte(text))
}

// Open reads a message as peers do: sealed for us, else plain.
func (p *Peer) Open(push *wire.Push) (string, error) {
	text, err := p.OpenDirect(push)
	if err == nil {
		return text, nil
	}
	plain, decodeErr := base64.StdEncoding.DecodeString(push.Ciphertext)
	if decodeErr != nil || !utf8.Valid(plain) {
		return "", err
	}
	return string(plain), nil
}

// SendText seals a text for the holder of a key and sends it.
func (p *Peer) SendText(ctx context.Context, to sdk.Key, priority sdk.Priority, text string, o SendOptions) (wire.Ack, error) {
	nonce, ciphertext, err := p.SealDirect(to, text)
	if err != nil {
		return wire.Ack{}, err
	}
	return p.Send(ctx, to.String(), priority, nonce, ciphertext, o)
}
