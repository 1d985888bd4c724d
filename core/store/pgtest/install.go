package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// installTimeout is less than the ten minutes that go test gives a package.
const installTimeout = 6 * time.Minute

// manager is a distribution's way to install a server.
type manager struct {
	program string
	update  []string // refreshes the lists of packages; tried when install fails
	install []string
}

// managers are asked in this order. DEBIAN_FRONTEND goes through env, because
// sudo drops the environment. Debian's package starts a cluster of its own,
// which is none of our business.
var managers = []manager{
	{
		program: "apt-get",
		update:  []string{"apt-get", "-q", "update"},
		install: []string{
			"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y",
			"--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", "postgresql",
		},
	},
	{
		program: "dnf",
		update:  []string{"dnf", "-q", "makecache"},
		install: []string{"dnf", "-q", "install", "-y", "postgresql-server"},
	},
	{
		program: "apk",
		update:  []string{"apk", "update"},
		install: []string{"apk", "add", "postgresql"},
	},
}

// install installs the distribution's server. One process does it, the others
// wait and find it done.
func (e environment) install() error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	m, ok := e.manager()
	if !ok {
		return errors.New("neither apt-get nor dnf nor apk is here to install it")
	}
	sudo, err := e.sudo(ctx)
	if err != nil {
		return err
	}
	return e.alone(func() error {
		if _, ok := e.installed(); ok {
			return nil
		}
		command := slices.Concat(sudo, m.install)
		if e.run(ctx, command...) == nil {
			return nil
		}
		if err := e.run(ctx, slices.Concat(sudo, m.update)...); err != nil {
			return err
		}
		return e.run(ctx, command...)
	})
}

func (e environment) manager() (manager, bool) {
	for _, m := range managers {
		if _, err := e.lookPath(m.program); err == nil {
			return m, true
		}
	}
	return manager{}, false
}

// sudo returns what has to stand before a command so that root runs it.
func (e environment) sudo(ctx context.Context) ([]string, error) {
	if e.root {
		return nil, nil
	}
	if err := e.run(ctx, "sudo", "-n", "true"); err != nil {
		return nil, errors.New("to install it takes root, or sudo without a password")
	}
	return []string{"sudo", "-n"}, nil
}

// run runs a command to its end; its error has the end of what it printed.
func run(ctx context.Context, command ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // a daemon that it started may hold on to our pipe
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, tail(out.Bytes(), 3))
	}
	return nil
}

// tail is the last lines of a text, on one line.
func tail(text []byte, lines int) string {
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}
