package conform

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// sampled are traces of envelopes that are sampled, each with the broker's span.
func sampled() map[string]string {
	return map[string]string{
		"4bf92f3577b34da6a3ce929d0e0e4736": "00f067aa0ba902b7",
		"0af7651916cd43dd8448eb211c80319c": "b7ad6b7169203331",
	}
}

// spans checks that a plugin that makes spans brings those of sampled envelopes,
// and no others.
func (t *talk) spans() error {
	switch {
	case !has(t.probed.Program.Features, featureTrace):
		return skip("not checked: it makes no spans, which needs the feature trace/1")
	case !t.info.Judges:
		return skip("not checked: the stage judges nothing")
	}
	in, err := t.configure()
	if err != nil {
		return err
	}
	traces := sampled()
	b := &pluginpb.Batch{Seq: 1, DeadlineNanos: int64(patience), Envelopes: t.envelopes(in.match, len(traces)+1)}
	i := 0
	for id, parent := range traces { // the last envelope is not sampled
		b.Envelopes[i].Trace = "00-" + id + "-" + parent + "-01"
		i++
	}
	ctx, cancel := t.within()
	defer cancel()
	s := brought{traces: traces, open: sampled(), own: make(map[string]bool)}
	if err = t.bring(ctx, in, b, &s); err != nil {
		return err
	}
	return s.wrong()
}

// bring has the batch judged until all spans that have to come are there, or no
// more may come.
func (t *talk) bring(ctx context.Context, in *instance, b *pluginpb.Batch, s *brought) error {
	if !t.stream {
		b.Instance = in.name
		v, err := t.client.ProcessBatch(ctx, b)
		s.take(v.GetSpans())
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.client.Process(ctx)
	if err == nil {
		err = stream.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: in.name}})
	}
	if err == nil {
		err = stream.Send(&pluginpb.HostFrame{Batch: b})
	}
	for answered := false; err == nil && (!answered || len(s.open) > 0); {
		var f *pluginpb.PluginFrame
		if f, err = stream.Recv(); err == nil {
			answered = answered || f.GetVerdicts() != nil
			s.take(f.GetVerdicts().GetSpans())
			s.take(f.GetSpans())
		}
	}
	if ctx.Err() != nil {
		return nil // what is missing is said
	}
	return err
}

// brought is what a plugin brought.
type brought struct {
	traces map[string]string
	open   map[string]string // traces of which none came
	list   []*pluginpb.Span
	own    map[string]bool // ids of its spans
}

func (s *brought) take(spans *pluginpb.Spans) {
	for _, span := range spans.GetSpans() {
		s.list = append(s.list, span)
		s.own[hex.EncodeToString(span.GetSpanId())] = true
		delete(s.open, hex.EncodeToString(span.GetTraceId()))
	}
}

// wrong returns what a broker would drop.
func (s *brought) wrong() error {
	for _, span := range s.list {
		about := fmt.Sprintf("its span %q", span.GetName())
		broker, asked := s.traces[hex.EncodeToString(span.GetTraceId())]
		own, parent := hex.EncodeToString(span.GetSpanId()), hex.EncodeToString(span.GetParentSpanId())
		switch {
		case span.GetName() == "":
			return errors.New("it brought a span without a name")
		case !asked:
			return fmt.Errorf("%s is of a trace (%x) that no envelope of the batch is in: take the ids from the envelope's field trace", about, span.GetTraceId())
		case len(own) != 16 || own == broker:
			return fmt.Errorf("%s has the id %q: give it 8 random bytes of its own", about, own)
		case parent == own || parent != broker && !s.own[parent]:
			return fmt.Errorf("%s has the parent %q: it has to be the span of the envelope's field trace, or one of the plugin's", about, parent)
		case span.GetEndNanos() < span.GetStartNanos():
			return fmt.Errorf("%s ends before it starts", about)
		}
	}
	if len(s.open) > 0 {
		return fmt.Errorf("it has the feature trace/1, and brought the spans of %d of %d envelopes that are sampled: bring one for each, with the verdicts or soon after",
			len(s.traces)-len(s.open), len(s.traces))
	}
	return nil
}
