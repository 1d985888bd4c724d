package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
)

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage { return newRig(t).Stage })
}

func TestHelloVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := newRig(t)
			r.at = time.UnixMilli(v.Now)
			r.book.meshes[v.MeshID] = &store.Mesh{ID: v.MeshID}
			if key, err := sdk.ParseKey(v.Pubkey); err == nil {
				r.book.members[key] = &store.Member{ID: v.MemberID, MeshID: v.MeshID, Key: key}
			}
			d, call := r.handle("192.0.2.1", &wire.Hello{
				MeshID: v.MeshID, MemberID: v.MemberID, Pubkey: v.Pubkey,
				Timestamp: jsontext.Value(v.Timestamp), Signature: v.Signature,
			})
			if v.OK {
				want(t, d, "")
				if call.Member == nil || call.Env.Mesh != v.MeshID || call.Env.Sender.MemberID != v.MemberID {
					t.Errorf("got the sender %+v of mesh %s, want %s of %s", call.Env.Sender, call.Env.Mesh, v.MemberID, v.MeshID)
				}
				return
			}
			want(t, d, sdk.Reason(*v.Reason))
			if call.Member != nil || call.Env.Sender.MemberID != "" {
				t.Errorf("a refused hello proved %+v", call.Env.Sender)
			}
		})
	}
}

func TestHandleKnowsWhoNeedsNoHello(t *testing.T) {
	tests := []struct {
		name   string
		kind   sdk.Kind
		call   *feature.Call
		reason sdk.Reason
	}{
		{"knows no frame of the type of a request over HTTP", sdk.KindJoin, &feature.Call{}, sdk.ReasonNoHello},
		{"refuses requests that prove nobody", "http.anything", nil, sdk.ReasonUnauthorized},
		{"refuses frames before the hello", sdk.KindSend, &feature.Call{Request: &wire.Send{}}, sdk.ReasonNoHello},
		{"refuses types of nobody before the hello", "no_such_type", &feature.Call{}, sdk.ReasonNoHello},
		{"lets frames of a session pass", sdk.KindSend, &feature.Call{Request: &wire.Send{}, Session: bound}, ""},
		{"refuses a second hello", sdk.KindHello, &feature.Call{Request: &wire.Hello{}, Session: bound}, sdk.ReasonSecondHello},
		{"refuses a second session_hello", sdk.KindSessionHello, &feature.Call{Request: &wire.SessionHello{}, Session: bound}, sdk.ReasonSecondHello},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			env := &sdk.Envelope{Kind: tt.kind}
			if tt.call != nil {
				tt.call.Env, env.Body = env, tt.call
			}
			d, err := newRig(t).Handle(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			want(t, d, tt.reason)
		})
	}
}

func TestMembership(t *testing.T) {
	r := newRig(t)
	ada, eve := r.member("mesh", "ada"), r.member("mesh", "eve")
	archived := r.member("old", "archie")
	revoked := r.member("mesh", "rob")
	r.book.members[identity.PublicKey(revoked.Key)].RevokedAt = r.at
	claims := func(id dial.Identity, member string) *wire.Hello {
		id.MemberID = member
		return r.hello(id)
	}
	parent := func(id dial.Identity, member string) *wire.SessionHello {
		h := r.vouched(launch(id, "session of "+member))
		h.ParentMemberID = member
		return h
	}
	tests := []struct {
		name   string
		hello  wire.Frame
		reason sdk.Reason
	}{
		{"takes a member", r.hello(ada), ""},
		{"takes a member that does not say its id", claims(ada, ""), ""},
		{"refuses a member with another's id", claims(ada, eve.MemberID), sdk.ReasonUnauthorized},
		{"refuses who is no member", r.hello(dial.Identity{MeshID: "mesh", MemberID: "x", Key: secret("nobody")}), sdk.ReasonUnauthorized},
		{"refuses a member of another mesh", r.hello(dial.Identity{MeshID: "other", MemberID: ada.MemberID, Key: ada.Key}), sdk.ReasonUnauthorized},
		{"refuses a member of a mesh that is no more", r.hello(archived), sdk.ReasonUnauthorized},
		{"refuses a member that was revoked", r.hello(revoked), sdk.ReasonRevoked},
		{"takes a session of a member", parent(ada, ada.MemberID), ""},
		{"takes a session that does not say its member's id", parent(ada, ""), ""},
		{"refuses a session with another member's id", parent(ada, eve.MemberID), sdk.ReasonParentMismatch},
		{"refuses a session of a member that was revoked", parent(revoked, revoked.MemberID), sdk.ReasonRevoked},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			d, _ := r.handle("192.0.2.1", tt.hello)
			want(t, d, tt.reason)
		})
	}
}

func TestProvedFillsInTheSender(t *testing.T) {
	r := newRig(t)
	ada := launch(r.member("mesh", "ada"), "s1")
	session := identity.PublicKey(ada.SessionKey)
	for _, tt := range []struct {
		name  string
		hello func(dial.Identity) wire.Frame
		shown string
		want  string
	}{
		{"by hello", func(id dial.Identity) wire.Frame { return r.hello(id) }, "", "ada"},
		{"by session_hello", func(id dial.Identity) wire.Frame { return r.vouched(id) }, "Ada L.", "Ada L."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := ada
			id.DisplayName = tt.shown
			d, call := r.handle("192.0.2.1", tt.hello(id))
			want(t, d, "")
			got := call.Env.Sender
			wanted := sdk.Sender{
				MemberID: ada.MemberID, Member: identity.PublicKey(ada.Key), Session: session, Name: tt.want,
				Conn: 1, Remote: "192.0.2.1",
			}
			if got != wanted {
				t.Errorf("got %+v, want %+v", got, wanted)
			}
		})
	}
}

// A store that does not answer is a failure of the stage, never a refusal: the
// link's policy decides, and the client is told to come again.
func TestFailuresAreNoRefusals(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		name string
		fail func(*book)
	}{
		{"when members cannot be read", func(b *book) { b.MemberFn = func() error { return down } }},
		{"when keys cannot be claimed", func(b *book) { b.ClaimFn = func() error { return down } }},
		{"when the mesh cannot be read", func(b *book) { clear(b.meshes) }},
	} {
		t.Run("it fails "+tt.name, func(t *testing.T) {
			r := newRig(t)
			ada := launch(r.member("mesh", "ada"), "s1")
			tt.fail(r.book)
			for _, hello := range []wire.Frame{r.hello(ada), r.vouched(ada)} {
				if d, _, err := r.try("192.0.2.1", hello); err == nil {
					t.Errorf("%s: got %v %s, want an error", hello.FrameType(), d.Verdict, d.Reason)
				}
			}
		})
	}
}
