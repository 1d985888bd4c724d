package hub

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// upgrade has the WebSocket library check the request and answer it. From then
// on the connection is the peer's own, and nothing of the library's stays.
func (p *Peer) upgrade(w http.ResponseWriter, r *http.Request) error {
	conn, err := websocket.Accept(&hijacker{ResponseWriter: w, peer: p}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // peers are no browsers with cookies: the signed hello is the check
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return err
	}
	_ = conn.CloseNow() // of nobody: see Hijack
	return nil
}

// hijacker gives the connection to the peer, and the WebSocket library nothing
// in its place.
type hijacker struct {
	http.ResponseWriter
	peer *Peer
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := h.take(conn, rw); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return nobody{}, bufio.NewReadWriter(bufio.NewReaderSize(nil, 0), bufio.NewWriterSize(nil, 0)), nil
}

// take makes a connection the peer's, with what net/http has read of it.
func (h *hijacker) take(conn net.Conn, rw *bufio.ReadWriter) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err != nil {
		return err
	}
	if err := rw.Flush(); err != nil {
		return err
	}
	p := h.peer
	p.out = newOutbox(conn, p.hub.options.OutboxBytes, &p.hub.writes)
	p.out.onSlow = p.slow
	p.in.start(conn, early, &p.hub.reads)
	return nil
}

// nobody is a connection without anybody at its other end, which can be closed
// and nothing else.
type nobody struct{ net.Conn }

// Close does nothing.
func (nobody) Close() error { return nil }
