package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What can be wrong with a body.
var (
	ErrTooLarge   = errors.New("the body is too large")                         // answer 413
	ErrIncomplete = errors.New("the body did not arrive in time, or not whole") // answer 400
)

// ReadBody reads the whole body of a request, at most limit bytes. Its error is
// ErrTooLarge, or ErrIncomplete with its cause: the caller went away, lied about
// the length, or was slower than the server's read timeout. Either way the
// connection is closed after the answer, and no more of the body is read.
//
// A Content-Length over the limit is refused without more than a look at what is
// on its way: see [lingerTime].
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		linger(w, r, limit)
		return nil, ErrTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return body, nil
	}
	w.Header().Set("Connection", "close")
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, ErrTooLarge
	}
	return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
}

// lingerTime is how long the beginning of a body is read that nobody wants. A
// caller that is answered while it still writes may see its connection reset in
// the place of the answer.
const lingerTime = 500 * time.Millisecond

// linger reads and forgets what comes of a body for a moment, limit bytes at most.
func linger(w http.ResponseWriter, r *http.Request, limit int64) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)); err != nil {
		return // a connection of which nothing can be read any more
	}
	_, _ = io.CopyN(io.Discard, r.Body, limit) // whatever became of it, the answer is the same
}
