package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var vaults = []test{
	{"a secret comes back as it was set", vaultRoundTrip},
	{"a secret is replaced, and stays as old as it was", vaultReplace},
	{"a secret belongs to one member of one mesh", vaultOwners},
	{"a secret that was deleted leaves its place free", vaultDelete},
	{"a mesh and a member have room for so many secrets", vaultRoom},
	{"what many set under one key at once is one secret, and no more fit than there is room", vaultRace},
}

// secret makes a secret of a member of the first mesh.
func secret(member, key string) *store.VaultEntry {
	return &store.VaultEntry{
		MeshID: id("mesh", 1), MemberID: member, Key: key, Ciphertext: "c2VjcmV0 " + key, Nonce: "bm9uY2U=", SealedKey: "a2V5",
		Type: "file", MountPath: "/run/é", Description: "for 'it'", CreatedAt: now(), UpdatedAt: now(),
	}
}

func (s *suite) keep(list ...*store.VaultEntry) {
	s.Helper()
	for _, e := range list {
		s.must(s.SetVaultEntry(s.ctx, e, ample))
	}
}

func (s *suite) wantSecrets(member string, keys []string, want ...*store.VaultEntry) {
	s.Helper()
	got, err := s.VaultSecrets(s.ctx, id("mesh", 1), member, keys)
	s.must(err)
	same(s, got, want)
}

func vaultRoundTrip(s *suite) {
	s.mesh(0)
	b, a := secret("ada", "B"), secret("ada", "a")
	bare := &store.VaultEntry{MeshID: b.MeshID, MemberID: "ada", Key: "bare", Type: "env", CreatedAt: now(), UpdatedAt: now()}
	s.keep(a, bare, b)
	s.reopen()
	s.wantSecrets("ada", []string{"a", "B", "none", "a", "bare"}, b, a, bare)
	s.wantSecrets("ada", nil)
	list, err := s.VaultEntries(s.ctx, b.MeshID, "ada")
	s.must(err)
	for _, e := range []*store.VaultEntry{a, b} {
		e.Ciphertext, e.Nonce, e.SealedKey = "", "", ""
	}
	same(s, list, []*store.VaultEntry{b, a, bare})
}

func vaultReplace(s *suite) {
	s.mesh(0)
	first, next := secret("ada", "k"), secret("ada", "k")
	s.keep(first)
	next.Ciphertext, next.Type, next.MountPath = "other", "env", ""
	next.CreatedAt, next.UpdatedAt = now().Add(time.Hour), now().Add(time.Hour)
	s.must(s.SetVaultEntry(s.ctx, next, store.Room{})) // it needs no room
	next.CreatedAt = first.CreatedAt
	s.wantSecrets("ada", []string{"k"}, next)
}

func vaultOwners(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	ada, bo, there := secret("ada", "k"), secret("bo", "k"), secret("ada", "k")
	bo.Ciphertext, there.Ciphertext, there.MeshID = "bo's", "there", other.ID
	s.keep(ada, bo, there)
	s.wantSecrets("ada", []string{"k"}, ada)
	s.wantSecrets("bo", []string{"k"}, bo)
	s.must(s.DeleteVaultEntry(s.ctx, other.ID, "ada", "k"))
	s.must(s.DeleteVaultEntry(s.ctx, ada.MeshID, "bo", "k"))
	s.wantSecrets("ada", []string{"k"}, ada)
	s.wantSecrets("bo", []string{"k"})
}

func vaultDelete(s *suite) {
	s.mesh(0)
	e := secret("ada", "k")
	s.wantErr(s.DeleteVaultEntry(s.ctx, e.MeshID, "ada", "k"), store.ErrNotFound)
	s.keep(e)
	s.must(s.DeleteVaultEntry(s.ctx, e.MeshID, "ada", "k"))
	s.wantErr(s.DeleteVaultEntry(s.ctx, e.MeshID, "ada", "k"), store.ErrNotFound)
	s.keep(e)
}

func vaultRoom(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	set := func(member, key string) error { return s.SetVaultEntry(s.ctx, secret(member, key), room) }
	s.must(set("ada", "1"))
	s.must(set("ada", "2"))
	s.must(set("ada", "2"))
	wantFull(s, set("ada", "3"), store.FullError{Member: true, Most: 2})
	s.must(set("bo", "1"))
	wantFull(s, set("bo", "2"), store.FullError{Most: 3})
}

func vaultRace(s *suite) {
	s.mesh(0)
	const most, writers = 3, 12
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			err := s.SetVaultEntry(s.ctx, secret("ada", fmt.Sprint(i/2)), store.Room{Mesh: most, Member: most})
			if err != nil && !errors.Is(err, store.ErrExhausted) {
				s.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := s.VaultEntries(s.ctx, id("mesh", 1), "ada"); err != nil || len(list) != most {
		s.Errorf("%d secrets, error %v; want %d", len(list), err, most)
	}
}
