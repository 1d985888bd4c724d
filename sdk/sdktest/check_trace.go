package sdktest

import (
	"bytes"
	"fmt"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// spans has each stage judge an envelope that is sampled and one that is not, and
// wants the spans of the first: a stage that loses its context, or takes one from
// elsewhere, makes others.
func (h *host) spans() {
	id, parent := bytes.Repeat([]byte{0x4b}, 16), bytes.Repeat([]byte{0xf0}, 8)
	h.each(func(s *pluginpb.Stage, str *stream) error {
		list := h.views(s, str.match, 2)
		list[0].Trace = fmt.Sprintf("00-%x-%x-01", id, parent)
		if err := str.batch(1, patience, list...); err != nil {
			return err
		}
		var spans []*pluginpb.Span
		whole := false // the stage's span ends last
		for answered := false; !answered || !whole; {
			frame, err := str.Recv()
			if err != nil {
				return fmt.Errorf("no span plugin/%s came: %w", s.Name, err)
			}
			answered = answered || frame.Verdicts != nil
			for _, span := range frame.GetSpans().GetSpans() {
				spans = append(spans, span)
				whole = whole || span.Name == "plugin/"+s.Name
			}
		}
		for _, span := range spans {
			switch stages := span.Name == "plugin/"+s.Name; {
			case !bytes.Equal(span.TraceId, id):
				return fmt.Errorf("the span %s is of another trace than the envelope", span.Name)
			case bytes.Equal(span.ParentSpanId, parent) != stages:
				return fmt.Errorf("the span %s is not below that of the stage: start it with the context of Handle", span.Name)
			}
		}
		return nil
	})
}
