package feature

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// write stands for the messages of a feature that needs a permission.
type write struct{}

func (write) FrameType() string { return "write" }

func TestNeeds(t *testing.T) {
	may := func(p store.Permission, yes bool) func(*store.Member) {
		return func(m *store.Member) { m.Permissions = store.Permissions{p: yes} }
	}
	tests := []struct {
		name   string
		needs  store.Permission
		member string
		edit   func(*store.Member)
		want   bool
	}{
		{"it lets a member do what everybody may", store.CanWriteState, "bo", nil, true},
		{"it refuses a member from whom that was taken", store.CanWriteState, "bo", may(store.CanWriteState, false), false},
		{"it goes by the role where something else was decided", store.CanWriteState, "bo", may(store.CanSend, false), true},
		{"it refuses a member what admins may", store.CanManageFiles, "bo", nil, false},
		{"it lets a member do what it was given", store.CanManageFiles, "bo", may(store.CanManageFiles, true), true},
		{"it lets an admin do what admins may", store.CanManageFiles, "gil", nil, true},
		{"it refuses an admin from whom that was taken", store.CanManageFiles, "gil", may(store.CanManageFiles, false), false},
		{"it takes nothing from the owner", store.CanManageFiles, "ada", may(store.CanManageFiles, false), true},
		{"it keeps the end of the mesh to its owner", store.CanDeleteMesh, "gil", nil, false},
		{"it lets the owner end the mesh", store.CanDeleteMesh, "ada", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.edit != nil {
				r.edit(tt.member, tt.edit)
			}
			reg := NewRegistry()
			reg.roster = r.roster
			called := false
			On(reg, func(context.Context, *Call, *write) (Silent, error) { called = true; return Silent{}, nil }).Needs(tt.needs)
			got, _ := r.join(tt.member).askOf(reg, `{"type":"write"}`)
			if called != tt.want || called == strings.Contains(got, `"code":"forbidden"`) {
				t.Errorf("called: %v, got %s", called, got)
			}
			if !called && !strings.Contains(got, string(tt.needs)) {
				t.Errorf("it does not say what is needed: %s", got)
			}
		})
	}
}

// A send is refused in the shape that its sender waits for, with a word that
// every client takes for the last one.
func TestSendNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo, ada := r.join("bo"), r.join("ada").ready()
	before := len(ada.pushed)
	frame := fmt.Sprintf(`{"type":"send","id":"i","_reqId":7,"targetSpec":%q,"priority":"now","nonce":"","ciphertext":"eA=="}`, ada.session.Routing())
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanSend: false} })
	got, _ := bo.ask(frame)
	wantText(t, got, `{"type":"ack","_reqId":7,"id":"i","messageId":"","queued":false,"error":"forbidden: you do not have the permission canSend in this mesh: ask its owner or an admin for it"}`)
	if len(ada.pushed) != before {
		t.Error("it was delivered")
	}
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanSend: true} })
	if got, _ := bo.ask(frame); !strings.Contains(got, `"queued":true`) {
		t.Errorf("given back: %s", got)
	}
}

// forgetful is a roster that cannot look anybody up.
type forgetful struct{ Roster }

func (forgetful) MemberByID(context.Context, string) (*store.Member, error) {
	return nil, errors.New("the store is away")
}

func TestNeedsWithoutAStore(t *testing.T) {
	r := newRig(t)
	reg := NewRegistry()
	reg.roster = forgetful{}
	On(reg, func(context.Context, *Call, *write) (Silent, error) { t.Error("called"); return Silent{}, nil }).Needs(store.CanWriteState)
	if got, _ := r.join("bo").askOf(reg, `{"type":"write"}`); !strings.Contains(got, `"code":"unavailable"`) {
		t.Errorf("got %s", got)
	}
}

// dispatcher returns an owner that does nothing, and an envelope for it.
func dispatcher(tb testing.TB, p store.Permission) (*Registry, *sdk.Envelope) {
	tb.Helper()
	r := newRig(tb)
	reg := NewRegistry()
	reg.roster = r.roster
	On(reg, func(context.Context, *Call, *write) (Silent, error) { return Silent{}, nil }).Needs(p)
	bo := r.members["bo"]
	call := &Call{Request: new(write)}
	call.Env = &sdk.Envelope{Kind: "write", Mesh: r.mesh.ID, Body: call, Sender: sdk.Sender{MemberID: bo.ID, Member: bo.Key}}
	return reg, call.Env
}

// Every message passes the check: it may cost no memory.
func TestNeedsAllocatesNothing(t *testing.T) {
	for _, p := range []store.Permission{"", store.CanSend} {
		reg, env := dispatcher(t, p)
		n := testing.AllocsPerRun(100, func() {
			if _, err := reg.Dispatch(t.Context(), env); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("with %q: %v allocations", p, n)
		}
	}
}

func BenchmarkDispatch(b *testing.B) {
	for _, p := range []store.Permission{"", store.CanSend, store.CanManageFiles} {
		b.Run("needs="+string(p), func(b *testing.B) {
			reg, env := dispatcher(b, p)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reg.Dispatch(ctx, env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
