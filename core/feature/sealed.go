package feature

import "github.com/claudemesh/broker/core/wire"

// Payload implements [sdk.Sealed]: the ciphertext as the frame carried it, in
// the sender's own encoding.
func (c *Call) Payload() []byte {
	if m, ok := c.Request.(*wire.Send); ok {
		return []byte(m.Ciphertext)
	}
	return nil
}

// Credential implements [sdk.Sealed].
func (c *Call) Credential() []byte { return c.Hello }
