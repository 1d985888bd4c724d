package app_test

import (
	"errors"
	"testing"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// posted is a reminder from a member.
func (r *rig) posted(from dial.Identity, to, text string) *feature.Post {
	_, ciphertext := dial.Plain(text)
	return &feature.Post{
		Mesh: r.mesh.ID, Member: from.RoutingKey(),
		Message: wire.Send{TargetSpec: to, Ciphertext: ciphertext, ClientMessageID: "once"},
		Extra:   &store.Extra{Subtype: "reminder", Unsealed: true},
	}
}

// refusal posts a message that is refused, and returns why.
func (r *rig) refusal(p *feature.Post) *core.Error {
	r.t.Helper()
	id, err := r.app.Post(r.t.Context(), p)
	refused, ok := errors.AsType[*core.Error](err)
	if !ok || id != "" {
		r.t.Fatalf("got %q, %v, want a refusal", id, err)
	}
	return refused
}

// What the broker sends for a member reaches whoever it is for, the member's own
// sessions included, and shows what it is, also to those that come later.
func TestPost(t *testing.T) {
	r := newRig(t, nil)
	ada, away := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	own := r.dial(session(ada), dial.Options{ConfirmPushes: true})
	for _, to := range []dial.Identity{ada, away} {
		p := r.posted(ada, to.RoutingKey().String(), "tea")
		p.Message.ClientMessageID += to.MemberID
		id, err := r.app.Post(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.app.Post(t.Context(), p); err != nil || again != id {
			t.Errorf("once more: got %q, %v, want the id %s", again, err, id)
		}
	}
	for _, to := range []*dial.Peer{own, r.dial(session(away), dial.Options{ConfirmPushes: true})} {
		push := r.wantText(to, "dGVh") // base64 of it
		if !push.SenderPubkey.Unsealed() || push.Subtype != "reminder" || push.SenderMemberPubkey != ada.RoutingKey() || push.SenderName != "ada" {
			t.Errorf("got %+v", push)
		}
	}
	eventually(t, "everything to be confirmed", func() bool {
		n, _, err := r.store.QueueDepth(t.Context())
		return err == nil && n == 0
	})
}

// Clients that name no session key are one of the member's sessions like others: what
// the broker sends for the member to itself, or to everybody with its own sessions,
// did not come from them.
func TestPostReachesOwnSessionsWithoutAKey(t *testing.T) {
	r := newRig(t, nil)
	ada := r.member("ada", store.RoleMember)
	own := r.dial(ada, dial.Options{ConfirmPushes: true})
	for _, to := range []string{ada.RoutingKey().String(), "*"} {
		p := r.posted(ada, to, "tea")
		p.Own, p.Message.ClientMessageID = true, to
		if _, err := r.app.Post(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		r.wantText(own, "dGVh")
	}
}

// What the member has sealed itself, and what it sends over HTTP, came from none of
// its sessions either; also when they come later.
func TestSealedPostReachesOwnSessionsWithoutAKey(t *testing.T) {
	r := newRig(t, nil)
	ada := r.member("ada", store.RoleMember)
	post := func(once string) {
		p := r.posted(ada, ada.RoutingKey().String(), "tea")
		p.Extra, p.Message.Nonce, p.Message.ClientMessageID = nil, "AAAA", once
		if _, err := r.app.Post(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	post("away")
	own := r.dial(ada, dial.Options{ConfirmPushes: true})
	r.wantText(own, "dGVh")
	post("here")
	if push := r.wantText(own, "dGVh"); push.SenderPubkey.Key() != ada.RoutingKey() {
		t.Errorf("sealed by %s, want the member", push.SenderPubkey)
	}
}

// A posted message is held to what its member may do.
func TestPostIsRefused(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Pipeline = config.Default().Pipeline })
	ada, bo, gone := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember), r.member("eve", store.RoleMember)
	r.revoke(gone)
	for _, tt := range []struct {
		what string
		post *feature.Post
		want sdk.Reason
	}{
		{"a bad target", r.posted(ada, "nobody in particular", ""), sdk.ReasonInvalid},
		{"nobody's key", r.posted(ada, sdk.Key{1}.String(), ""), sdk.ReasonNoRecipient},
		{"of a member that is gone", r.posted(gone, bo.RoutingKey().String(), ""), sdk.ReasonRevoked},
	} {
		if got := r.refusal(tt.post); got.Code != tt.want {
			t.Errorf("%s: got %v, want %s", tt.what, got, tt.want)
		}
	}
	to := r.posted(ada, bo.RoutingKey().String(), "")
	for to.Message.ClientMessageID = ""; ; {
		_, err := r.app.Post(t.Context(), to)
		refused, ok := errors.AsType[*core.Error](err)
		if !ok && err == nil {
			continue
		}
		if !ok || refused.Code != sdk.ReasonRateLimit || refused.RetryAfter <= 0 {
			t.Errorf("too many: got %v", err)
		}
		break
	}
}
