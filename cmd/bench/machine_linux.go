package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pin moves this process to one core and becomes the program argv.
func pin(cpu int, argv []string) error {
	runtime.LockOSThread() // the thread that calls exec is the one that is left
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("core %d: %w", cpu, err)
	}
	return fmt.Errorf("%s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}

// confine moves a running process, and its children, to one core. Children that
// come later inherit it.
func confine(pid, cpu int) error {
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, p := range append([]int{pid}, children...) {
		if err := unix.SchedSetaffinity(p, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("core %d for process %d: %w", cpu, p, err)
		}
	}
	return nil
}

// nap sleeps without the runtime's timers, which may be a millisecond late. It
// keeps a thread, so it is for one goroutine that keeps time for the others.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // a signal may end it early; callers look at the clock
}
