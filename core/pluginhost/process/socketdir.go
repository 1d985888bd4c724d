package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// dirPrefix is what the directory of a life is called; digits follow.
const dirPrefix = "p"

// errTaken says that somebody who lives has the directory.
var errTaken = errors.New("taken")

// socketDir is the private directory of one life, in which the plugin makes its
// socket. Its descriptor is locked for as long as the host lives; the kernel
// gives the lock back however the host ends, which is how [Sweep] knows.
type socketDir struct {
	path string
	lock *os.File
}

// makeDir makes a directory below runDir, or below a short one of the system
// when the path of a socket in it would be too long.
func makeDir(ctx context.Context, runDir string) (*socketDir, error) {
	base, err := baseDir(runDir)
	if err != nil {
		return nil, fmt.Errorf("directory for sockets: %w", err)
	}
	for {
		d, err := tryDir(base)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, errTaken) {
			return nil, fmt.Errorf("directory for sockets: %w", err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// tryDir returns errTaken when a sweep took the directory between its making
// and its locking.
func tryDir(base string) (*socketDir, error) {
	path, err := os.MkdirTemp(base, dirPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errTaken
	}
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	if err := lockDir(lock); err != nil {
		_ = lock.Close()
		return nil, err
	}
	if !names(path, lock) {
		_ = lock.Close()
		return nil, errTaken
	}
	return &socketDir{path: path, lock: lock}, nil
}

// remove removes the directory with what is in it, then gives the lock back.
func (d *socketDir) remove() {
	_ = os.RemoveAll(d.path)
	_ = d.lock.Close()
}

// Sweep removes the socket directories below runDir whose host is gone. Lives
// of this host and of others are left alone, so that it may run at any time.
func Sweep(runDir string) error {
	base, err := baseDir(runDir)
	if err != nil {
		return fmt.Errorf("sweep sockets: %w", err)
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("sweep sockets: %w", err)
	}
	var failed []error
	for _, e := range entries {
		if e.IsDir() && isLife(e.Name()) {
			failed = append(failed, sweepDir(filepath.Join(base, e.Name())))
		}
	}
	return errors.Join(failed...)
}

func sweepDir(path string) error {
	lock, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep sockets: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := lockDir(lock); err != nil {
		if errors.Is(err, errTaken) {
			return nil
		}
		return fmt.Errorf("sweep sockets %s: %w", path, err)
	}
	return os.RemoveAll(path)
}

// baseDir returns the directory in which those of the lives are made, and makes
// it, for us alone.
func baseDir(runDir string) (string, error) {
	base, err := filepath.Abs(runDir)
	if err != nil {
		return "", err
	}
	if runDir != "" && fits(base) {
		return base, os.MkdirAll(base, 0o700)
	}
	// Anybody may have made this one, so it is looked at.
	short := filepath.Join(os.TempDir(), fmt.Sprintf("claudemesh-%d", os.Getuid()))
	if !fits(short) {
		return "", fmt.Errorf("%s and %s are too long for sockets, whose paths have at most %d bytes", base, short, maxSocketPath)
	}
	if err := os.MkdirAll(short, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(short)
	if err == nil && (!info.IsDir() || !owned(info) || info.Mode().Perm()&0o022 != 0) {
		err = fmt.Errorf("%s belongs to somebody else, or others may write to it: remove it, or choose a shorter directory than %s", short, base)
	}
	return short, err
}

// fits reports whether a socket of go-plugin below base has a path that the
// system takes: p and plugin, with up to ten digits each.
func fits(base string) bool {
	return len(base)+len("/p0123456789/plugin0123456789") <= maxSocketPath
}

func isLife(name string) bool {
	digits, ok := strings.CutPrefix(name, dirPrefix)
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// names reports whether path still is the directory that is open.
func names(path string, open *os.File) bool {
	there, err := os.Lstat(path)
	if err != nil {
		return false
	}
	here, err := open.Stat()
	return err == nil && os.SameFile(there, here)
}
