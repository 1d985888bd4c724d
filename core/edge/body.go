package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
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
// A Content-Length over the limit is read up to the limit all the same: a caller
// that is answered before it has written anything may see its connection reset in
// the place of the answer.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
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
