package exchange

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/wire"
)

// An answer that cannot be written is refused, with the _reqId of its request.
func TestAnswerThatCannotBeWritten(t *testing.T) {
	frame, err := encode(wire.SkillData{Skill: &wire.Skill{Manifest: jsontext.Value{}}}, jsontext.Value(`"r"`))
	if err == nil || !strings.HasPrefix(string(frame), `{"type":"error","_reqId":"r","code":"unavailable"`) {
		t.Errorf("got %s, %v", frame, err)
	}
	if frame, err := encode(wire.Ack{ID: jsontext.Value(`"x"`)}, nil); err != nil || !strings.HasPrefix(string(frame), `{"type":"ack"`) {
		t.Errorf("got %s, %v", frame, err)
	}
}
