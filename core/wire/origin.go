package wire

import "github.com/claudemesh/broker/sdk"

// Origin is who a push comes from: the routing key of the sender, nobody for a
// message whose text no peer has sealed, or the broker itself, which is the zero
// Origin and "system" on the wire.
type Origin struct {
	key      sdk.Key
	unsealed bool
}

// system is the senderPubkey of the broker's own pushes. Peers do not try to
// decrypt what it sends.
const system = "system"

// OriginOf returns the origin of what a sender sealed. A zero key is the broker.
func OriginOf(sender sdk.Key) Origin { return Origin{key: sender} }

// Unsealed returns the origin of a message that the broker has sent for a member:
// its ciphertext is the base64 of a readable text. On the wire it is an empty
// senderPubkey, on which clients of both generations decode instead of decrypting.
func Unsealed() Origin { return Origin{unsealed: true} }

// Key returns the sender's key, zero for the broker and for what nobody sealed.
func (o Origin) Key() sdk.Key { return o.key }

// System reports whether the broker itself speaks.
func (o Origin) System() bool { return o == Origin{} }

// Unsealed reports whether nobody sealed the text.
func (o Origin) Unsealed() bool { return o.unsealed }

// Equal reports whether both are the same.
func (o Origin) Equal(other Origin) bool { return o == other }

// String returns the form on the wire.
func (o Origin) String() string { return string(o.appendTo(nil)) }

// MarshalText gives the form on the wire.
func (o Origin) MarshalText() ([]byte, error) { return o.appendTo(nil), nil }

func (o Origin) appendTo(dst []byte) []byte {
	switch {
	case o.unsealed:
		return dst
	case o.System():
		return append(dst, system...)
	default:
		return o.key.AppendHex(dst)
	}
}

// UnmarshalText reads "system", a key, or nothing.
func (o *Origin) UnmarshalText(b []byte) error {
	switch string(b) {
	case system:
		*o = Origin{}
	case "":
		*o = Unsealed()
	default:
		key, err := sdk.ParseKey(string(b))
		if err != nil {
			return err
		}
		*o = OriginOf(key)
	}
	return nil
}
