package core

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Error is a request that could not be done. Code and Message go to whoever
// asked; Err goes to the log and nowhere else.
type Error struct {
	Code    sdk.Reason
	Message string // what is wrong, and what to do about it
	Err     error  // may be nil

	// Detail says what would help, to HTTP callers, where clients look for the
	// Message as it is.
	Detail string

	// RetryAfter says when the same request may succeed; 0 says nothing.
	RetryAfter time.Duration
}

// Refuse returns an Error without a cause.
func Refuse(code sdk.Reason, message string) *Error {
	return &Error{Code: code, Message: message}
}

// Explain returns the error with a detail.
func (e *Error) Explain(detail string) *Error {
	e.Detail = detail
	return e
}

// Unavailable returns the Error for a store that did not answer. The request
// may be repeated as it is.
func Unavailable(err error) *Error {
	return &Error{Code: sdk.ReasonUnavailable, Message: "the broker cannot reach its store: try again in a moment", Err: err}
}

// Error returns everything, for the log.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Decision refuses an envelope with the error's code and message.
func (e *Error) Decision() sdk.Decision {
	return sdk.Decision{Verdict: sdk.Deny, Reason: e.Code, Text: e.Message, RetryAfter: e.RetryAfter}
}
