package doctor

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core/config"
)

// fewFiles are too few to serve anybody: the store, the bus and the plugins take
// some dozens.
const fewFiles = 256

// littleMemory is less than a broker needs with its store and a few hundred
// peers, in bytes.
const littleMemory = 128 << 20

// memoryVariable tells Go's runtime how much memory it may use.
const memoryVariable = "GOMEMLIMIT"

// examine looks at the limits of a process, 0 for this one.
func (m *Machine) examine(pid int, c config.Config, report func(Finding)) {
	r := &round{Subject: Subject{Config: c, Machine: *m}, report: report}
	r.openFiles(pid)
	r.memory(pid)
}

// openFiles compares the limit with the connections that the config lets in.
func (r *round) openFiles(pid int) {
	limit, whose, err := r.Machine.filesOf(pid)
	if err != nil {
		r.ok(CheckFiles, "not known on this system")
		return
	}
	const fix = "raise it: LimitNOFILE=262144 of the systemd unit, --ulimit nofile=262144 of docker, ulimit -n in a shell"
	c := r.Config
	needed := uint64(c.Limits.ConnectionsPerMesh) + uint64(c.Store.Pool) + fewFiles //nolint:gosec // both are above 0
	switch {
	case limit < fewFiles:
		r.fail(CheckFiles, fix, "%s may open %d files, and each connection is one", whose, limit)
	case limit < needed:
		r.warn(CheckFiles, fix+"; or lower limits.connections_per_mesh", "%s may open %s files; one full mesh has %d connections (limits.connections_per_mesh)",
			whose, count(limit), c.Limits.ConnectionsPerMesh)
	default:
		r.ok(CheckFiles, "%s may open %s", whose, count(limit))
	}
}

func count(n uint64) string {
	if n >= math.MaxInt64 {
		return "any number of"
	}
	return strconv.FormatUint(n, 10)
}

// filesOf returns how many files a process may open, and whose limit it is.
func (m *Machine) filesOf(pid int) (limit uint64, whose string, err error) {
	text, err := fs.ReadFile(m.Root, fmt.Sprintf("proc/%d/limits", pid))
	if pid != 0 && err == nil {
		for line := range strings.Lines(string(text)) {
			rest, ok := strings.CutPrefix(line, "Max open files")
			if fields := strings.Fields(rest); ok && len(fields) > 0 {
				whose = "the running broker"
				if fields[0] == "unlimited" {
					return math.MaxUint64, whose, nil
				}
				limit, err = strconv.ParseUint(fields[0], 10, 64)
				return limit, whose, err
			}
		}
	}
	limit, err = m.OpenFiles()
	return limit, "a process of this user", err
}

// memory looks whether Go knows of the limit that the process has.
func (r *round) memory(pid int) {
	limit, limited := r.Machine.memoryLimit(pid)
	set, known := r.Machine.goLimit(pid)
	hint := fmt.Sprintf("set %s=%dMiB for the broker, nine tenths of its limit: Go then collects sooner instead of being killed", memoryVariable, limit*9/10>>20)
	switch {
	case !limited && set > 0:
		r.ok(CheckMemory, "%s is %s", memoryVariable, bytes(set))
	case !limited:
		r.ok(CheckMemory, "no limit but the machine's")
	case limit < littleMemory:
		r.warn(CheckMemory, "give the broker's cgroup or container more memory", "limited to %s", bytes(limit))
	case set > limit:
		r.warn(CheckMemory, hint, "limited to %s, and %s is %s, which is above it", bytes(limit), memoryVariable, bytes(set))
	case set == 0 && known:
		r.warn(CheckMemory, hint, "limited to %s, and %s is not set", bytes(limit), memoryVariable)
	case set == 0:
		r.ok(CheckMemory, "limited to %s; whether the broker has %s cannot be seen from here", bytes(limit), memoryVariable)
	default:
		r.ok(CheckMemory, "limited to %s, and %s is %s", bytes(limit), memoryVariable, bytes(set))
	}
}

// goLimit returns GOMEMLIMIT of a process in bytes, 0 when it is not set or off.
// It is not known of a process that this user may not look at.
func (m *Machine) goLimit(pid int) (limit uint64, known bool) {
	text, ok := m.Lookenv(memoryVariable)
	if pid != 0 {
		environ, err := fs.ReadFile(m.Root, fmt.Sprintf("proc/%d/environ", pid))
		if err != nil {
			return 0, false
		}
		text, ok = "", false
		for variable := range strings.SplitSeq(string(environ), "\x00") {
			if value, is := strings.CutPrefix(variable, memoryVariable+"="); is {
				text, ok = value, true
			}
		}
	}
	if !ok {
		return 0, true
	}
	return parseGoLimit(text), true
}

// parseGoLimit reads the form that the runtime takes: a number with B, KiB, MiB,
// GiB or TiB, or none of them. What it does not take is 0.
func parseGoLimit(text string) uint64 {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "B"), 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0
	}
	return n << shift
}

// memoryLimit returns the smallest limit of the cgroups that a process is in,
// 0 for this one.
func (m *Machine) memoryLimit(pid int) (limit uint64, limited bool) {
	who := "self"
	if pid != 0 {
		who = strconv.Itoa(pid)
	}
	text, err := fs.ReadFile(m.Root, "proc/"+who+"/cgroup")
	if err != nil {
		return 0, false
	}
	limit = math.MaxUint64
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0": // version 2
			limit = min(limit, m.limitUp("sys/fs/cgroup", parts[2], "memory.max"))
		case strings.Contains(parts[1], "memory"): // version 1
			limit = min(limit, m.limitUp("sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"))
		}
	}
	return limit, limit < 1<<60 // what version 1 says without a limit is above
}

// limitUp reads a file in a cgroup and in all above it. In a container, the path
// may be the host's, and only the root is there.
func (m *Machine) limitUp(root, group, file string) uint64 {
	limit := uint64(math.MaxUint64)
	for dir := path.Join(root, group); ; dir = path.Dir(dir) {
		if text, err := fs.ReadFile(m.Root, path.Join(dir, file)); err == nil {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
				limit = min(limit, n)
			}
		}
		if dir == root || !strings.HasPrefix(dir, root) {
			return limit
		}
	}
}
