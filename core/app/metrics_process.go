package app

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"github.com/claudemesh/broker/core/telemetry"
)

// tick is the unit of CPU time in /proc on every Linux: USER_HZ is 100.
const tick = 10 * time.Millisecond

// processMetrics gives what this process costs the machine, under the names that
// Prometheus' own libraries use. They are read in /proc, and left out where there
// is none.
func processMetrics(to telemetry.To) {
	if s, ok := readStat(); ok {
		to.Counter("process_cpu_seconds_total", "CPU time of this process, of its own code and of the system's for it", s.cpu.Seconds())
		to.Gauge("process_resident_memory_bytes", "Memory of this process that is in the machine's", float64(s.resident))
		to.Gauge("process_virtual_memory_bytes", "Memory that this process has addresses for", float64(s.virtual))
		if !s.started.IsZero() {
			to.Gauge("process_start_time_seconds", "When this process started, since 1970", float64(s.started.UnixMilli())/1000)
		}
	}
	if n, ok := openFiles(); ok {
		to.Gauge("process_open_fds", "Open files and sockets", float64(n))
	}
	if n, ok := mostFiles(); ok {
		to.Gauge("process_max_fds", "Most open files and sockets", n)
	}
}

// Started returns when this process started, which process_start_time_seconds
// shows: counters count from there. Where the system does not say, it is when the
// broker was made.
func (a *App) Started() time.Time {
	if s, ok := readStat(); ok && !s.started.IsZero() {
		return s.started
	}
	return a.health.Started
}

// stat is what /proc/self/stat says.
type stat struct {
	cpu               time.Duration
	virtual, resident int64     // bytes
	started           time.Time // zero when the system does not say when it booted
}

func readStat() (s stat, ok bool) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return stat{}, false
	}
	s, since, ok := parseStat(b)
	if boot, known := bootTime(); known && ok {
		s.started = boot.Add(since)
	}
	return s, ok
}

// parseStat reads the line of a process, and when it started after boot. The name
// in parentheses may hold anything, so the fields are counted from behind it.
func parseStat(line []byte) (s stat, since time.Duration, ok bool) {
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	if len(fields) < 22 {
		return stat{}, 0, false
	}
	number := func(i int) int64 { // the i-th field as proc(5) counts them, 3 is the first one here
		n, err := strconv.ParseInt(string(fields[i-3]), 10, 64)
		ok = ok && err == nil
		return n
	}
	ok = true
	s.cpu = time.Duration(number(14)+number(15)) * tick
	since = time.Duration(number(22)) * tick
	s.virtual, s.resident = number(23), number(24)*int64(os.Getpagesize())
	return s, since, ok
}

// bootTime returns when the machine started.
func bootTime() (time.Time, bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, false
	}
	for line := range bytes.Lines(b) {
		if text, is := bytes.CutPrefix(line, []byte("btime ")); is {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
			return time.Unix(n, 0), err == nil
		}
	}
	return time.Time{}, false
}

// openFiles counts this process' files, where the system lists them.
func openFiles() (int, bool) {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer d.Close() //nolint:errcheck // only read
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, false
	}
	return len(names) - 1, true // one is d
}

// mostFiles returns the limit of open files that counts now.
func mostFiles() (float64, bool) {
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(b) {
		if text, is := bytes.CutPrefix(line, []byte("Max open files")); is {
			if fields := bytes.Fields(text); len(fields) > 0 {
				n, err := strconv.ParseFloat(string(fields[0]), 64) // "unlimited" is none
				return n, err == nil
			}
		}
	}
	return 0, false
}
