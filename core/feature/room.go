package feature

import (
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// noRoom turns an error of a store that counts its rows into a refusal. What says
// what is counted, in the plural; help says what makes room.
func noRoom(err error, what, help string) error {
	full, ok := errors.AsType[*store.FullError](err)
	switch {
	case !ok:
		return core.Unavailable(err)
	case full.Member:
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("%d %s are yours, and that is all a member may have: %s", full.Most, what, help))
	default:
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("the mesh has %d %s, and that is all it may have: %s", full.Most, what, help))
	}
}

// answerBytes is how many bytes of JSON the rows of one answer may have. Clients
// of two generations get an answer in two forms, and both have to fit into an
// outbox, beside what waits there already.
const answerBytes = 1 << 20

// fitting returns how many of n rows fit into an answer, at least one. Texts calls
// its argument with each text of a row.
func fitting(n int, texts func(row int, add func(...string))) int {
	size := 0
	for row := range n {
		texts(row, func(list ...string) {
			for _, text := range list {
				size += jsonBytes(text)
			}
		})
		if size > answerBytes && row > 0 {
			return row
		}
	}
	return n
}

// jsonBytes returns the most bytes that a text has in JSON.
func jsonBytes(text string) int {
	n := len(text) + len(`"",`)
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ':
			n += len(`\u0000`) - 1
		case c == '"' || c == '\\':
			n++
		}
	}
	return n
}
