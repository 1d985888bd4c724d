package sdk_test

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/claudemesh/broker/sdk"
)

type sealed struct{ payload, credential []byte }

func (s sealed) Payload() []byte    { return s.payload }
func (s sealed) Credential() []byte { return s.credential }

type onlyHash [sha256.Size]byte

func (onlyHash) Payload() []byte                          { return nil }
func (onlyHash) Credential() []byte                       { return nil }
func (h onlyHash) PayloadHash() ([sha256.Size]byte, bool) { return h, true }

func TestSealed(t *testing.T) {
	sum := sha256.Sum256([]byte("sealed"))
	tests := []struct {
		name                string
		body                any
		payload, credential string
		hash                [sha256.Size]byte
		hashed              bool
	}{
		{"gives nothing without a body", nil, "", "", [sha256.Size]byte{}, false},
		{"gives nothing of a body that is not sealed", 7, "", "", [sha256.Size]byte{}, false},
		{"gives the payload and hashes it", sealed{payload: []byte("sealed")}, "sealed", "", sum, true},
		{"gives the credential", sealed{credential: []byte("proof")}, "", "proof", [sha256.Size]byte{}, false},
		{"gives a hash without the payload", onlyHash(sum), "", "", sum, true},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			env := sdk.Envelope{Body: tt.body}
			hash, ok := env.PayloadHash()
			if string(env.Payload()) != tt.payload || string(env.Credential()) != tt.credential ||
				hash != tt.hash || ok != tt.hashed {
				t.Errorf("got %q, %q, %x, %v", env.Payload(), env.Credential(), hash, ok)
			}
		})
	}
}

func TestSetAudience(t *testing.T) {
	var env sdk.Envelope
	env.Target.Kind = sdk.TargetBroadcast
	env.SetAudience([]sdk.Recipient{{MemberID: "ada"}, {MemberID: "bo"}})
	out := env.Narrow(func(r *sdk.Recipient) bool { return r.MemberID == "bo" })
	list, err := env.Audience(context.Background())
	if err != nil || out != 1 || len(list) != 1 || list[0].MemberID != "bo" {
		t.Errorf("left out %d, kept %+v, %v", out, list, err)
	}
	env.Reset()
	if list, err := env.Audience(context.Background()); list != nil || err != nil {
		t.Errorf("after a reset: %+v, %v", list, err)
	}
}
