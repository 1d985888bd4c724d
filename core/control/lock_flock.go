//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package control

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes the lock, for one or shared, or returns errLocked at once. The
// kernel gives it back when the process ends, however it ends.
func lockFile(path string, exclusive bool) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	return lockOpen(f, exclusive)
}

// lockOpen takes the lock on a file that is open, and closes it with the lock,
// or at once where there is an error.
func lockOpen(f *os.File, exclusive bool) (unlock func(), err error) {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, &os.PathError{Op: "lock", Path: f.Name(), Err: fmt.Errorf("%w (does its file system know flock?)", err)}
	}
	return func() { _ = f.Close() }, nil
}
