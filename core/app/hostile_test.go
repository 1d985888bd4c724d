package app_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// Keys whose order is small: nobody owns one, and anybody can sign for some.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}

// A refused hello is answered with an error frame, and the connection is closed
// with the error's code. The broker goes on to serve, and nothing is left.
func TestHostileHellos(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	now := time.Now()
	ada, eve := r.member("ada", store.RoleMember), r.member("eve", store.RoleMember)
	elsewhere, archived := r.otherMesh(false), r.otherMesh(true)
	revoked := r.member("revoked", store.RoleMember)
	r.revoke(revoked)
	at := now
	hello := func(id dial.Identity) frame { // signed anew each time
		at = at.Add(time.Millisecond)
		return r.hello(id, at)
	}
	in := func(id dial.Identity, mesh string) dial.Identity { id.MeshID = mesh; return id }
	launched := session(ada)
	before := runtime.NumGoroutine()

	tests := []struct {
		name string
		// frame is what is written.
		frame string
		code  string
	}{
		{"signed by another key", hello(ada).with("signature", hello(eve).value("signature")).String(), "bad_signature"},
		{"of another's key", hello(ada).with("pubkey", hello(eve).value("pubkey")).String(), "bad_signature"},
		{"signed for another mesh", hello(in(ada, elsewhere.MeshID)).with("meshId", quote(ada.MeshID)).String(), "bad_signature"},
		{"with another member's id", hello(ada).with("memberId", quote(eve.MemberID)).String(), "bad_signature"},
		{"signed with another member's id", r.hello(dial.Identity{MeshID: ada.MeshID, MemberID: eve.MemberID, Key: ada.Key}, now).String(), "unauthorized"},
		{"with a changed time", hello(ada).with("timestamp", strconv.FormatInt(now.UnixMilli(), 10)).String(), "bad_signature"},
		{"from the past", r.hello(ada, now.Add(-2*time.Minute)).String(), "timestamp_skew"},
		{"from the future", r.hello(ada, now.Add(2*time.Minute)).String(), "timestamp_skew"},
		{"with a time that is no number", hello(ada).with("timestamp", quote(strconv.FormatInt(now.UnixMilli(), 10))).String(), "timestamp_skew"},
		{"with a time beyond all numbers", hello(ada).with("timestamp", "1e999").String(), "timestamp_skew"},
		{"with a negative time", hello(ada).with("timestamp", "-1").String(), "timestamp_skew"},
		{"without a time", hello(ada).without("timestamp").String(), "timestamp_skew"},
		{"without a signature", hello(ada).without("signature").String(), "malformed"},
		{"with half a signature", hello(ada).with("signature", quote(strings.Repeat("ab", 32))).String(), "malformed"},
		{"without a key", hello(ada).without("pubkey").String(), "malformed"},
		{"with a key that is not hex", hello(ada).with("pubkey", quote(strings.Repeat("zz", 32))).String(), "malformed"},
		{"without a mesh", hello(ada).without("meshId").String(), "bad_signature"},
		{"with nothing", `{"type":"hello"}`, "timestamp_skew"},
		{"for a mesh that is none", hello(in(ada, "no-such-mesh")).String(), "unauthorized"},
		{"for a mesh of others", hello(in(ada, elsewhere.MeshID)).String(), "unauthorized"},
		{"for a mesh that is no more", hello(archived).String(), "unauthorized"},
		{"of a key of nobody", r.hello(stranger(r), now).String(), "unauthorized"},
		{"of a member that was revoked", hello(revoked).String(), "revoked"},
		{"with a session key in capitals", hello(launched).with("sessionPubkey", strings.ToUpper(hello(launched).value("sessionPubkey"))).String(), "bad_session_pubkey"},
		{"with half a session key", hello(ada).with("sessionPubkey", `"abcd"`).String(), "bad_session_pubkey"},
		{"with its own key as session key", hello(ada).with("sessionPubkey", hello(ada).value("pubkey")).String(), "bad_session_pubkey"},
		{"with another member's key as session key", hello(ada).with("sessionPubkey", hello(eve).value("pubkey")).String(), "session_key_taken"},
		{"with another member's session key", hello(ada).with("sessionPubkey", quote(served.bo.Key().String())).String(), "session_key_taken"},
		{"with a proof of the session key by another", hello(launched).with("sessionProof", hello(ada).value("signature")).String(), "bad_session_proof"},
		{"in a group that is none", hello(ada).with("groups", `[{"name":"a//b"}]`).String(), "invalid"},
		{"in everybody's group", hello(ada).with("groups", `[{"name":"all"}]`).String(), "invalid"},
		{"in a group without a name", hello(ada).with("groups", `[{"role":"lead"}]`).String(), "invalid"},
		{"in too many groups", hello(ada).with("groups", "["+strings.Repeat(`{"name":"g"},`, 64)+`{"name":"h"}]`).String(), "invalid"},
		{"with too long a name", hello(ada).with("displayName", quote(strings.Repeat("x", 257))).String(), "invalid"},
		{"with too long a directory", hello(ada).with("cwd", quote(strings.Repeat("x", 4097))).String(), "invalid"},
		{"with half a process", hello(ada).with("pid", "1.5").String(), "invalid"},
		{"with a process beyond all numbers", hello(ada).with("pid", "9223372036854775808").String(), "invalid"},
		{"that is cut off", hello(ada).String()[:200], "malformed"},
		{"with more behind it", hello(ada).String() + "{}", "malformed"},
		{"with a name twice", hello(ada).and("displayName", `"a"`).and("displayName", `"b"`).String(), "malformed"},
		{"nested without end", hello(ada).with("capabilities", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)).String(), "malformed"},
		{"nested without an end", hello(ada).with("capabilities", strings.Repeat(`{"a":`, 2000)).String(), "malformed"},
		{"that is not UTF-8", hello(ada).with("displayName", "\"\xff\xfe\"").String(), "malformed"},
		{"with half a character", hello(ada).with("displayName", `"\ud800"`).String(), "malformed"},
		{"with a control character", hello(ada).with("displayName", "\"a\nb\"").String(), "malformed"},
	}
	for _, key := range smallOrder {
		tests = append(tests, []struct{ name, frame, code string }{
			{"of the small key " + key[:4], r.hello(ada, now).with("pubkey", quote(key)).with("signature", quote("01"+strings.Repeat("00", 63))).String(), "bad_signature"},
			{"with the small session key " + key[:4], hello(ada).with("sessionPubkey", quote(key)).String(), "bad_session_pubkey"},
		}...)
	}
	for _, tt := range tests {
		t.Run("it refuses a hello "+tt.name, func(t *testing.T) {
			s := open(t, r.url, socketOptions{})
			s.write(tt.frame)
			s.wantError(tt.code)
			if tt.code == "revoked" {
				s.wantClosed(4002, "banned")
			} else {
				s.wantClosed(1008, tt.code)
			}
		})
	}
	r.wantServed(served, "after")
	r.wantLeft(2, 2)
	r.wantGoroutines(before)
}

