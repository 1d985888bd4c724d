package wire

import (
	"errors"
	"testing"

	"github.com/claudemesh/broker/sdk"
)

func TestFramesWithNULAreRefused(t *testing.T) {
	for frame, refused := range map[string]bool{
		`{"type":"set_summary","summary":"a\u0000b"}`:         true,
		`{"type":"set_summary","summary":"\\\u0000"}`:         true,
		`{"type":"set_summary","summary":"\\u0000"}`:          false, // the text \u0000
		`{"type":"set_summary","summary":"\\u0000\u0000"}`:    true,
		`{"type":"set_summary","summary":"\\\\u0000 \u00e9"}`: false,
		`{"type":"set_summary","summary":"\u0001"}`:           false,
	} {
		_, err := Decode[SetSummary]([]byte(frame))
		d, is := errors.AsType[*DecodeError](err)
		if refused != (is && d.Code == sdk.ReasonInvalid) {
			t.Errorf("%s: got %v, want refused: %v", frame, err, refused)
		}
	}
}
