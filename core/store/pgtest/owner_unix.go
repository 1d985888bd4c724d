//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is who the server runs as.
type owner struct {
	uid, gid uint32
}

// unprivileged is who runs a server in root's place, or nil when we are not root.
func unprivileged() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &owner{uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody; add one, or test as another user")
}

// makeDir makes a directory that is who's, where who can get to.
func makeDir(who *owner) (string, error) {
	temp, err := filepath.Abs(os.TempDir()) // the programs work elsewhere
	if err != nil {
		return "", err
	}
	if who == nil {
		return os.MkdirTemp(temp, "pgtest-")
	}
	for _, base := range []string{temp, "/tmp", "/var/tmp"} {
		if !open(base) {
			continue
		}
		dir, err := os.MkdirTemp(base, "pgtest-")
		if err != nil {
			continue
		}
		if err := os.Chown(dir, int(who.uid), int(who.gid)); err != nil {
			return "", errors.Join(fmt.Errorf("give the cluster's directory away: %w", err), os.Remove(dir))
		}
		return dir, nil
	}
	return "", errors.New("no temporary directory that other users can enter; set TMPDIR to one (chmod o+x, its parents too)")
}

// open reports whether everybody may pass through dir and all that is above it.
func open(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// apart makes cmd run as who, in a session of its own, so that an interrupt
// from the terminal is ours alone.
func apart(cmd *exec.Cmd, who *owner) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if who != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid}
	}
}

// ended reports whether our child is no more, without waiting for it; then its
// end is taken note of, and nobody may wait for it again. A goroutine that waits
// would stay as long as the server.
func ended(p *os.Process) bool {
	pid, err := syscall.Wait4(p.Pid, nil, syscall.WNOHANG, nil)
	if pid != p.Pid && !errors.Is(err, syscall.ECHILD) {
		return false
	}
	_ = p.Release() // frees what the process held of the system's; it cannot fail here
	return true
}

// quit tells a server to end at once.
func quit(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }

// alone runs do while no other process of this user does.
func alone(do func() error) error {
	name := filepath.Join(os.TempDir(), fmt.Sprintf("pgtest-install-%d.lock", os.Geteuid()))
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // it frees the lock
	for {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	return do()
}
