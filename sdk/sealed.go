package sdk

import "crypto/sha256"

// Sealed is a Body whose sealed parts may be looked at. Stages read them
// through the methods of [Envelope], which work alike in the broker and in a
// plugin.
//
// What is returned belongs to the envelope: a stage reads it until Handle
// returns, and changes nothing. A Body that knows the payload's hash without
// the payload also has PayloadHash() ([32]byte, bool).
type Sealed interface {
	// Payload returns the ciphertext of a message, or nil.
	Payload() []byte

	// Credential returns the hello frame as it came, or nil.
	Credential() []byte
}

// hashed is a Body that knows the payload's hash.
type hashed interface {
	PayloadHash() ([sha256.Size]byte, bool)
}

// Payload returns the ciphertext of a message: nobody here can open it. It is
// nil for other kinds, and in a plugin that was not granted payload.bytes.
func (e *Envelope) Payload() []byte {
	if body, ok := e.Body.(Sealed); ok {
		return body.Payload()
	}
	return nil
}

// PayloadHash returns the SHA-256 of the ciphertext. It is false for kinds
// without a payload, and in a plugin that was granted neither payload.hash nor
// payload.bytes. In the broker each call hashes anew.
func (e *Envelope) PayloadHash() ([sha256.Size]byte, bool) {
	if body, ok := e.Body.(hashed); ok {
		if sum, known := body.PayloadHash(); known {
			return sum, true
		}
	}
	if payload := e.Payload(); payload != nil {
		return sha256.Sum256(payload), true
	}
	return [sha256.Size]byte{}, false
}

// Credential returns the hello frame as it came, with the proof of who is
// calling. It is nil for other kinds, and in a plugin that was not granted
// credential.read. It must never be logged.
func (e *Envelope) Credential() []byte {
	if body, ok := e.Body.(Sealed); ok {
		return body.Credential()
	}
	return nil
}
