package identity

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// One key signs texts of every purpose. A signature made for one is good for no
// other, also where the signer lets somebody else choose the ids.
func TestDomainsAreApart(t *testing.T) {
	key, secret := NewKeypair()
	recipient := mustSealKey(t, recipientKey)
	now := time.UnixMilli(1776254400000)
	ts, bodyHash := string(millisToken(now)), sha256.Sum256(nil)
	pub := key.String()

	invite := InviteV1{
		MeshID: "m", MeshSlug: "s", BrokerURL: "wss://b", ExpiresAt: 1776254400,
		MeshRootKey: "r", Role: RoleMember,
	}
	if err := invite.Sign(secret); err != nil {
		t.Fatal(err)
	}
	inviteV2 := InviteV2{MeshID: "m", InviteID: "i", ExpiresAt: 1776254400, Role: RoleMember, OwnerPubkey: pub}
	hello := func(mesh, member string) string { return SignHello(secret, mesh, member, now).Signature }
	http := func(method, target, mesh string) string {
		in, ok := ParseHTTPProof(SignHTTP(secret, method, target, mesh, nil, now))
		if !ok {
			t.Fatal("the signed header cannot be read")
		}
		return in.Signature
	}

	type purpose string
	signatures := []struct {
		name string
		of   purpose
		hex  string
	}{
		{"hello", "hello", hello("m", "a")},
		{"hello with a mesh named like an http proof", "", hello(httpLabel, "GET|/a|m|"+pub+"|"+ts)},
		{"hello with a mesh named like a claim", "", hello(claimLabel, "ABCD2345|"+pub)},
		{"attestation", "attestation", SignAttestation(secret, key, now.Add(time.Hour)).Signature},
		{"session hello", "session hello", SignSessionHello(secret, "m", key, now).Signature},
		{"session proof", "session proof", SignSessionProof(secret, "m", key, now).Signature},
		{"invite", "invite", invite.Signature},
		{"version 2 invite", "version 2 invite", inviteV2.Sign(secret)},
		{"claim", "claim", SignClaim(secret, "ABCD2345", recipient, now).Signature},
		{"http proof", "http proof", http("GET", "/a", "m")},
		{"http proof with a target like a claim", "", http("GET", "/a|"+claimLabel+"|ABCD2345|"+pub+"|"+recipientKey+"|"+ts, "m")},
		{"http proof with a mesh named like a label", "", http("GET", "/a", sessionHelloLabel)},
	}
	checks := []struct {
		of   purpose
		good func(signature string) bool
	}{
		{"hello", func(s string) bool {
			for _, ids := range [][2]string{
				{"m", "a"},
				{claimLabel, "ABCD2345"},
				{httpLabel, "GET|/a|m"},
				{httpLabel, "GET|/a|m|" + pub},
			} {
				if CheckHello(HelloProof{ids[0], ids[1], pub, []byte(ts), s}, now).OK() {
					return true
				}
			}
			return false
		}},
		{"attestation", func(s string) bool {
			return CheckAttestation(AttestationProof{pub, pub, millisToken(now.Add(time.Hour)), s}, now).OK()
		}},
		{"session hello", func(s string) bool {
			return CheckSessionHello(SessionHelloProof{"m", pub, pub, []byte(ts), s}, now).OK()
		}},
		{"session proof", func(s string) bool {
			return CheckSessionProof(SessionProof{"m", pub, pub, []byte(ts), s}, now).OK()
		}},
		{"invite", func(s string) bool {
			signed := invite
			signed.Signature = s
			return signed.VerifySignature()
		}},
		{"version 2 invite", inviteV2.VerifySignature},
		{"claim", func(s string) bool {
			return CheckClaim(ClaimProof{"ABCD2345", pub, recipientKey, []byte(ts), s}, now).OK()
		}},
		{"http proof", func(s string) bool {
			return CheckHTTP(HTTPProof{"m", pub, ts, s}, "GET", "/a", bodyHash, now).OK()
		}},
	}
	for _, signature := range signatures {
		for _, check := range checks {
			if got, want := check.good(signature.hex), signature.of == check.of; got != want {
				t.Errorf("a signature of a %s is good as a %s: got %v, want %v", signature.name, check.of, got, want)
			}
		}
	}
}

// The shape of the last fields alone keeps the new texts apart from a hello,
// which has no label: a hello ends in a key of 64 hex digits and a number, an
// http proof in 64 hex digits, a claim in 43 characters of base64url and a number.
func TestTextsEndApart(t *testing.T) {
	key, _ := NewKeypair()
	shape := func(text []byte) (last, before int) {
		fields := strings.Split(string(text), "|")
		return len(fields[len(fields)-1]), len(fields[len(fields)-2])
	}
	const ts = "1776254400000"
	last, before := shape(HelloText(httpLabel, "GET|/a|m", key.String(), ts))
	if last != len(ts) || before != 64 {
		t.Errorf("hello: got %d behind %d characters, want %d behind 64", last, before, len(ts))
	}
	if last, _ := shape(HTTPText("GET", "/a", "m", key.String(), ts, sha256.Sum256(nil))); last != 64 {
		t.Errorf("http proof: got %d characters at the end, want 64", last)
	}
	last, before = shape(ClaimText("ABCD2345", key.String(), recipientKey, ts))
	if last != len(ts) || before != 43 {
		t.Errorf("claim: got %d behind %d characters, want %d behind 43", last, before, len(ts))
	}
}
