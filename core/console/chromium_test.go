package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// browsers are programs that understand the DevTools protocol.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell", "chrome-headless-shell"}

// machine is what the search for a browser looks at.
type machine struct {
	lookPath func(program string) (string, error)
	root     bool
	run      func(ctx context.Context, command ...string) error
}

func thisMachine() machine {
	return machine{exec.LookPath, os.Geteuid() == 0, func(ctx context.Context, command ...string) error {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.WaitDelay = time.Second // what it started may hold on to our pipe
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, out[max(0, len(out)-300):])
		}
		return nil
	}}
}

// browser returns a browser's program. It installs the distribution's when there
// is none and it may.
func (m machine) browser(ctx context.Context) (string, error) {
	if path, ok := m.installed(); ok {
		return path, nil
	}
	cause := m.install(ctx)
	if path, ok := m.installed(); ok {
		return path, nil
	}
	if cause == nil {
		cause = errors.New("its package was installed, but there is none of it then")
	}
	return "", fmt.Errorf("no Chromium is here: install one (Debian: apt-get install chromium) (%w)", cause)
}

func (m machine) installed() (string, bool) {
	for _, name := range browsers {
		if path, err := m.lookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

func (m machine) install(ctx context.Context) error {
	if _, err := m.lookPath("apt-get"); err != nil {
		return errors.New("there is no apt-get to install it")
	}
	if !m.root {
		return errors.New("to install it takes root")
	}
	command := []string{
		"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y", "--no-install-recommends",
		"-o", "DPkg::Lock::Timeout=120", "chromium",
	}
	if m.run(ctx, command...) == nil {
		return nil
	}
	if err := m.run(ctx, "apt-get", "-q", "update"); err != nil {
		return err
	}
	return m.run(ctx, command...)
}

// found is this machine's browser; tests look for it once.
var found = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	return thisMachine().browser(ctx)
})

func TestFindBrowser(t *testing.T) {
	no := errors.New("no")
	tests := []struct {
		name    string
		has     []string
		root    bool
		fail    int // commands that fail
		brings  string
		want    string
		wantRun []string // programs, or the apt-get command
	}{
		{"it takes what is there", []string{"google-chrome", "headless-shell", "apt-get"}, true, 0, "", "google-chrome", nil},
		{"it installs one as root", []string{"apt-get"}, true, 0, "chromium", "chromium", []string{"env"}},
		{"it refreshes the lists when that fails", []string{"apt-get"}, true, 1, "chromium", "chromium", []string{"env", "apt-get", "env"}},
		{"it installs nothing as anybody else", []string{"apt-get"}, false, 0, "chromium", "", nil},
		{"it gives up without apt-get", nil, true, 0, "chromium", "", nil},
	}
	for _, tt := range tests {
		var ran []string
		m := machine{root: tt.root}
		m.lookPath = func(name string) (string, error) {
			if slices.Contains(tt.has, name) {
				return name, nil
			}
			return "", no
		}
		m.run = func(_ context.Context, command ...string) error {
			ran = append(ran, command[0])
			if len(ran) <= tt.fail {
				return no
			}
			if command[0] == "env" {
				tt.has = append(tt.has, tt.brings)
			}
			return nil
		}
		got, err := m.browser(t.Context())
		if got != tt.want || (err == nil) != (tt.want != "") || !slices.Equal(ran, tt.wantRun) {
			t.Errorf("%s: got %q, %v, ran %q", tt.name, got, err, ran)
		}
	}
}
