//go:build !unix

package hub

import "net"

// socket is where a reader's bytes come from.
type socket struct{ plain plain }

func (s *socket) start(_ *reader, conn net.Conn) { s.plain.conn = conn }

// read waits for bytes and adds them to what r has.
func (s *socket) read(r *reader) error { return s.plain.read(r) }
