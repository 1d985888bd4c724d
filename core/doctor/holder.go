package doctor

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// process is one that holds a port.
type process struct {
	pid  int
	name string
}

// holder finds out who listens on a TCP port, where the system tells: Linux, of
// processes that this user may look at.
func (m *Machine) holder(port string) (process, bool) {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return process{}, false
	}
	sockets := m.listeningOn(number)
	if len(sockets) == 0 {
		return process{}, false
	}
	processes, err := fs.ReadDir(m.Root, "proc")
	if err != nil {
		return process{}, false
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err == nil && m.has(pid, sockets) {
			name, _ := fs.ReadFile(m.Root, fmt.Sprintf("proc/%d/comm", pid))
			return process{pid, strings.TrimSpace(string(name))}, true
		}
	}
	return process{}, false
}

// listeningOn returns the inodes of the sockets that listen on a port, by the
// tables of the kernel: sl local rem st tx:rx tr:when retrnsmt uid timeout inode.
func (m *Machine) listeningOn(port uint64) map[string]bool {
	const (
		local, state, inode = 1, 3, 9
		listening           = "0A"
	)
	inodes := map[string]bool{}
	for _, table := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		text, err := fs.ReadFile(m.Root, table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > inode && fields[state] == listening && strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) {
				inodes[fields[inode]] = true
			}
		}
	}
	return inodes
}

// has reports whether a process has one of the sockets open.
func (m *Machine) has(pid int, sockets map[string]bool) bool {
	dir := fmt.Sprintf("proc/%d/fd", pid)
	files, err := fs.ReadDir(m.Root, dir)
	if err != nil {
		return false // another user's
	}
	for _, f := range files {
		target, err := fs.ReadLink(m.Root, dir+"/"+f.Name())
		if err != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(target, "socket:["); ok && sockets[strings.TrimSuffix(rest, "]")] {
			return true
		}
	}
	return false
}
