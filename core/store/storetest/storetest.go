// Package storetest holds every engine to what package store promises: one
// suite, one file per noun.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// SQL is a store whose rows a test can change behind its back. The suite skips
// what needs it when the engine's test does not offer it.
type SQL interface {
	Exec(query string) error
}

// Run runs the suite. Each test begins with an empty database; open called
// again by the same test opens the same database again. The suite closes what
// it opens.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"meshes", meshes},
		{"members", members},
		{"session keys", sessionKeys},
		{"invites", invites},
		{"lists of invites", inviteLists},
		{"sealing", sealing},
		{"accounts", accounts},
		{"tokens", tokens},
		{"sign-ins", signIns},
		{"one-time codes", codes},
		{"used tokens", onces},
		{"presences", presences},
		{"states", states},
		{"values", values},
		{"memories", memories},
		{"contexts", contexts},
		{"tasks", tasks},
		{"streams", streams},
		{"tool servers", mcpServers},
		{"webhooks", webhooks},
		{"watches", watches},
		{"clocks", clocks},
		{"schedules", schedules},
		{"topics", topics},
		{"histories of topics", topicHistories},
		{"files", files},
		{"skills", skills},
		{"vault", vaults},
		{"API keys", apiKeys},
		{"pending", pending},
		{"holds", holds},
		{"sent", sent},
		{"status", status},
		{"retention", retention},
		{"audit", audits},
		{"overview", overviews},
		{"commit", commits},
		{"reopen", reopens},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, tt := range group.tests {
				t.Run(tt.name, func(t *testing.T) {
					t.Parallel()
					tt.run(newSuite(t, open))
				})
			}
		})
	}
}

// test finishes the sentence "it …".
type test struct {
	name string
	run  func(*suite)
}

// suite is one test with its store.
type suite struct {
	*testing.T
	store.Store
	ctx  context.Context
	open func(*testing.T) store.Store
}

func newSuite(t *testing.T, open func(*testing.T) store.Store) *suite {
	t.Helper()
	s := &suite{T: t, Store: open(t), ctx: t.Context(), open: open}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// reopen closes the store and opens its database again.
func (s *suite) reopen() {
	s.Helper()
	s.must(s.Close())
	s.Store = s.open(s.T)
}

// now is when everything happens.
func now() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 123_000_000, time.UTC) }

// key returns the n-th key; larger n, larger key.
func key(n byte) (k sdk.Key) {
	k[0], k[31] = n, 0xff-n
	return k
}

// id returns a text of 32 characters that begins with prefix.
func id(prefix string, n int) string { return fmt.Sprintf("%s%0*d", prefix, 32-len(prefix), n) }

// mesh makes a mesh that has n members, with the keys 1 to n.
func (s *suite) mesh(n int) (*store.Mesh, []*store.Member) {
	s.Helper()
	m := &store.Mesh{ID: id("mesh", 1), Slug: "first", Name: "First", OwnerKey: key(200), CreatedAt: now()}
	list := make([]*store.Member, n)
	for i := range list {
		list[i] = member(m.ID, i+1)
	}
	s.must(s.CreateMesh(s.ctx, m, list))
	return m, list
}

func member(mesh string, n int) *store.Member {
	return &store.Member{
		ID: id("member"+mesh[len(mesh)-1:], n), MeshID: mesh, Key: key(byte(n)), DisplayName: fmt.Sprintf("member %d", n),
		Role: store.RoleMember, MessageMode: "push", JoinedAt: now().Add(time.Duration(n) * time.Second),
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// commit writes a batch.
func (s *suite) commit(b store.Batch) {
	s.Helper()
	s.must(s.Commit(s.ctx, &b))
}

// wantErr checks that err is want, and says which operation failed.
func (s *suite) wantErr(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got error %v, want %v", err, want)
	} else if err.Error() == want.Error() {
		s.Errorf("error %q does not say which operation failed", err)
	}
}

// same compares values; nil and empty lists and maps are the same.
func same[T any](s *suite, got, want T) {
	s.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		s.Errorf("got (+), want (-):\n%s", diff)
	}
}
