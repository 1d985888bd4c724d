package identity

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInviteV1Vectors(t *testing.T) {
	all := loadVectors(t)
	for _, v := range all.InviteV1 {
		t.Run(v.Name, func(t *testing.T) {
			for _, form := range []string{
				v.Token, v.Link, " " + v.Token + "\n",
				"https://mesh.example/de/join/" + v.Token + "/?utm=1#x", InviteLink(v.Token),
			} {
				got, err := ParseToken(form)
				if err != nil {
					t.Fatalf("%.40s…: %v", form, err)
				}
				if diff := cmp.Diff(v.Payload, got); diff != "" {
					t.Errorf("payload (-want +got):\n%s", diff)
				}
			}
			if got := v.Payload.Canonical(); got != v.Canonical || got != string(mustHex(t, v.CanonicalHex)) {
				t.Errorf("got canonical text %q, want %q", got, v.Canonical)
			}
			if got := v.Payload.VerifySignature(); got != v.ExpectSignatureOK {
				t.Errorf("got signature good %v, want %v", got, v.ExpectSignatureOK)
			}
			token, err := v.Payload.Token()
			if err != nil || token != v.Token {
				t.Errorf("got token %s, %v, want %s", token, err, v.Token)
			}
			if !v.ExpectSignatureOK {
				return
			}
			label := "owner"
			if v.Name == "signed_by_other_owner" {
				label = "other-owner"
			}
			signed := v.Payload
			signed.Version, signed.OwnerPubkey, signed.Signature = 0, "", ""
			if err := signed.Sign(all.secret(t, label)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Payload, signed); diff != "" {
				t.Errorf("signed again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInviteV1Refuses(t *testing.T) {
	all := loadVectors(t)
	owner := all.secret(t, "owner")
	good := all.InviteV1[0].Payload
	tests := []struct {
		name   string
		change func(*InviteV1)
	}{
		{"another version", func(i *InviteV1) { i.Version = 2 }},
		{"no mesh", func(i *InviteV1) { i.MeshID = "" }},
		{"no slug", func(i *InviteV1) { i.MeshSlug = "" }},
		{"no broker", func(i *InviteV1) { i.BrokerURL = "" }},
		{"no root key", func(i *InviteV1) { i.MeshRootKey = "" }},
		{"a pipe in the slug", func(i *InviteV1) { i.MeshSlug = "a|b" }},
		{"a pipe in the broker", func(i *InviteV1) { i.BrokerURL = "wss://a|b" }},
		{"another role", func(i *InviteV1) { i.Role = "owner" }},
		{"an expiry of zero", func(i *InviteV1) { i.ExpiresAt = 0 }},
		{"an expiry that is not exact in JavaScript", func(i *InviteV1) { i.ExpiresAt = maxExpires + 1 }},
		{"an owner that is no key", func(i *InviteV1) { i.OwnerPubkey = "x" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := good
			tt.change(&bad)
			if err := bad.Validate(); !errors.Is(err, ErrInvite) {
				t.Errorf("got error %v, want %v", err, ErrInvite)
			}
			// Even when the owner did sign it.
			bad.Signature = signHex(owner, []byte(bad.Canonical()))
			if bad.VerifySignature() {
				t.Error("got a good signature, want a refusal")
			}
			token, err := bad.Token()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseToken(token); !errors.Is(err, ErrInvite) {
				t.Errorf("got %+v, %v, want %v", got, err, ErrInvite)
			}
		})
	}
}

func TestInviteV1SignRefuses(t *testing.T) {
	_, owner := NewKeypair()
	invite := InviteV1{MeshID: "m"}
	if err := invite.Sign(owner); !errors.Is(err, ErrInvite) || invite.Signature != "" {
		t.Errorf("got signature %q, error %v, want none and %v", invite.Signature, err, ErrInvite)
	}
}

func TestInviteV1TokenRefuses(t *testing.T) {
	good := loadVectors(t).InviteV1[0].Payload
	tests := []struct{ name, slug string }{
		{"a token that nobody would read", strings.Repeat("x", MaxToken)},
		{"text that is not UTF-8", "a\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := good
			bad.MeshSlug = tt.slug
			if _, err := bad.Token(); !errors.Is(err, ErrInvite) {
				t.Errorf("got error %v, want %v", err, ErrInvite)
			}
		})
	}
}

func TestParseTokenRefuses(t *testing.T) {
	v := loadVectors(t).InviteV1[0]
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	replace := func(from, to string) string {
		if !strings.Contains(v.PayloadJSON, from) {
			t.Fatalf("no %s in the payload", from)
		}
		return encode(strings.Replace(v.PayloadJSON, from, to, 1))
	}
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"space", "  \n"},
		{"a link without a token", "ic://join/"},
		{"an https link without a token", "https://mesh.example/join/"},
		{"an https link to somewhere else", "https://mesh.example/" + v.Token},
		{"a link that is not https", "http://mesh.example/join/" + v.Token},
		{"padding", encode(v.PayloadJSON+" ") + "="},
		{"the standard alphabet", v.Token + "+"},
		{"a line end inside", v.Token[:40] + "\n" + v.Token[40:]},
		{"a token of more than 8 KiB", strings.Repeat("A", MaxToken+1)},
		{"a very long link", "https://mesh.example/" + strings.Repeat("a/", MaxToken) + "join/" + v.Token},
		{"what is not JSON", encode("hello")},
		{"what is not an object", encode("[1]")},
		{"a second value behind", encode(v.PayloadJSON + "{}")},
		{"a field twice", replace(`"v":1`, `"v":1,"v":1`)},
		{"an unknown field", replace(`"v":1`, `"v":1,"extra":true`)},
		{"a field of another case", replace(`"mesh_id"`, `"Mesh_id"`)},
		{"a missing field", replace(`"v":1,`, ``)},
		{"a number as text", replace(`"v":1`, `"v":"1"`)},
		{"an expiry with a fraction", replace(`"expires_at":1776859200`, `"expires_at":1776859200.5`)},
		{"an expiry beyond 64 bits", replace(`"expires_at":1776859200`, `"expires_at":99999999999999999999`)},
		{"a signature that is none", replace(`"signature":"`, `"signature":"zz`)},
		{"text that is not UTF-8", replace(`dev-team`, "dev\xff")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseToken(tt.in); !errors.Is(err, ErrInvite) {
				t.Errorf("got %+v, %v, want %v", got, err, ErrInvite)
			}
		})
	}
}

func TestInviteV2Vectors(t *testing.T) {
	all := loadVectors(t)
	for _, v := range all.InviteV2 {
		t.Run(v.Name, func(t *testing.T) {
			row := InviteV2(v.Row)
			if got := row.Canonical(); got != v.Canonical || got != string(mustHex(t, v.CanonicalHex)) {
				t.Errorf("got canonical text %q, want %q", got, v.Canonical)
			}
			want := Accepted
			if !v.ExpectSignatureOK {
				want = BadSignature
			}
			if got := row.CheckCapability(v.StoredCapability); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := row.VerifySignature(v.Signature); got != v.ExpectSignatureOK {
				t.Errorf("got signature good %v, want %v", got, v.ExpectSignatureOK)
			}
			if !v.ExpectSignatureOK {
				return
			}
			if got, err := row.Capability(all.secret(t, "owner")); err != nil || got != v.StoredCapability {
				t.Errorf("got capability %s, %v, want %s", got, err, v.StoredCapability)
			}
		})
	}
}

func TestInviteV2CheckCapability(t *testing.T) {
	v := loadVectors(t).InviteV2[0]
	row := InviteV2(v.Row)
	tests := []struct {
		name, stored string
		want         Refusal
	}{
		{"refuses nothing", "", Malformed},
		{"refuses what is not JSON", "{", Malformed},
		{"refuses a missing signature", `{"canonical":"x"}`, Malformed},
		{"refuses a missing text", `{"signature":"x"}`, Malformed},
		{"refuses null parts", `{"canonical":null,"signature":null}`, Malformed},
		{"refuses a signature of no shape", `{"canonical":"` + v.Canonical + `","signature":"x"}`, BadSignature},
		{"refuses another text", `{"canonical":"x","signature":"` + v.Signature + `"}`, BadSignature},
		{"ignores what it does not know", `{"n":1,"canonical":"` + v.Canonical + `","signature":"` + v.Signature + `"}`, Accepted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := row.CheckCapability(tt.stored); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzInvite(f *testing.F) {
	for _, v := range loadVectors(f).InviteV1 {
		f.Add(v.Token)
		f.Add(v.Link)
		f.Add("https://mesh.example/join/" + v.Token + "?a=b")
	}
	f.Add("")
	f.Add("ic://join/")
	f.Add("https:///join//join/#")
	f.Fuzz(func(t *testing.T, s string) {
		invite, err := ParseToken(s)
		if err != nil {
			if !errors.Is(err, ErrInvite) || invite != (InviteV1{}) {
				t.Fatalf("got %+v, %v, want nothing and %v", invite, err, ErrInvite)
			}
			return
		}
		token, err := invite.Token()
		if err != nil {
			t.Fatalf("%+v cannot be encoded: %v", invite, err)
		}
		again, err := ParseToken(InviteLink(token))
		if err != nil || again != invite {
			t.Fatalf("got %+v, %v, want %+v", again, err, invite)
		}
	})
}

func BenchmarkParseToken(b *testing.B) {
	token := loadVectors(b).InviteV1[0].Token
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseToken(token); err != nil {
			b.Fatal(err)
		}
	}
}
