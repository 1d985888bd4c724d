//go:build unix

package plugin

import (
	"os"

	"golang.org/x/sys/unix"
)

// stealStdout returns standard output by another descriptor, and makes
// descriptor 1 a second standard error.
func stealStdout() *os.File {
	fd, err := unix.Dup(1)
	if err != nil {
		return os.Stdout
	}
	unix.CloseOnExec(fd)
	if err := unix.Dup2(2, 1); err != nil {
		_ = unix.Close(fd)
		return os.Stdout
	}
	return os.NewFile(uintptr(fd), "stdout")
}

// closeOnExec keeps a descriptor from children of the program.
func closeOnExec(fd int) { unix.CloseOnExec(fd) }
