package api

import (
	"io"
	"net/http"
	"time"
)

// paceBytes is how much has to come, or to go, within the timeout of a request: who
// is slower holds a connection for nothing.
const paceBytes = 64 << 10

// pace gives a request its time anew whenever enough of it has come or gone.
type pace struct {
	left   int
	extend func(time.Time) error
	every  time.Duration
}

// begin gives it its first time. A connection that has no deadlines needs none.
func (p *pace) begin() {
	p.left = paceBytes
	_ = p.extend(time.Now().Add(p.every)) // the transport has none, or the connection is gone, which the next byte tells
}

func (p *pace) moved(n int) {
	if p.left -= n; p.left <= 0 {
		p.begin()
	}
}

// pacedReader is a body that comes fast enough.
type pacedReader struct {
	io.Reader
	pace
}

// pacedBody returns the body of a request.
func pacedBody(w http.ResponseWriter, r *http.Request, every time.Duration) *pacedReader {
	p := &pacedReader{r.Body, pace{extend: http.NewResponseController(w).SetReadDeadline, every: every}}
	p.begin()
	return p
}

// Read implements [io.Reader].
func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.moved(n)
	return n, err
}

// pacedWriter is an answer whose reader is fast enough.
type pacedWriter struct {
	http.ResponseWriter
	pace
	sent int64 // bytes of the body
}

func pacedAnswer(w http.ResponseWriter, every time.Duration) *pacedWriter {
	p := &pacedWriter{ResponseWriter: w, pace: pace{extend: http.NewResponseController(w).SetWriteDeadline, every: every}}
	p.begin()
	return p
}

// Write implements [io.Writer].
func (p *pacedWriter) Write(b []byte) (int, error) {
	n, err := p.ResponseWriter.Write(b)
	p.sent += int64(n)
	p.moved(n)
	return n, err
}
