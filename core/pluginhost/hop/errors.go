package hop

import (
	"context"
	"errors"
	"fmt"
)

// Failure says why an envelope got no verdict. Its text is a metric label.
type Failure uint8

// Failures.
const (
	FailDeadline Failure = iota // no answer within the batch's deadline
	FailCrash                   // the process ended with the envelope in hand
	FailDown                    // no process, and the time to wait for one was up
	FailOverload                // more envelopes under way than the window has room for
	FailBreaker                 // the breaker is open
	FailProtocol                // the answer broke the protocol
	FailRight                   // the answer used a right that was not granted
	FailStage                   // the stage itself failed: an error or a panic of Handle
	numFailures
)

// String returns the label.
func (f Failure) String() string {
	return [numFailures]string{
		"deadline", "crash", "down", "overload", "breaker", "protocol", "right", "stage",
	}[f]
}

// FailureWords returns the labels of all failures.
func FailureWords() []string {
	words := make([]string, 0, numFailures)
	for f := range numFailures {
		words = append(words, f.String())
	}
	return words
}

// Error is what a hop returns for an envelope without a verdict.
type Error struct {
	Failure Failure
	Err     error // the cause; never nil
}

func (e *Error) Error() string { return "plugin: " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// ErrorType is the word for the failure in spans.
func (e *Error) ErrorType() string { return e.Failure.String() }

// Errors that say all there is to say.
var (
	errDeadline = &Error{FailDeadline, fmt.Errorf("no verdict came in time: %w", context.DeadlineExceeded)}
	errQueued   = &Error{FailOverload, errors.New("it has more envelopes in hand than in_flight allows; none of them got ready for long")}
	errShed     = &Error{FailOverload, errors.New("it has more envelopes in hand than in_flight allows, and overload is shed")}
	errCrash    = &Error{FailCrash, errors.New("it ended before it answered")}
	errBreaker  = &Error{FailBreaker, errors.New("too many of its answers failed; it is asked again in a moment")}
	errClosed   = &Error{FailDown, errors.New("it was stopped")}
)

// down is the error of callers that wait for no process.
func down(why error) *Error {
	return &Error{FailDown, fmt.Errorf("it does not run: %w", why)}
}

// breach is an answer that breaks the protocol.
func breach(format string, args ...any) *Error {
	return &Error{FailProtocol, fmt.Errorf(format, args...)}
}

// tooLarge is the error of an envelope that does not fit into a message.
func tooLarge(n int) *Error {
	return &Error{FailOverload, fmt.Errorf("its view of the envelope has %d bytes; at most %d cross", n, maxView)}
}
