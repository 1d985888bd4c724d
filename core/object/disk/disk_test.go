package disk_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/object/disk"
	"github.com/claudemesh/broker/core/object/objecttest"
)

func open(t *testing.T, dir string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDisk(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Store {
		dir := t.TempDir()
		t.Cleanup(func() { wantTidy(t, dir) })
		return open(t, dir)
	})
}

// wantTidy wants nothing to be left of what was not written whole, and nothing to be
// anybody else's.
func wantTidy(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, "partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v, error %v", left, err)
	}
	err = filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What a broker was writing when it was killed goes at a later start, and what
// another one may be writing stays.
func TestOpenTidiesUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": time.Hour} {
		path := filepath.Join(dir, "partial", name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	left, err := os.ReadDir(filepath.Join(dir, "partial"))
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left are %v, error %v", left, err)
	}
}
