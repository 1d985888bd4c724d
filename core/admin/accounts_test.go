package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

// A token is the account's, for as long as was said, and its code is spent once.
func TestCreateToken(t *testing.T) {
	r := newRig(t, func(_ *rig, h *admin.Hooks) {
		h.TokenTTL = 48 * time.Hour
		h.AppURL = func() string { return "https://mesh.example" }
	})
	n, err := r.CreateToken(t.Context(), "ada@example.org", admin.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claims, hash, err := token.NewKeys(r.keys.Key()).Verify(n.Token, time.Now())
	if err != nil || claims.Account != "ada@example.org" || claims.Name != "ada@example.org" || !claims.ExpiresAt.Equal(n.ExpiresAt) {
		t.Errorf("got claims %+v, %v", claims, err)
	}
	row, _, err := r.store.TokenByHash(t.Context(), hash)
	if err != nil || row.ID != n.ID || row.Kind != store.TokenOperator {
		t.Errorf("got row %+v, %v", row, err)
	}
	if left := time.Until(n.ExpiresAt); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("it is good for %v, want what the config says", left)
	}
	if n.ApproveURL != "https://mesh.example/cli-auth" || n.TokenURL != "https://mesh.example/token" {
		t.Errorf("got %s and %s", n.ApproveURL, n.TokenURL)
	}
	if left := time.Until(n.CodeExpiresAt); left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("the code is good for %v", left)
	}
	if who, err := r.store.SpendCode(t.Context(), identity.HashCode(n.Code), time.Now()); err != nil || who != "ada@example.org" {
		t.Errorf("the code is %s's, %v", who, err)
	}
}

func TestSetMeshOwner(t *testing.T) {
	var changed []string
	var entries []*audit.Entry
	r := newRig(t, func(_ *rig, h *admin.Hooks) {
		h.MeshChanged = func(id string) { changed = append(changed, id) }
		h.Record = func(_ context.Context, e *audit.Entry) error {
			entries = append(entries, e)
			return nil
		}
	})
	m := r.mesh(t, "home", 0)
	if _, err := r.CreateToken(t.Context(), "ada", admin.TokenOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.SetMeshOwner(t.Context(), "home", "ada"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{m.ID, m.ID}, changed); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
	if len(entries) != 1 || entries[0].EventType != "mesh_owner_changed" || entries[0].MeshID != m.ID {
		t.Errorf("the audit log has %+v, want one change", entries)
	}
	row, err := r.store.Mesh(t.Context(), m.ID)
	if err != nil || row.OwnerAccount != "ada" {
		t.Errorf("got %+v, %v", row, err)
	}
}

// Without the operator's key nothing is made, no account either.
func TestCreateTokenWithoutAKey(t *testing.T) {
	r := newRig(t, nil)
	l := admin.New(r.store, nil, admin.Hooks{})
	_, err := l.CreateToken(t.Context(), "ada", admin.TokenOptions{})
	wantCode(t, err, "encryption_key")
	if list, err := l.ListAccounts(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// An account is named so that members can be linked to it, and the refusal says
// what is wrong.
func TestCreateTokenNamesAnAccount(t *testing.T) {
	r := newRig(t, nil)
	for id, want := range map[string]string{
		"a|b": "letters, digits and", "": "letters, digits and", "-x": "letters, digits and",
		strings.Repeat("ab", 32): "named like a key", strings.Repeat("AB", 32): "named like a key",
	} {
		_, err := r.CreateToken(t.Context(), id, admin.TokenOptions{})
		if wantCode(t, err, "invalid_argument"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", id, err, want)
		}
	}
	if list, err := r.ListAccounts(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}
