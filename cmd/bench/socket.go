package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// busyBuffer takes many frames with one read.
	busyBuffer = 16 << 10
	// idleBuffer is enough for a peer that hears little.
	idleBuffer = 1 << 10
	// loginTimeout bounds connecting and the login.
	loginTimeout = 30 * time.Second
)

// socket is the generator's end of a WebSocket connection.
//
// It is no general client: it makes and parses frames by itself and joins
// writes, because the generator has one core, like the server, and must not be
// the slower of the two. The tests run it against coder/websocket.
type socket struct {
	conn net.Conn

	// Owned by the reader.
	in   []byte // what was read; in[at:] is not parsed yet
	at   int
	wire int64 // frames parsed so far

	mu      sync.Mutex
	out     []byte // frames that wait
	spare   []byte // the buffer that was written last
	writing bool   // somebody is in flush
	lost    error  // of a write
}

// connect opens a connection to a server at host:port and upgrades it.
func (s *socket) connect(ctx context.Context, addr, path string, buffer int) error {
	conn, err := (&net.Dialer{Timeout: loginTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s.conn, s.in = conn, make([]byte, 0, buffer)
	if err := s.upgrade(addr, path); err != nil {
		_ = conn.Close()
		return fmt.Errorf("upgrade: %w", err)
	}
	return nil
}

// upgrade asks for a WebSocket. What the server sends behind its answer stays
// in the buffer.
func (s *socket) upgrade(addr, path string) error {
	if err := s.conn.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: " + addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13" +
		"\r\nSec-WebSocket-Key: bm90IGEgcmFuZG9tIGtleQ==\r\n\r\n"))
	if err != nil {
		return err
	}
	for {
		if end := bytes.Index(s.in, []byte("\r\n\r\n")); end >= 0 {
			if line, _, _ := bytes.Cut(s.in, []byte("\r\n")); !bytes.HasPrefix(line, []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("the server answered %s", line)
			}
			s.at = end + 4
			return s.conn.SetDeadline(time.Time{})
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// fill reads more bytes, as many as there are and fit.
func (s *socket) fill() error {
	if s.at > 0 {
		s.in = s.in[:copy(s.in, s.in[s.at:])]
		s.at = 0
	}
	if len(s.in) == cap(s.in) {
		s.in = append(s.in, 0)[:len(s.in)]
	}
	n, err := s.conn.Read(s.in[len(s.in):cap(s.in)])
	s.in = s.in[:len(s.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// next returns the next frame that was read whole; ok is false when there is
// none. The payload is good until fill.
func (s *socket) next() (op byte, payload []byte, ok bool, err error) {
	op, payload, size, err := parseFrame(s.in[s.at:])
	if err != nil || size == 0 {
		return 0, nil, false, err
	}
	s.at += size
	s.wire++
	return op, payload, true, nil
}

// post appends a frame to what waits. Nothing is written before flush.
func (s *socket) post(op byte, payload []byte) {
	s.mu.Lock()
	s.out = appendFrame(s.out, op, payload)
	s.mu.Unlock()
}

// flush writes what waits, or leaves it to whoever is writing already.
func (s *socket) flush() {
	s.mu.Lock()
	for len(s.out) > 0 && !s.writing && s.lost == nil {
		b := s.out
		s.out, s.spare, s.writing = s.spare[:0], nil, true
		s.mu.Unlock()
		_, err := s.conn.Write(b)
		s.mu.Lock()
		s.spare, s.writing, s.lost = b[:0], false, err
	}
	s.mu.Unlock()
}

// goodbye ends the connection as a polite peer does, and waits until the server
// has closed it too.
func (s *socket) goodbye() error {
	const normal = "\x03\xe8" // 1000
	s.post(opClose, []byte(normal))
	s.flush()
	err := s.conn.SetReadDeadline(time.Now().Add(loginTimeout))
	for err == nil {
		s.at = len(s.in)
		err = s.fill()
	}
	return s.conn.Close()
}
