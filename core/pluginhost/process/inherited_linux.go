package process

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// KeepDescriptors keeps what this process inherited open from its plugins:
// descriptors that whoever started it left without close-on-exec. What the
// program opens by itself never has that fault.
func KeepDescriptors() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
