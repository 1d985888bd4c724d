package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// execPath names the descriptor that the child has as fd, so that what is
// executed is what was hashed, whatever the path names by now. It stays open in
// the child, because the interpreter of a script opens it again by this name.
func execPath(fd int, _ string) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// awaitExit waits until the process has ended and leaves it a zombie, whose
// number nobody else can get.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func changeTime(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return syscall.TimespecToNsec(st.Ctim)
	}
	return 0
}

// clockTicks is how many ticks a second has in /proc. The kernel's interface
// has had no other value on any architecture that Go runs on.
const clockTicks = 100

// usage reads what the process has used. A process that is gone has used
// nothing.
func usage(pid int) Usage {
	proc := "/proc/" + strconv.Itoa(pid)
	var u Usage
	if raw, err := os.ReadFile(proc + "/statm"); err == nil {
		u.RSSBytes = int64(number(bytes.Fields(raw), 1)) * int64(os.Getpagesize())
	}
	if raw, err := os.ReadFile(proc + "/stat"); err == nil {
		// the name, in brackets, may hold anything; fields count from behind it
		fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
		u.CPUSeconds = float64(number(fields, 11)+number(fields, 12)) / clockTicks
	}
	return u
}

func number(fields [][]byte, i int) uint64 {
	if i >= len(fields) {
		return 0
	}
	n, _ := strconv.ParseUint(string(fields[i]), 10, 64)
	return n
}
