package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestCheckHelloVectors(t *testing.T) {
	for _, v := range loadVectors(t).Hello {
		t.Run(v.Name, func(t *testing.T) {
			want := Accepted
			if v.ExpectReason != nil {
				want = Refusal(*v.ExpectReason)
			}
			if want.OK() != v.ExpectOK {
				t.Fatalf("vector contradicts itself: ok %v, reason %q", v.ExpectOK, want)
			}
			got := CheckHello(HelloProof{
				MeshID: v.MeshID, MemberID: v.MemberID, Pubkey: v.Pubkey,
				TimestampToken: []byte(v.TimestampJSON), Signature: v.Signature,
			}, time.UnixMilli(v.NowMillis))
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}

			at, ok := parseMillis([]byte(v.TimestampJSON))
			if !ok {
				return // a string: there is no text to compare
			}
			text := HelloText(v.MeshID, v.MemberID, v.Pubkey, string(at.appendTo(nil)))
			if string(text) != v.Canonical || string(text) != string(mustHex(t, v.CanonicalHex)) {
				t.Errorf("got text %q, want %q", text, v.Canonical)
			}
		})
	}
}

// The numbers of the newer wire's documentation: seeds 32×01 and 32×02.
func TestSessionVectors(t *testing.T) {
	member := mustSecret(t, strings.Repeat("01", 32))
	session := mustSecret(t, strings.Repeat("02", 32))
	at := time.UnixMilli(1749956800000)
	expires := time.UnixMilli(1750000000000)
	now := at.Add(time.Second)

	attestation := SignAttestation(member, PublicKey(session), expires)
	sessionHello := SignSessionHello(session, "mesh-1", PublicKey(member), at)
	hello := SignHello(member, "mesh-1", "member-1", at)
	got := []string{
		PublicKey(member).String(), PublicKey(session).String(),
		attestation.Signature, sessionHello.Signature, hello.Signature,
	}
	want := []string{
		"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
		"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
		"6ea724e1294286ca827ff8841e0a9cbd180f9234087d899b05dfc8b59b88776e9bf9f9cc5dbd61cb6f6d9aa644de644ec43ab17447ec51b1ff88536328441b00",
		"d3df5ed4ab28523fc61820489ac4487e6247b49c845f390271264679e42ac1848e5f056b18cd863ee02efd8f540c52ecab9c88dfa55f39e1aa981e925c13d30b",
		"6d698e88f9511662e834158f285968d69567e9f77200b7798888ba583770aec90ab24693a8c7cbb8dfc44495336b05326e123cd0cebb251e20bfe5ad105ba205",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys and signatures (-want +got):\n%s", diff)
	}
	if got := CheckAttestation(attestation, now); got != Accepted {
		t.Errorf("attestation: got %q, want accepted", got)
	}
	if got := CheckSessionHello(sessionHello, now); got != Accepted {
		t.Errorf("session hello: got %q, want accepted", got)
	}
	if got := CheckHello(hello, now); got != Accepted {
		t.Errorf("hello: got %q, want accepted", got)
	}
}

