package sqlite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// otherProcess is set in the environment of a process that [TestOtherProcess]
// has started; it holds the path of the store.
const otherProcess = "STORE_OF_THE_OTHER_PROCESS"

// A second process enrols members in the same file while this one commits
// batches: both wait for their turn, neither fails.
func TestOtherProcess(t *testing.T) {
	const members = 200
	if path := os.Getenv(otherProcess); path != "" {
		enrol(t, fresh(t, Options{Path: path, Durability: Process}), members)
		return
	}
	path := filepath.Join(t.TempDir(), "broker.db")
	s := fresh(t, Options{Path: path, Durability: Process})
	if err := s.CreateMesh(t.Context(), &store.Mesh{ID: "m", CreatedAt: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), program, "-test.run=^TestOtherProcess$")
	other.Env = append(os.Environ(), otherProcess+"="+path)
	ended := make(chan error, 1)
	go func() {
		out, err := other.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		ended <- err
	}()

	entries := 0
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		b := store.Batch{Audit: []*audit.Entry{{MeshID: "m", EventType: "e", CreatedAt: time.Now()}}}
		if err := s.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		entries++
	}
	if list, err := s.ListMembers(t.Context(), "m"); err != nil || len(list) != members {
		t.Errorf("got %d members, error %v", len(list), err)
	}
	if r, err := s.VerifyAudit(t.Context(), "m"); err != nil || !r.Valid || r.Entries != int64(entries) {
		t.Errorf("got %+v, error %v; want %d entries", r, err, entries)
	}
}

func enrol(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		m := &store.Member{ID: fmt.Sprint("member ", i), MeshID: "m", Key: sdk.Key{1, byte(i)}, JoinedAt: time.Now()}
		if err := s.AddMember(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// Two stores on one file, as a tool beside a broker: chains go on, and each
// sees the other's work.
func TestTwoStoresContinueOneChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	stores := [2]*Store{fresh(t, Options{Path: path}), fresh(t, Options{Path: path})}
	for n := range 10 {
		b := store.Batch{Audit: []*audit.Entry{{MeshID: "m", EventType: "e", CreatedAt: time.Now()}}}
		if err := stores[n%2].Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if r, err := stores[(n+1)%2].VerifyAudit(t.Context(), "m"); err != nil || !r.Valid || r.Entries != int64(n+1) {
			t.Fatalf("got %+v, error %v; want %d entries", r, err, n+1)
		}
	}
}

func TestLongTransactionOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	s := fresh(t, Options{Path: path, BusyTimeout: 50 * time.Millisecond})
	other := fresh(t, Options{Path: path})
	tx, err := other.write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	mesh := &store.Mesh{ID: "m", CreatedAt: time.Now()}
	if err := s.CreateMesh(t.Context(), mesh, nil); err == nil {
		t.Error("got no error after the busy timeout")
	}
	if _, err := s.ListMeshes(t.Context()); err != nil {
		t.Errorf("readers wait for a writer: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateMesh(t.Context(), mesh, nil); err != nil {
		t.Errorf("the store did not recover: %v", err)
	}
}
