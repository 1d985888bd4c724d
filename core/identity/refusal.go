package identity

import "github.com/claudemesh/broker/sdk"

// Refusal says in one word why a proof was not accepted. It is the code of the
// error frame, the reason of the close and the label of the metric at once.
// The empty Refusal, [Accepted], means that the proof is good.
type Refusal string

// Refusals. Their words are the wire's, as listed in sdk.
const (
	Accepted      Refusal = ""                              // the proof is good
	TimestampSkew         = Refusal(sdk.ReasonSkew)         // not a finite number, or too far from our clock
	Malformed             = Refusal(sdk.ReasonMalformed)    // a key, signature or number is not one
	BadSignature          = Refusal(sdk.ReasonBadSignature) // well formed, but not signed by that key
	Expired               = Refusal(sdk.ReasonExpired)      // the attestation's end is not after now
	TTLTooLong            = Refusal(sdk.ReasonTTLTooLong)   // the attestation ends more than 24 h ahead
)

// OK reports whether the proof was accepted.
func (r Refusal) OK() bool { return r == Accepted }

// Reason returns the same word as the rest of the broker speaks it.
func (r Refusal) Reason() sdk.Reason { return sdk.Reason(r) }
