package process_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
)

// copyOf is a copy of the test program, with its SHA-256.
func copyOf(t *testing.T) (path, hash string) {
	t.Helper()
	from, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path = filepath.Join(t.TempDir(), "plugin")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(to, h), from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path, fmt.Sprintf("%x", h.Sum(nil))
}

func TestOpen(t *testing.T) {
	path, hash := copyOf(t)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	other := strings.Repeat("0", 64)
	tests := []struct{ name, path, pin, want string }{
		{"it takes anything without a pin", path, "", "<nil>"},
		{"it takes the content that is pinned", path, hash, "<nil>"},
		{"it takes a pin as it is written in a config", path, " sha256:" + strings.ToUpper(hash), "<nil>"},
		{
			"it names both hashes and what to do", path, other,
			"plugin " + path + " has SHA-256 " + hash + ", the config wants " + other + "; if the change is meant, run broker plugin pin",
		},
		{"it wants a whole hash", path, "12ab", `plugin ` + path + `: the config's SHA-256 "12ab" is not 64 hex digits`},
		{"it says what is missing", path + "x", "", "plugin: open " + path + "x: no such file or directory"},
		{"it wants a file", dir, "", "plugin " + dir + " is not a file"},
		{"it wants an executable", plain, "", "plugin " + plain + " is not executable; chmod +x makes it so"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := process.Open(tt.path, tt.pin)
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if err == nil {
				if p.Hash() != hash || p.Path() != path {
					t.Errorf("got %s with %s", p.Path(), p.Hash())
				}
				_ = p.Close()
			}
		})
	}
}

// go-plugin's check of one value succeeds once.
func TestPinHoldsOverRestarts(t *testing.T) {
	path, hash := copyOf(t)
	r := newRig(t, processtest.Serve)
	r.prog = open(t, path, hash)
	for range 3 {
		crash(t, r.start(t), processtest.Exit)
	}
}

// What was checked is what runs, whatever lies at the path since.
func TestSwapAfterTheCheck(t *testing.T) {
	path, hash := copyOf(t)
	r := newRig(t, processtest.Serve)
	r.prog = open(t, path, hash)
	swap := path + ".new"
	if err := os.WriteFile(swap, []byte("#!/bin/sh\necho swapped >&2\nexit 5\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(swap, path); err != nil {
		t.Fatal(err)
	}
	p := r.start(t)
	if got := ask(t, p, processtest.Ping, ""); got != "pong" {
		t.Errorf("got %q", got)
	}
	if _, err := process.Open(path, hash); err == nil || !strings.Contains(err.Error(), "the config wants "+hash) {
		t.Errorf("the new file was opened: %v", err)
	}
}

// A file that is written to in place is found by the next start.
func TestWriteAfterTheCheck(t *testing.T) {
	path, hash := copyOf(t)
	r := newRig(t, processtest.Serve)
	r.prog = open(t, path, hash)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := process.Start(t.Context(), r.prog, r.options); err == nil || !strings.Contains(err.Error(), "the config wants "+hash) {
		t.Errorf("got %v", err)
	}
	wantNoChildren(t)
}
