package processtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Stopped reports whether each thread of a process has stopped. A process that
// is sent SIGSTOP goes on for a moment: threads stop one by one.
func Stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, stat := range threads {
		if State(stat) != "T" {
			return false
		}
	}
	return true
}

// State returns the letter of a process's or a thread's state from its stat
// file, empty when there is none any more.
func State(stat string) string {
	raw, err := os.ReadFile(stat)
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(raw[bytes.LastIndexByte(raw, ')'):], []byte(" "))
	return string(rest[:1])
}
