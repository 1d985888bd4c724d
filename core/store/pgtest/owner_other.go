//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package pgtest

import (
	"errors"
	"os"
	"os/exec"
)

// Elsewhere nothing is started or installed; TEST_DATABASE_URL works everywhere.
var errElsewhere = errors.New("tests start no PostgreSQL on this system; set " + urlVariable)

type owner struct{}

func unprivileged() (*owner, error) { return nil, errElsewhere }

func makeDir(*owner) (string, error) { return "", errElsewhere }

func apart(*exec.Cmd, *owner) {}

func ended(*os.Process) bool { return false }

func quit(p *os.Process) error { return p.Kill() }

func alone(func() error) error { return errElsewhere }
