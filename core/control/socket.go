package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Names in the data directory.
const (
	socketName  = "broker.sock"
	pointerName = "broker.sock.path" // says where the socket is, where the directory's path is too long for one
	lockName    = "broker.lock"
)

// maxPath is the longest path of a unix socket that every system takes: 104
// bytes on macOS and the BSDs, 108 on Linux, one of them a zero.
const maxPath = 103

// dialTime bounds the attempt to find out who owns a socket.
const dialTime = 2 * time.Second

// ErrRunning is returned where a data directory belongs to a broker that runs.
var ErrRunning = errors.New("another broker runs")

// socket is a listening socket and the files that go with it.
type socket struct {
	net.Listener
	path  string   // of the socket
	files []string // to remove, in this order
}

// listen makes the socket of a data directory.
func listen(ctx context.Context, dataDir string) (*socket, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, err
	}
	if err := clearStale(ctx, dir); err != nil {
		return nil, err
	}
	if s, err := listenIn(dir); !errors.Is(err, errTooLong) {
		return s, err
	}
	return listenElsewhere(dir)
}

// errTooLong says that a socket cannot have this path.
var errTooLong = errors.New("the path is too long for a unix socket")

// listenIn makes the socket inside a directory of its own, which nobody else can
// enter, closes it to others, and moves it to its place.
func listenIn(dir string) (*socket, error) {
	private, err := os.MkdirTemp(dir, ".c")
	if err != nil {
		return nil, err
	}
	defer os.Remove(private) //nolint:errcheck // empty by then
	l, err := bind(filepath.Join(private, "s"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, socketName)
	if err := os.Rename(filepath.Join(private, "s"), path); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(filepath.Join(private, "s")))
	}
	return &socket{Listener: l, path: path, files: []string{path}}, nil
}

// listenElsewhere makes the socket in the system's directory for temporary
// files, and writes into the data directory where it is.
func listenElsewhere(dir string) (*socket, error) {
	private, err := os.MkdirTemp("", "claudemesh-") // mode 0700
	if err != nil {
		return nil, err
	}
	path, pointer := filepath.Join(private, socketName), filepath.Join(dir, pointerName)
	l, err := bind(path)
	if err != nil {
		if errors.Is(err, errTooLong) {
			err = fmt.Errorf("%w: both data_dir (%s) and the directory for temporary files (%s) are; "+
				"set data_dir or TMPDIR to a shorter path", err, dir, os.TempDir())
		}
		return nil, errors.Join(err, os.Remove(private))
	}
	s := &socket{Listener: l, path: path, files: []string{pointer, path, private}}
	if err := os.WriteFile(pointer+".new", []byte(path+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, l.Close(), s.remove())
	}
	if err := os.Rename(pointer+".new", pointer); err != nil {
		return nil, errors.Join(err, l.Close(), s.remove())
	}
	return s, nil
}

// bind listens on a path that only this user can reach.
func bind(path string) (*net.UnixListener, error) {
	if len(path) > maxPath {
		return nil, errTooLong
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it moves, so that we remove it ourselves
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	return l, nil
}

// remove deletes what listen made.
func (s *socket) remove() error {
	var errs []error
	for _, file := range s.files {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// find returns where the socket of a data directory is, or would be.
func find(dataDir string) (string, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, pointerName))
	switch {
	case err == nil:
		return strings.TrimSpace(string(text)), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return filepath.Join(dir, socketName), nil
	default:
		return "", err
	}
}

// clearStale removes what a dead process left, and refuses where a living one
// answers.
func clearStale(ctx context.Context, dir string) error {
	path, err := find(dir)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("%w on %s: it answers on %s", ErrRunning, dir, path)
	}
	if !nobody(err) {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	stale := &socket{files: []string{path}}
	if filepath.Dir(path) != dir {
		stale.files = []string{filepath.Join(dir, pointerName), path, filepath.Dir(path)}
	}
	return stale.remove()
}

// nobody reports whether a dial failed because no process listens there. A path
// that is too long for a socket has none either.
func nobody(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EINVAL)
}