func TestCheckHelloTimestampTokens(t *testing.T) {
	_, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	sign := func(timestamp string) HelloProof {
		in := SignHello(secret, "m", "a", now)
		in.Signature = signHex(secret, HelloText("m", "a", in.Pubkey, timestamp))
		return in
	}
	tests := []struct {
		name, token, printed string
		want                 Refusal
	}{
		{"takes plain digits", "1776254400000", "1776254400000", Accepted},
		{"prints an exponent as digits", "17762544E5", "1776254400000", Accepted},
		{"drops a fraction of zeros", "1776254400000.000", "1776254400000", Accepted},
		{"keeps a real fraction", "1776254400000.125", "1776254400000.125", Accepted},
		{"does not take the token for the text", "1776254400000.0", "1776254400000.0", BadSignature},
		{"refuses a fraction past the edge", "1776254460000.5", "1776254460000.5", TimestampSkew},
		{"refuses a string", `"1776254400000"`, "1776254400000", TimestampSkew},
		{"refuses null", "null", "null", TimestampSkew},
		{"refuses no token", "", "", TimestampSkew},
		{"refuses infinity", "1e999", "Infinity", TimestampSkew},
		{"refuses a plus sign", "+1776254400000", "1776254400000", TimestampSkew},
		{"refuses hex", "0x19d91a6d000", "1776254400000", TimestampSkew},
		{"refuses a leading zero", "01776254400000", "1776254400000", TimestampSkew},
		{"refuses an underscore", "1_776_254_400_000", "1776254400000", TimestampSkew},
		{"refuses a bare point", "1776254400000.", "1776254400000", TimestampSkew},
		{"refuses a bare exponent", "1776254400000e", "1776254400000", TimestampSkew},
		{"refuses a trailing space", "1776254400000 ", "1776254400000", TimestampSkew},
		{"refuses minus alone", "-", "-", TimestampSkew},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sign(tt.printed)
			in.TimestampToken = []byte(tt.token)
			if got := CheckHello(in, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHelloTextNearTheEpoch(t *testing.T) {
	at, ok := parseMillis([]byte("-0.0"))
	if got := string(at.appendTo(nil)); !ok || got != "0" {
		t.Errorf("got %q, %v, want 0", got, ok)
	}
}

func TestCheckAttestation(t *testing.T) {
	_, parent := NewKeypair()
	session, _ := NewKeypair()
	now := time.UnixMilli(1750000000000)
	good := SignAttestation(parent, session, now.Add(12*time.Hour))
	signed := func(expires time.Time) AttestationProof { return SignAttestation(parent, session, expires) }
	change := func(f func(*AttestationProof)) AttestationProof {
		in := good
		f(&in)
		return in
	}
	tests := []struct {
		name string
		in   AttestationProof
		want Refusal
	}{
		{"accepts twelve hours", good, Accepted},
		{"accepts one more millisecond", signed(now.Add(time.Millisecond)), Accepted},
		{"accepts exactly a day", signed(now.Add(MaxAttestation)), Accepted},
		{"refuses an end of now", signed(now), Expired},
		{"refuses an end in the past", signed(now.Add(-time.Hour)), Expired},
		{"refuses a day and a millisecond", signed(now.Add(MaxAttestation + time.Millisecond)), TTLTooLong},
		{"refuses an end that is no number", change(func(in *AttestationProof) { in.ExpiresToken = []byte(`"soon"`) }), Malformed},
		{"refuses an infinite end", change(func(in *AttestationProof) { in.ExpiresToken = []byte("1e999") }), Malformed},
		{"looks at the end before the shapes", change(func(in *AttestationProof) {
			in.ExpiresToken, in.ParentPubkey = []byte("1"), "x"
		}), Expired},
		{"refuses a parent key that is none", change(func(in *AttestationProof) { in.ParentPubkey = "x" }), Malformed},
		{"refuses a session key that is none", change(func(in *AttestationProof) { in.SessionPubkey = "x" }), Malformed},
		{"refuses a signature that is none", change(func(in *AttestationProof) { in.Signature = "x" }), Malformed},
		{"refuses another session", change(func(in *AttestationProof) {
			other, _ := NewKeypair()
			in.SessionPubkey = other.String()
		}), BadSignature},
		{"refuses another parent", change(func(in *AttestationProof) {
			other, _ := NewKeypair()
			in.ParentPubkey = other.String()
		}), BadSignature},
		{"refuses a later end than was signed", change(func(in *AttestationProof) {
			in.ExpiresToken = millisToken(now.Add(13 * time.Hour))
		}), BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := CheckAttestation(tt.in, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckSession(t *testing.T) {
	member, memberSecret := NewKeypair()
	stranger, _ := NewKeypair()
	_, session := NewKeypair()
	now := time.UnixMilli(1750000000000)
	tests := []struct {
		name   string
		at     time.Time
		change func(*SessionHelloProof)
		want   Refusal
	}{
		{"accepts a fresh one", now, nil, Accepted},
		{"accepts the far edge of the past", now.Add(-MaxSkew), nil, Accepted},
		{"accepts the far edge of the future", now.Add(MaxSkew), nil, Accepted},
		{"refuses one past the edge", now.Add(MaxSkew + time.Millisecond), nil, TimestampSkew},
		{"looks at the clock before the shapes", now.Add(-time.Hour), func(in *SessionHelloProof) { in.SessionPubkey = "x" }, TimestampSkew},
		{"refuses a parent key that is none", now, func(in *SessionHelloProof) { in.ParentPubkey = "x" }, Malformed},
		{"refuses a session key that is none", now, func(in *SessionHelloProof) { in.SessionPubkey = "x" }, Malformed},
		{"refuses a signature that is none", now, func(in *SessionHelloProof) { in.Signature = "x" }, Malformed},
		{"refuses another mesh", now, func(in *SessionHelloProof) { in.MeshID = "other" }, BadSignature},
		{"refuses another member", now, func(in *SessionHelloProof) { in.ParentPubkey = stranger.String() }, BadSignature},
		{"refuses the member's own signature", now, func(in *SessionHelloProof) {
			in.Signature = signHex(memberSecret, SessionHelloText("m", in.ParentPubkey, in.SessionPubkey, string(in.TimestampToken)))
		}, BadSignature},
	}
	for _, tt := range tests {
		t.Run("hello "+tt.name, func(t *testing.T) {
			in := SignSessionHello(session, "m", member, tt.at)
			if tt.change != nil {
				tt.change(&in)
			}
			if got := CheckSessionHello(in, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
		t.Run("proof "+tt.name, func(t *testing.T) {
			proof := SignSessionProof(session, "m", member, tt.at)
			in := SessionHelloProof{
				MeshID: proof.MeshID, ParentPubkey: proof.Pubkey, SessionPubkey: proof.SessionPubkey,
				TimestampToken: proof.TimestampToken, Signature: proof.Signature,
			}
			if tt.change != nil {
				tt.change(&in)
			}
			got := CheckSessionProof(SessionProof{
				MeshID: in.MeshID, Pubkey: in.ParentPubkey, SessionPubkey: in.SessionPubkey,
				TimestampToken: in.TimestampToken, Signature: in.Signature,
			}, now)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSessionProofIsNoSessionHello(t *testing.T) {
	member, _ := NewKeypair()
	_, session := NewKeypair()
	now := time.UnixMilli(1750000000000)
	proof := SignSessionProof(session, "m", member, now)
	got := CheckSessionHello(SessionHelloProof{
		MeshID: "m", ParentPubkey: proof.Pubkey, SessionPubkey: proof.SessionPubkey,
		TimestampToken: proof.TimestampToken, Signature: proof.Signature,
	}, now)
	if got != BadSignature {
		t.Errorf("got %q, want %q", got, BadSignature)
	}
}

func TestCheckAllocations(t *testing.T) {
	_, secret := NewKeypair()
	session, _ := NewKeypair()
	now := time.UnixMilli(1776254400000)
	hello := SignHello(secret, NewID(), NewID(), now)
	attestation := SignAttestation(secret, session, now.Add(time.Hour))
	got := testing.AllocsPerRun(20, func() {
		if !CheckHello(hello, now).OK() || !CheckAttestation(attestation, now).OK() {
			t.Error("got a refusal, want both accepted")
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func FuzzHello(f *testing.F) {
	for _, v := range loadVectors(f).Hello {
		f.Add([]byte(v.TimestampJSON))
	}
	for _, s := range []string{"-0", "1e999", "1E+2", "1.", "01", "0x1", "1e-7", "null", " 1", "1776254459999.9999"} {
		f.Add([]byte(s))
	}
	member, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	f.Fuzz(func(t *testing.T, token []byte) {
		at, ok := parseMillis(token)
		value := jsontext.Value(token)
		if ok && (!value.IsValid() || value.Kind() != '0') {
			t.Fatalf("%q: got a number, want a refusal: it is not one in JSON", token)
		}
		in := HelloProof{MeshID: "m", MemberID: "a", Pubkey: member.String(), TimestampToken: token}
		if !ok || !at.near(now) {
			if got := CheckHello(in, now); got != TimestampSkew {
				t.Fatalf("%q: got %q, want %q", token, got, TimestampSkew)
			}
			return
		}
		printed := at.appendTo(nil)
		if again, ok := parseMillis(printed); !ok || again != at {
			t.Fatalf("%q: printed as %q, read back as %v, want %v", token, printed, again, at)
		}
		in.Signature = signHex(secret, HelloText("m", "a", in.Pubkey, string(printed)))
		if got := CheckHello(in, now); got != Accepted {
			t.Fatalf("%q: got %q, want accepted", token, got)
		}
	})
}

func BenchmarkCheckHello(b *testing.B) {
	_, secret := NewKeypair()
	now := time.UnixMilli(1776254400000)
	in := SignHello(secret, NewID(), NewID(), now)
	b.ReportAllocs()
	for b.Loop() {
		if got := CheckHello(in, now); got != Accepted {
			b.Fatal(got)
		}
	}
}

func BenchmarkCheckAttestation(b *testing.B) {
	_, parent := NewKeypair()
	session, _ := NewKeypair()
	now := time.UnixMilli(1776254400000)
	in := SignAttestation(parent, session, now.Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if got := CheckAttestation(in, now); got != Accepted {
			b.Fatal(got)
		}
	}
}
