package hub

import "net"

// waitBuffer is what a connection that cannot be asked without waiting, such as
// one with TLS, waits with. What does not fit is read with a borrowed buffer.
const waitBuffer = 128

// plain reads any connection.
type plain struct {
	conn net.Conn
	wait []byte // nil before the first wait
}

// read waits for bytes and adds them to what r has.
func (p *plain) read(r *reader) error {
	if !r.rest() {
		n, err := p.conn.Read(r.room())
		return p.took(r, n, err)
	}
	if p.wait == nil {
		p.wait = make([]byte, waitBuffer)
	}
	n, err := p.conn.Read(p.wait)
	if n > 0 {
		copy(r.room(), p.wait[:n])
	}
	return p.took(r, n, err)
}

// took keeps an error that came with bytes for the next read, which will find
// it again.
func (*plain) took(r *reader, n int, err error) error {
	if n == 0 {
		return err
	}
	r.took(n)
	return nil
}
