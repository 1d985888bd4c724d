package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// urlVariable names a server that somebody else runs.
const urlVariable = "TEST_DATABASE_URL"

// places are where servers are that are not in PATH. Of several versions in one
// place the newest is taken.
var places = []string{
	"/usr/lib/postgresql/*/bin",         // Debian and its family
	"/usr/local/pgsql/bin",              // built from source
	"/opt/homebrew/opt/postgresql*/bin", // Homebrew
	"/usr/pgsql-*/bin",                  // PostgreSQL's own RPMs
	"/usr/libexec/postgresql*",          // Alpine
}

// needed are the programs that we run.
var needed = []string{"initdb", "postgres"}

// environment is what the search for a server looks at.
type environment struct {
	getenv   func(name string) string
	lookPath func(program string) (string, error)   // as [exec.LookPath]
	glob     func(pattern string) ([]string, error) // as [filepath.Glob]
	root     bool                                   // we are root, so installing takes no sudo
	run      func(context.Context, ...string) error // runs a program to its end
	alone    func(func() error) error               // runs a function in one process at a time
}

// machine is the environment that we are in.
func machine() environment {
	return environment{
		getenv: os.Getenv, lookPath: exec.LookPath, glob: filepath.Glob,
		root: os.Geteuid() == 0, run: run, alone: alone,
	}
}

// binaries returns the folder of a server's programs. It installs them when
// there are none and it may.
func (e environment) binaries() (string, error) {
	if dir, ok := e.installed(); ok {
		return dir, nil
	}
	cause := e.install()
	if dir, ok := e.installed(); ok {
		return dir, nil
	}
	if cause == nil {
		cause = errors.New("its package was installed, but no initdb was found then")
	}
	return "", fmt.Errorf("no PostgreSQL server: install one (Debian: apt-get install postgresql), "+
		"or set %s to the URL of a role that may create databases (%w)", urlVariable, cause)
}

// installed returns the folder of a server's programs that are here already.
func (e environment) installed() (string, bool) {
	if path, err := e.lookPath(needed[0]); err == nil {
		if dir := filepath.Dir(path); e.complete(dir) {
			return dir, true
		}
	}
	for _, pattern := range places {
		dirs, err := e.glob(pattern)
		if err != nil {
			continue // our own patterns are well formed
		}
		slices.SortFunc(dirs, newestFirst)
		if i := slices.IndexFunc(dirs, e.complete); i >= 0 {
			return dirs[i], true
		}
	}
	return "", false
}

// complete reports whether all that we need is in dir; clients alone are often
// installed without the server.
func (e environment) complete(dir string) bool {
	return !slices.ContainsFunc(needed, func(program string) bool {
		_, err := e.lookPath(filepath.Join(dir, program))
		return err != nil
	})
}

var number = regexp.MustCompile(`\d+(\.\d+)?`)

// newestFirst orders folders by the version in their path; one without a
// version comes last.
func newestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(version(b), version(a)), cmp.Compare(a, b))
}

func version(dir string) float64 {
	v, err := strconv.ParseFloat(number.FindString(dir), 64)
	if err != nil {
		return 0
	}
	return v
}
