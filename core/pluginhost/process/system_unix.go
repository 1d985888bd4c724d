//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// maxSocketPath is the longest path of a unix socket: 108 bytes with a NUL on
// Linux, 104 on the BSDs.
const maxSocketPath = 103

// ownGroup puts the child into a process group of its own: a terminal's signals
// do not reach it, and ours reach its children too.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func signalGroup(pid int, sig syscall.Signal) { _ = syscall.Kill(-pid, sig) }

// lockDir takes a directory until it is closed or the process ends, or returns
// errTaken at once.
func lockDir(dir *os.File) error {
	err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errTaken
	}
	return err
}

// owned reports whether the directory is ours.
func owned(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
