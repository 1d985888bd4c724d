package process

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Exit is how a process ended.
type Exit struct {
	Code   int       // -1 when a signal ended it
	Signal string    // such as "killed"; empty when it ended by itself
	Panic  string    // the line that a panic on stderr starts with
	Stderr string    // the last 64 KiB
	At     time.Time // when it was reaped
}

// Error says it in one line: the code or the signal, and the panic or else the
// last line of stderr.
func (e Exit) Error() string {
	how := fmt.Sprintf("ended with exit code %d", e.Code)
	if e.Signal != "" {
		how = "was ended by a signal: " + e.Signal
	}
	switch last := lastLine(e.Stderr); {
	case e.Panic != "":
		return how + ": " + e.Panic
	case last != "":
		return how + ", after " + quote(last)
	}
	return how
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// quote shows the beginning of what a plugin printed, whatever it is.
func quote(s string) string {
	const most = 200
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q and more", s[:most])
}

// exitOf reads what Wait returned.
func exitOf(state *os.ProcessState, err error) Exit {
	e := Exit{Code: -1, At: time.Now()}
	if state == nil {
		e.Signal = fmt.Sprint("unknown: ", err)
		return e
	}
	e.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal().String()
	}
	return e
}

// startError removes the name of the descriptor from the error of a start,
// which says nothing to the reader.
func startError(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot be executed: %w (its interpreter or loader is missing, or /proc is not mounted)", err)
	}
	return fmt.Errorf("cannot be executed: %w", err)
}
