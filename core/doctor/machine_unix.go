//go:build darwin || linux

package doctor

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// withoutLocks is SQLite's own name for files that it takes no locks on.
const withoutLocks = "unix-none"

// mayWrite asks the system, for the user that the process acts as.
func mayWrite(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

func openFiles() (limit uint64, err error) {
	var l syscall.Rlimit
	err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return l.Cur, err
}
