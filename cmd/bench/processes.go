package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processes are those whose CPU time a trial is charged with.
type processes struct {
	Servers    []int `json:"servers"`              // brokers, or the relay
	Bus        int   `json:"bus,omitempty"`        // NATS; 0 without
	Postmaster int   `json:"postmaster,omitempty"` // PostgreSQL's first process; 0 without
}

// usage is CPU time, by who used it.
type usage struct{ servers, bus, database time.Duration }

func (u usage) sub(o usage) usage {
	return usage{u.servers - o.servers, u.bus - o.bus, u.database - o.database}
}

func (u usage) sum() time.Duration { return u.servers + u.bus + u.database }

// usage returns what the processes have used so far.
func (p processes) usage() (u usage, err error) {
	for _, pid := range p.Servers {
		cpu, err := cpuOf(pid)
		if err != nil {
			return u, err
		}
		u.servers += cpu
	}
	if p.Bus != 0 {
		if u.bus, err = cpuOf(p.Bus); err != nil {
			return u, err
		}
	}
	if p.Postmaster != 0 {
		u.database, err = familyCPU(p.Postmaster)
	}
	return u, err
}

// resident returns the resident memory of the servers in KiB.
func (p processes) resident() (sum float64, err error) {
	for _, pid := range p.Servers {
		kib, err := residentOf(pid)
		if err != nil {
			return 0, err
		}
		sum += kib
	}
	return sum, nil
}

// collectGarbage asks the servers to free what they do not need.
func (p processes) collectGarbage() error {
	for _, pid := range p.Servers {
		if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
			return err
		}
	}
	return nil
}

// stat is what /proc says of a process.
type stat struct {
	parent int
	own    time.Duration // CPU time in user and system mode, rounded to 10 ms
	ended  time.Duration // the same of its children that have ended
}

func statOf(pid int) (s stat, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, fmt.Errorf("cpu time: %w", err)
	}
	// The name, in parentheses, may contain anything; fields are counted from
	// behind it. The first there is the third of all.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	const parent, user, system, endedUser, endedSystem = 4 - 3, 14 - 3, 15 - 3, 16 - 3, 17 - 3
	if len(fields) <= endedSystem {
		return s, fmt.Errorf("cpu time: /proc/%d/stat is too short", pid)
	}
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return s, fmt.Errorf("cpu time: %w", err)
	}
	for field, sum := range map[int]*time.Duration{user: &s.own, system: &s.own, endedUser: &s.ended, endedSystem: &s.ended} {
		ticks, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return s, fmt.Errorf("cpu time: %w", err)
		}
		*sum += time.Duration(ticks) * clockTick
	}
	return s, nil
}

// cpuOf returns the CPU time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	s, err := statOf(pid)
	return s.own, err
}

// familyCPU returns the CPU time of a process and of all its children, those
// that have ended included.
func familyCPU(pid int) (time.Duration, error) {
	s, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	sum := s.own + s.ended
	children, err := childrenOf(pid)
	for _, child := range children {
		if s, err := statOf(child); err == nil { // else it has ended since
			sum += s.own
		}
	}
	return sum, err
}

// childrenOf returns the children of a process.
func childrenOf(pid int) (list []int, err error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("children of process %d: %w", pid, err)
	}
	for _, entry := range all {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		if s, err := statOf(child); err == nil && s.parent == pid {
			list = append(list, child)
		}
	}
	return list, nil
}
