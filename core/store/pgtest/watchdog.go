package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// watchScript reads pids, the last of which is the one that lives, until the
// test process ends or closes the pipe. Then it ends that one, and removes the
// directory. A server that is not gone after ten seconds is killed.
const watchScript = `
pid=
while read -r line; do pid=$line; done
n=0
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
	while [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null; do
		n=$((n + 1))
		if [ $n -gt 100 ]; then kill -KILL "$pid"; break; fi
		sleep 0.1
	done
fi
n=0
until rm -rf "$1" 2>/dev/null; do
	n=$((n + 1))
	if [ $n -gt 50 ]; then exit 1; fi
	sleep 0.1
done
`

// watchdog is a process that outlives ours and clears up after it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File // nobody else has this end, so it closes when we die
}

// newWatchdog watches over dir and, later, over the process that works in it.
func newWatchdog(dir string) (*watchdog, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	defer theirs.Close() //nolint:errcheck // the child has its own
	// No context: it has to outlive all of ours.
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", watchScript, "pgtest-watchdog", dir)
	cmd.Dir = "/"
	cmd.Stdin = theirs
	apart(cmd, nil)
	if err := cmd.Start(); err != nil {
		ours.Close() //nolint:errcheck // nothing was written
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: ours}, nil
}

// guard names the process to end; 0 when there is none any more, so that nobody
// who gets its pid later is taken for it.
func (w *watchdog) guard(pid int) {
	line := "\n"
	if pid != 0 {
		line = fmt.Sprintln(pid)
	}
	// A watchdog that somebody killed cannot be told; end says that it is gone.
	_, _ = w.pipe.WriteString(line)
}

// end lets the watchdog do its work now, and waits for it.
func (w *watchdog) end() error {
	w.pipe.Close() //nolint:errcheck // what was to be said is said
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("remove the cluster: %w", err)
	}
	return nil
}
