package api

import "net/http"

// Continued is an answer that goes on with its request behind the chain: it takes in
// a body, or sends one, that is too large to be held in memory.
type Continued interface {
	// Continue returns the answer, nil where it has written it itself. A refusal is a
	// [*core.Error], of which nothing was written yet.
	Continue(w http.ResponseWriter, r *http.Request) (answer any, err error)
}

// Answer is something that a route answers beside its reply in JSON, or in the place
// of it.
type Answer struct {
	Status  int
	Meaning string
	Form    string // content type; empty for no body
}
