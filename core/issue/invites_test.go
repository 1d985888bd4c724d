package issue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
)

// fullHouse is a store in which every slug, token and code is taken, the
// slugs by archived meshes.
type fullHouse struct{ issue.Store }

func (fullHouse) FindMesh(context.Context, string) (*store.Mesh, error) {
	return nil, fmt.Errorf("archived: %w", store.ErrNotFound)
}

func (fullHouse) CreateMesh(context.Context, *store.Mesh, []*store.Member) error {
	return fmt.Errorf("full: %w", store.ErrConflict)
}

func (fullHouse) CreateInvite(context.Context, *store.Invite) error {
	return fmt.Errorf("full: %w", store.ErrConflict)
}

// wantInvite checks an invite against its row, and both signatures.
func wantInvite(t *testing.T, r *rig, m *store.Mesh, inv *issue.Invite) {
	t.Helper()
	v1, err := identity.ParseToken(inv.Token)
	if err != nil || !v1.VerifySignature() {
		t.Fatalf("token: %v, signature good: %v", err, v1.VerifySignature())
	}
	byToken, err := r.store.InviteByToken(t.Context(), inv.Token)
	if err != nil {
		t.Fatal(err)
	}
	byCode, err := r.store.InviteByCode(t.Context(), inv.Code)
	if err != nil {
		t.Fatal(err)
	}
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(inv.Invite, byToken, sameTime); diff != "" {
		t.Errorf("-returned +by token:\n%s", diff)
	}
	if token, err := r.Token(byCode); err != nil || token != inv.Token {
		t.Errorf("the row's token is %q, %v", token, err)
	}
	if byCode.ID != inv.ID || len(inv.Code) != identity.InviteCodeSize {
		t.Errorf("code %q is that of %s, want %s", inv.Code, byCode.ID, inv.ID)
	}
	if v1.OwnerPubkey != m.OwnerKey.String() || v1.MeshID != m.ID || v1.MeshSlug != m.Slug || v1.BrokerURL != brokerURL ||
		v1.Role != string(inv.Role) || v1.ExpiresAt != inv.ExpiresAt.Unix() {
		t.Errorf("token says %+v, row %+v", v1, inv)
	}
	if refusal := issue.InviteV2(m, byCode).CheckCapability(byCode.Capability); !refusal.OK() {
		t.Errorf("capability: %s", refusal)
	}
}

func TestInvite(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	inv, err := r.Invite(t.Context(), m, issue.InviteOptions{Role: store.RoleAdmin, Uses: 5, TTL: time.Hour, CreatedBy: "acc-1"})
	if err != nil {
		t.Fatal(err)
	}
	wantInvite(t, r, m, inv)
	if inv.Role != store.RoleAdmin || inv.MaxUses != 5 || inv.CreatedBy != "acc-1" {
		t.Errorf("got %+v", inv)
	}
	wantExpiry(t, inv, time.Hour)

	inv, err = r.Invite(t.Context(), m, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantInvite(t, r, m, inv)
	if inv.Role != store.RoleMember || inv.MaxUses != 1 || inv.CreatedBy != "" {
		t.Errorf("by default: %+v", inv)
	}
	wantExpiry(t, inv, 7*24*time.Hour)

	for _, o := range []issue.InviteOptions{
		{Role: "owner"}, {Uses: -1}, {Uses: 1_000_001}, {TTL: time.Millisecond}, {TTL: -time.Hour}, {TTL: 11 * 365 * 24 * time.Hour},
	} {
		_, err := r.Invite(t.Context(), m, o)
		wantCode(t, err, "invalid_argument")
	}
}

func wantExpiry(t *testing.T, inv *issue.Invite, in time.Duration) {
	t.Helper()
	if got := time.Until(inv.ExpiresAt); got > in || got < in-time.Minute {
		t.Errorf("expires in %v, want %v", got, in)
	}
}

// TestManyInvitesAtOnce holds that equal invites of one second differ, although
// nothing in a token is random.
func TestManyInvitesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	const n = 48
	var wait sync.WaitGroup
	made := make([]*issue.Invite, n)
	for i := range n {
		wait.Go(func() {
			var err error
			if made[i], err = r.Invite(t.Context(), m, issue.InviteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	tokens, codes := map[string]bool{}, map[string]bool{}
	for _, inv := range made {
		wantInvite(t, r, m, inv)
		tokens[inv.Token], codes[inv.Code] = true, true
	}
	if len(tokens) != n || len(codes) != n {
		t.Errorf("%d tokens, %d codes, want %d", len(tokens), len(codes), n)
	}
}

// TestTakenCode holds that a code which another invite has is renewed.
func TestTakenCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mesh(t, "home")
	first, err := r.Invite(t.Context(), m, issue.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	unlucky := spy{Store: r.store, createInvite: func(inv *store.Invite) {
		if tries++; tries <= 2 {
			inv.Code = first.Code
		}
	}}
	second, err := r.with(unlucky, r.keys).Invite(t.Context(), m, issue.InviteOptions{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if tries != 3 || second.Code == first.Code {
		t.Errorf("%d tries, codes %s and %s", tries, first.Code, second.Code)
	}
	wantInvite(t, r, m, second)

	_, err = r.with(fullHouse{r.store}, r.keys).Invite(t.Context(), m, issue.InviteOptions{})
	wantCode(t, err, "conflict")
}

func TestShortLink(t *testing.T) {
	t.Parallel()
	for app, want := range map[string]string{
		"":                       "",
		"https://mesh.example":   "https://mesh.example/i/ABCD",
		"https://mesh.example/":  "https://mesh.example/i/ABCD",
		"https://mesh.example/x": "https://mesh.example/x/i/ABCD",
	} {
		if got := issue.ShortLink(app, "ABCD"); got != want {
			t.Errorf("%q: got %q, want %q", app, got, want)
		}
	}
}
