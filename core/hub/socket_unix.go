//go:build unix

package hub

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// socket is where a reader's bytes come from. A TCP connection is asked for
// bytes without waiting, so that a reader that waits needs no buffer.
type socket struct {
	plain plain
	raw   syscall.RawConn              // nil for any other connection
	try   func(fd uintptr) (done bool) // made once, because each would be allocated
	err   error                        // of the last try
}

func (s *socket) start(r *reader, conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn) // not an interface: a type around it has its own Read
	if !ok {
		s.plain.conn = conn
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		s.plain.conn = conn
		return
	}
	s.raw = raw
	s.try = func(fd uintptr) bool { return s.read1(r, int(fd)) }
}

// read waits for bytes and adds them to what r has.
func (s *socket) read(r *reader) error {
	if s.raw == nil {
		return s.plain.read(r)
	}
	if err := s.raw.Read(s.try); err != nil {
		return err
	}
	return s.err
}

// read1 reads what is there. It reports false when that is nothing, and is
// called again when something is.
func (s *socket) read1(r *reader, fd int) (done bool) {
	n, err := syscall.Read(fd, r.room())
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(fd, r.room())
	}
	switch {
	case n > 0:
		r.took(n)
	case err == nil:
		err = io.EOF
	case errors.Is(err, syscall.EAGAIN):
		r.rest()
		return false
	}
	s.err = err
	return true
}
