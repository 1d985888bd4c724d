package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// How long a broker waits for a command to finish its change, and a command for
// a broker to come up; and how often each looks.
const (
	lockTime = 5 * time.Second
	lockPoll = 25 * time.Millisecond
)

// errLocked says that somebody else has the lock.
var errLocked = errors.New("locked")

// Lock takes a data directory for one broker, until unlock is called or the
// process ends. It waits a moment for a command that is in the middle of a
// change, and returns [ErrRunning] where a broker runs.
func Lock(ctx context.Context, dataDir string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	for {
		unlock, err := lockFile(filepath.Join(dataDir, lockName), true)
		if !errors.Is(err, errLocked) {
			return unlock, err
		}
		if c, err := Dial(ctx, dataDir); err == nil {
			defer c.Close()
			return nil, fmt.Errorf("%w on %s (process %d, %s): stop it, or choose another --data-dir",
				ErrRunning, dataDir, c.About().PID, c.About().URL)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w on %s, or a command that changes it: stop it, or choose another --data-dir", ErrRunning, dataDir)
		case <-time.After(lockPoll):
		}
	}
}

// Hold keeps brokers from starting on a data directory until unlock is called,
// and makes nothing there; commands that change the store go on. A broker that
// starts waits for it five seconds. The error is [ErrRunning] where a broker has
// the directory, and fs.ErrNotExist where none ever had.
func Hold(dataDir string) (unlock func(), err error) {
	f, err := os.Open(filepath.Join(dataDir, lockName))
	if err != nil {
		return nil, err
	}
	unlock, err = lockOpen(f, false)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%w on %s", ErrRunning, dataDir)
	}
	return unlock, err
}

// openLock opens the file that is locked. It is never removed: whoever removed
// it could be the second one to hold a lock.
func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
