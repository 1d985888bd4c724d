package wire

import "github.com/claudemesh/broker/sdk"

// Origin is who a push comes from: the routing key of the sender, or the broker
// itself, which is the zero Origin and "system" on the wire.
type Origin sdk.Key

// system is the senderPubkey of the broker's own pushes. Peers do not try to
// decrypt what it sends.
const system = "system"

// Key returns the sender's key, zero for the broker.
func (o Origin) Key() sdk.Key { return sdk.Key(o) }

// System reports whether the broker itself speaks.
func (o Origin) System() bool { return o == Origin{} }

// String returns the form on the wire.
func (o Origin) String() string {
	if o.System() {
		return system
	}
	return o.Key().String()
}

// MarshalText gives the form on the wire.
func (o Origin) MarshalText() ([]byte, error) { return o.appendTo(nil), nil }

func (o Origin) appendTo(dst []byte) []byte {
	if o.System() {
		return append(dst, system...)
	}
	return o.Key().AppendHex(dst)
}

// UnmarshalText reads "system" or a key.
func (o *Origin) UnmarshalText(b []byte) error {
	if string(b) == system {
		*o = Origin{}
		return nil
	}
	key, err := sdk.ParseKey(string(b))
	if err != nil {
		return err
	}
	*o = Origin(key)
	return nil
}
