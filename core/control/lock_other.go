//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package control

import "os"

// lockFile locks nothing on systems without flock. There the control socket
// alone keeps two brokers from one directory: the second finds it answering.
func lockFile(path string, _ bool) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	return lockOpen(f, false)
}

func lockOpen(f *os.File, _ bool) (unlock func(), err error) {
	return func() { _ = f.Close() }, nil
}
