package api

import "net/http"

// Streamed is an answer that writes itself, for as long as it likes.
type Streamed interface {
	// Stream writes the status, the header and the body. It returns when the answer
	// is over, or its caller gone.
	Stream(w http.ResponseWriter, r *http.Request)
}
