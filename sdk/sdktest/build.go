package sdktest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// With changes an envelope that is being built.
type With func(*sdk.Envelope)

// Message returns a message that waits until its recipient is idle: from ada,
// to the key of bo, arrived now, unless with says otherwise. Its audience is bo
// for a key, and bo and two others for everything else.
func Message(with ...With) *sdk.Envelope {
	return Envelope(sdk.KindSend, append([]With{To(KeyOf("bo").String())}, with...)...)
}

// Envelope returns an envelope of any kind, from ada and to nobody.
func Envelope(kind sdk.Kind, with ...With) *sdk.Envelope {
	env := newEnvelope(kind, sdk.Sender{Conn: 1, Remote: "192.0.2.1"}, sdk.Target{})
	From("ada")(env)
	for _, change := range with {
		change(env)
	}
	return env
}

// KeyOf returns the key that stands for a name in this package: always the
// same, and nobody's.
func KeyOf(name string) sdk.Key { return sha256.Sum256([]byte("sdktest " + name)) }

// From sets the sender: a member with a key of its own.
func From(name string) With {
	return func(env *sdk.Envelope) {
		env.Sender.MemberID, env.Sender.Member, env.Sender.Name = "member-"+name, KeyOf(name), name
	}
}

// OnConn sets the sender's connection.
func OnConn(conn uint64) With { return func(env *sdk.Envelope) { env.Sender.Conn = conn } }

// To sets the target as a sender writes it: a key, "@group", "#topic" or "*".
// It panics for anything else.
func To(spec string) With {
	target, err := sdk.ParseTarget(spec)
	if err != nil {
		panic(fmt.Sprintf("sdktest: %q: %v", spec, err))
	}
	return func(env *sdk.Envelope) { env.Target = target }
}

// Recipients sets the audience.
func Recipients(list ...sdk.Recipient) With { return func(env *sdk.Envelope) { env.SetAudience(list) } }

// Priority sets the priority.
func Priority(p sdk.Priority) With { return func(env *sdk.Envelope) { env.Priority = p } }

// At sets when the envelope arrived.
func At(arrived time.Time) With { return func(env *sdk.Envelope) { env.Arrived = arrived } }

// Size sets the size in bytes.
func Size(bytes int) With { return func(env *sdk.Envelope) { env.Size = bytes } }

// Noted adds an attribute, as an earlier stage would.
func Noted(key, value string) With { return func(env *sdk.Envelope) { env.Note(key, value) } }

// Payload sets the ciphertext.
func Payload(ciphertext []byte) With {
	return func(env *sdk.Envelope) { sealedOf(env).payload = ciphertext }
}

// Credential sets the hello frame.
func Credential(frame []byte) With {
	return func(env *sdk.Envelope) { sealedOf(env).credential = frame }
}

// sealed is the body of an envelope that was built with sealed parts.
type sealed struct{ payload, credential []byte }

func (s *sealed) Payload() []byte    { return s.payload }
func (s *sealed) Credential() []byte { return s.credential }

func sealedOf(env *sdk.Envelope) *sealed {
	s, ok := env.Body.(*sealed)
	if !ok {
		s = &sealed{}
		env.Body = s
	}
	return s
}
