package wire

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// readOptions and writeOptions add the forms of types that are not ours. What
// is written may hold text from before this package, such as a name from the
// database, so invalid UTF-8 is replaced rather than refused.
var (
	readOptions = json.WithUnmarshalers(json.UnmarshalFromFunc(readPriority))

	writeOptions = json.JoinOptions(
		json.WithMarshalers(json.JoinMarshalers(
			json.MarshalToFunc(writePriority),
			json.MarshalToFunc(writeTime),
		)),
		jsontext.AllowInvalidUTF8(true),
		jsontext.PreserveRawStrings(true),
	)
)

var errPriority = errors.New("not a priority")

// readPriority reads a priority; null is the default, as an absent one is.
func readPriority(dec *jsontext.Decoder, p *sdk.Priority) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		*p = sdk.PriorityNext
		return nil
	case jsontext.KindString:
		if parsed, ok := sdk.ParsePriority(token.String()); ok {
			*p = parsed
			return nil
		}
		return errPriority
	default:
		return errPriority
	}
}

func writePriority(enc *jsontext.Encoder, p sdk.Priority) error {
	return enc.WriteToken(jsontext.String(p.String()))
}

func writeTime(enc *jsontext.Encoder, t time.Time) error {
	var buf [len(timeLayout)]byte
	return enc.WriteToken(jsontext.String(string(AppendTime(buf[:0], t))))
}
