package freshtest

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/store/postgres"
	"github.com/claudemesh/broker/core/store/sqlite"
)

// copied is a store that can say what was applied to it.
type copied interface {
	store.Store
	Migrations(context.Context) ([]migrate.Migration, error)
}

func openFile(t *testing.T, path string) copied {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	return closed(t, st, err)
}

func openURL(t *testing.T, url string) copied {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{URL: url, Migrate: true})
	return closed(t, st, err)
}

// closed closes a store when the test ends.
func closed(t *testing.T, st copied, err error) copied {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// A copy is what the broker makes of nothing, and no copy has what is in
// another.
func TestACopyIsAStoreOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	File(t, one)
	File(t, other)
	for name, tt := range map[string]struct{ made, one, other copied }{
		"a file":     {openFile(t, filepath.Join(dir, "made")), openFile(t, one), openFile(t, other)},
		"a database": {openURL(t, pgtest.URL(t)), openURL(t, URL(t)), openURL(t, URL(t))},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := names(t, tt.one), names(t, tt.made); len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("the copy has applied %q, want %q", got, want)
			}
			if err := tt.one.CreateMesh(t.Context(), &store.Mesh{ID: "m", Slug: "m", CreatedAt: time.Now()}, nil); err != nil {
				t.Fatal(err)
			}
			for st, want := range map[copied]bool{tt.one: true, tt.other: false} {
				if _, err := st.Mesh(t.Context(), "m"); (err == nil) != want {
					t.Errorf("asked for a mesh that one of two has, got %v, want it: %v", err, want)
				}
			}
		})
	}
}

// names lists the migrations of a store.
func names(t *testing.T, st copied) (list []string) {
	t.Helper()
	applied, err := st.Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range applied {
		list = append(list, m.Name+" "+m.SHA256)
	}
	return list
}

func TestFileLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	File(t, path)
	st := openFile(t, path)
	if err := st.CreateMesh(t.Context(), &store.Mesh{ID: "m", Slug: "m", CreatedAt: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	File(t, path)
	if _, err := openFile(t, path).Mesh(t.Context(), "m"); err != nil {
		t.Errorf("the mesh is gone: %v", err)
	}
}
