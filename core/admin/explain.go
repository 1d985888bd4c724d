package admin

import (
	"errors"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/sdk"
)

// Explain returns an error's machine word and the one line that an operator
// reads. Other than a peer, the operator also sees the cause.
func Explain(err error) (code sdk.Reason, line string) {
	var e *core.Error
	if !errors.As(err, &e) {
		return sdk.ReasonInternal, oneLine(err.Error())
	}
	line = e.Message
	if e.Err != nil {
		line += " (" + e.Err.Error() + ")"
	}
	return e.Code, oneLine(strings.Replace(err.Error(), e.Error(), line, 1))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