func stranger(r *rig) dial.Identity {
	_, secret := identity.NewKeypair()
	return dial.Identity{MeshID: r.mesh.ID, MemberID: identity.NewID(), Key: secret}
}

// value returns a member's value, raw.
func (f frame) value(name string) string {
	for _, m := range f {
		if m.name == name {
			return m.value
		}
	}
	panic("no member " + name)
}

// wantGoroutines waits until there are no more goroutines than before.
func (r *rig) wantGoroutines(before int) {
	r.t.Helper()
	eventually(r.t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestHostileSessionHellos(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	now := time.Now()
	ada, eve := session(r.member("ada", store.RoleMember)), session(r.member("eve", store.RoleMember))
	good := r.vouched(ada, now)
	before := runtime.NumGoroutine()
	// word is ada's attestation, changed.
	word := func(change func(*wire.Attestation)) frame {
		h := ada.SessionHello(now)
		change(h.ParentAttestation)
		return frameOf(t, h)
	}
	until := func(d time.Duration) frame {
		p := identity.SignAttestation(ada.Key, identity.PublicKey(ada.SessionKey), now.Add(d))
		return word(func(a *wire.Attestation) { a.ExpiresAt, a.Signature = p.ExpiresToken, p.Signature })
	}
	evesWord := identity.SignAttestation(eve.Key, identity.PublicKey(ada.SessionKey), now.Add(time.Hour))

	tests := []struct {
		name  string
		frame frame
		code  string
	}{
		{"without a session key", good.without("sessionPubkey"), "bad_session_pubkey"},
		{"with a session key in capitals", good.with("sessionPubkey", strings.ToUpper(good.value("sessionPubkey"))), "bad_session_pubkey"},
		{"without a parent key", good.without("parentMemberPubkey"), "bad_parent_pubkey"},
		{"with a parent key in capitals", good.with("parentMemberPubkey", strings.ToUpper(good.value("parentMemberPubkey"))), "bad_parent_pubkey"},
		{"with a small session key", good.with("sessionPubkey", quote(smallOrder[0])), "bad_session_pubkey"},
		{"with a small parent key", good.with("parentMemberPubkey", quote(smallOrder[0])), "bad_parent_pubkey"},
		{"without an attestation", good.without("parentAttestation"), "attestation_mismatch"},
		{"with the attestation of another session", good.with("parentAttestation", r.vouched(session(ada), now).value("parentAttestation")), "attestation_mismatch"},
		{"with the attestation of another member", good.with("parentAttestation", r.vouched(eve, now).value("parentAttestation")), "attestation_mismatch"},
		{"with an attestation that is over", until(-time.Second), "expired"},
		{"with an attestation for too long", until(25 * time.Hour), "ttl_too_long"},
		{"with an attestation without an end", word(func(a *wire.Attestation) { a.ExpiresAt = []byte("null") }), "malformed"},
		{"with an attestation until a text", word(func(a *wire.Attestation) { a.ExpiresAt = []byte(`"` + string(a.ExpiresAt) + `"`) }), "malformed"},
		{"with half an attestation", word(func(a *wire.Attestation) { a.Signature = a.Signature[:64] }), "malformed"},
		{"vouched for by another member", word(func(a *wire.Attestation) { a.ExpiresAt, a.Signature = evesWord.ExpiresToken, evesWord.Signature }), "bad_signature"},
		{"vouched for until another time", word(func(a *wire.Attestation) { a.ExpiresAt = []byte(strconv.FormatInt(now.Add(time.Hour).UnixMilli(), 10)) }), "bad_signature"},
		{"from the past", r.vouched(ada, now.Add(-2*time.Minute)), "timestamp_skew"},
		{"from the future", r.vouched(ada, now.Add(2*time.Minute)), "timestamp_skew"},
		{"without a time", good.without("timestamp"), "timestamp_skew"},
		{"with half a signature", good.with("signature", quote(strings.Repeat("ab", 32))), "malformed"},
		{"signed by another session", good.with("signature", r.vouched(session(ada), now).value("signature")), "bad_signature"},
		{"signed by its member", good.with("signature", r.hello(ada, now).value("signature")), "bad_signature"},
		{"signed for another mesh", good.with("meshId", `"other"`), "bad_signature"},
		{"of a member of nowhere", r.vouched(session(stranger(r)), now), "unauthorized"},
		{"with another parent's id", good.with("parentMemberId", quote(eve.MemberID)), "parent_member_id_mismatch"},
		{"with its parent's key as session key", r.vouched(dial.Identity{MeshID: ada.MeshID, MemberID: ada.MemberID, Key: ada.Key, SessionKey: ada.Key}, now), "bad_session_pubkey"},
		{"with another member's key as session key", r.vouched(dial.Identity{MeshID: ada.MeshID, MemberID: ada.MemberID, Key: ada.Key, SessionKey: eve.Key}, now), "session_key_taken"},
	}
	for _, tt := range tests {
		t.Run("it refuses a session_hello "+tt.name, func(t *testing.T) {
			s := open(t, r.url, socketOptions{})
			s.write(tt.frame.String())
			s.wantError(tt.code)
			s.wantClosed(1008, tt.code)
		})
	}
	r.wantServed(served, "after")
	r.wantLeft(2, 2)
	r.wantGoroutines(before)
}
