package control_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
)

// direct opens the store of a directory.
func direct(t *testing.T, dir string) control.Direct {
	t.Helper()
	return func(context.Context) (admin.Ops, func() error, error) {
		local, closeStore := openStore(t, dir, nil)
		return local, closeStore, nil
	}
}

func TestSecondBroker(t *testing.T) {
	dir := t.TempDir()
	unlock, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	local, closeStore := openStore(t, dir, nil)
	defer closeStore()
	s := serve(t, dir, local)

	_, err = control.Lock(t.Context(), dir)
	if !errors.Is(err, control.ErrRunning) || !strings.Contains(err.Error(), "ws://here/ws") {
		t.Errorf("second broker: %v", err)
	}
	stop(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := control.Lock(ctx, dir); !errors.Is(err, control.ErrRunning) {
		t.Errorf("second broker while the first one stops: %v", err)
	}
	unlock()
	again, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatalf("next broker: %v", err)
	}
	again()
}

// TestOpenWithoutBroker holds that a command works on the store, and leaves it
// free for a broker.
func TestOpenWithoutBroker(t *testing.T) {
	dir := t.TempDir()
	s, err := control.Open(t.Context(), dir, direct(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if s.Running != nil {
		t.Errorf("a broker runs: %+v", s.Running)
	}
	if _, err := s.CreateMesh(t.Context(), "home", admin.MeshOptions{Members: 1}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	unlock, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatalf("the command still holds the lock: %v", err)
	}
	unlock()
}

// TestBrokerThatComesBetween holds that a change goes through the broker when
// one started after the command looked.
func TestBrokerThatComesBetween(t *testing.T) {
	dir := t.TempDir()
	session, err := control.Open(t.Context(), dir, direct(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.CreateMesh(t.Context(), "home", admin.MeshOptions{Members: 1}); err != nil {
		t.Fatal(err)
	}

	unlock, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	revoked := make(chan string, 1)
	local, closeStore := openStore(t, dir, func(h *admin.Hooks) { h.Revoked = func(id string) { revoked <- id } })
	defer closeStore()

	// The command finds the lock taken and no socket yet, and waits for it.
	done := make(chan error, 1)
	go func() {
		_, err := session.RevokeMember(t.Context(), "home", "member-1")
		done <- err
	}()
	serve(t, dir, local)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	select {
	case <-revoked:
	default:
		t.Error("the broker was not asked")
	}
}

// TestBrokerThatDoesNotAnswer holds that no change goes behind the back of a
// broker that hangs.
func TestBrokerThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	session, err := control.Open(t.Context(), dir, direct(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	unlock, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := session.CreateMesh(ctx, "home", admin.MeshOptions{}); err == nil {
		t.Error("the store was changed although a broker holds it")
	}
	if list, err := session.ListMeshes(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("reading goes on: %v, %v", list, err)
	}
}

// TestHold holds that who only looks keeps brokers away while it looks, and
// makes nothing where none has been.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	if _, err := control.Hold(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody has been there: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it made %v (%v)", files, err)
	}
	broker, err := control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Hold(dir); !errors.Is(err, control.ErrRunning) {
		t.Errorf("beside a broker: %v", err)
	}
	broker()
	release, err := control.Hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := control.Lock(ctx, dir); !errors.Is(err, control.ErrRunning) {
		t.Errorf("a broker started beside it: %v", err)
	}
	release()
	broker, err = control.Lock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	broker()
}
