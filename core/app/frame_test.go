package app_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// frame is a JSON object whose members can be changed one by one, into
// something wrong too.
type frame []member

type member struct{ name, value string } // value is raw JSON, or what should be

// frameOf takes a frame apart.
func frameOf(tb testing.TB, f wire.Frame) frame {
	tb.Helper()
	text, err := wire.Append(nil, f)
	if err != nil {
		tb.Fatal(err)
	}
	return parseFrame(tb, string(text))
}

func parseFrame(tb testing.TB, text string) frame {
	tb.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(text))
	var members frame
	if _, err := dec.ReadToken(); err != nil {
		tb.Fatal(err)
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			tb.Fatal(err)
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			tb.Fatal(err)
		}
		members = append(members, member{text, string(value)})
	}
	return members
}

// with returns the frame with a member set, or added.
func (f frame) with(name, value string) frame {
	changed := append(frame(nil), f...)
	for i := range changed {
		if changed[i].name == name {
			changed[i].value = value
			return changed
		}
	}
	return append(changed, member{name, value})
}

// without returns the frame without a member.
func (f frame) without(name string) frame {
	var changed frame
	for _, m := range f {
		if m.name != name {
			changed = append(changed, m)
		}
	}
	return changed
}

// and returns the frame with one more member, though it may have it.
func (f frame) and(name, value string) frame { return append(slices.Clip(f), member{name, value}) }

func (f frame) String() string {
	var b strings.Builder
	for i, m := range f {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		b.WriteString(quote(m.name) + ":" + m.value)
	}
	return b.String() + "}"
}

// quote returns a text as JSON.
func quote(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// hello returns the hello of an identity, with a session key if it has one.
func (r *rig) hello(id dial.Identity, at time.Time) frame {
	r.t.Helper()
	return frameOf(r.t, id.Hello(at)).without("sessionProof")
}

// vouched returns the session_hello of an identity.
func (r *rig) vouched(id dial.Identity, at time.Time) frame {
	r.t.Helper()
	return frameOf(r.t, id.SessionHello(at))
}

// greet opens a socket and says hello. The session is here when it returns.
func (r *rig) greet(hello frame, o socketOptions) *socket {
	r.t.Helper()
	s := open(r.t, r.url, o)
	s.write(hello.String())
	s.wantFrame("hello_ack")
	s.settle()
	return s
}

// otherMesh makes one more mesh with one member, and may archive it.
func (r *rig) otherMesh(archived bool) dial.Identity {
	r.t.Helper()
	key, secret := identity.NewKeypair()
	mesh := &store.Mesh{ID: identity.NewID(), Slug: identity.NewID(), Name: "Other", OwnerKey: key, CreatedAt: time.Now()}
	if archived {
		mesh.ArchivedAt = time.Now()
	}
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh.ID, Key: key, DisplayName: "eve", Role: store.RoleMember,
		MessageMode: "push", JoinedAt: time.Now(),
	}
	if err := r.store.CreateMesh(context.Background(), mesh, []*store.Member{m}); err != nil {
		r.t.Fatal(err)
	}
	return dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: secret}
}

// revoke revokes a member as the command line does.
func (r *rig) revoke(id dial.Identity) {
	r.t.Helper()
	if err := r.store.SetRevoked(context.Background(), id.MemberID, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	r.app.Revoked(id.MemberID)
}

// pair is two peers that get along. They show that a broker serves.
type pair struct{ ada, bo *dial.Peer }

func (r *rig) pair() pair {
	r.t.Helper()
	return pair{
		ada: r.dial(session(r.member("ada", store.RoleMember)), dial.Options{}),
		bo:  r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true}),
	}
}

// wantServed sends one message from the one to the other.
func (r *rig) wantServed(p pair, text string) {
	r.t.Helper()
	if ack := r.send(p.ada, p.bo.Key().String(), sdk.PriorityNow, text); !ack.Queued {
		r.t.Fatalf("the broker serves no more: %+v", ack)
	}
	r.wantText(p.bo, text)
}

// wantLeft waits until so many connections and sessions are left.
func (r *rig) wantLeft(peers, sessions int) {
	r.t.Helper()
	eventually(r.t, "connections and sessions to be gone", func() bool {
		return r.app.Peers() == peers && r.app.Sessions() == sessions
	})
}
