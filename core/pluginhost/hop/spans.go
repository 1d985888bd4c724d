package hop

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of what a plugin says about its work.
const (
	spansPerSecond = 1000     // that are kept of a link
	maxSpans       = 128      // of one message
	maxSpanBytes   = 16 << 10 // of one span; a larger one is dropped
	maxSpanName    = 128      // bytes of a name, a key or a scope
	maxSpanAttrs   = 32
	maxSpanEvents  = 8
	maxEventAttrs  = 8
	maxMissed      = 1 << 20         // of what one message says was left out
	maxSpanAge     = time.Hour       // from its start to now
	maxSpanAhead   = 1 * time.Minute // from now to its end
)

// identity is what stands for a process in traces; nil when it makes no spans.
// A program may call itself what it likes, so the link is there too.
func (h *Hop) identity(s Session) *resource.Resource {
	if h.o.Spans == nil || !s.Traces {
		return nil
	}
	name := spanText(s.Program, maxSpanName)
	if name == "" {
		name = "plugin"
	}
	list := []attribute.KeyValue{attribute.String("service.name", name), attribute.String("claudemesh.link", h.o.Link)}
	if v := spanText(s.Version, maxSpanName); v != "" {
		list = append(list, attribute.String("service.version", v))
	}
	return resource.NewSchemaless(list...)
}

// collect hands the plugin's spans on. Nothing that is wrong with them is a
// breach: it is dropped and counted.
func (h *Hop) collect(who *resource.Resource, s *pluginpb.Spans) {
	if s == nil || h.o.Spans == nil {
		return
	}
	now, list := time.Now(), s.GetSpans()
	dropped := min(s.GetMissed(), maxMissed)
	keep := min(len(list), maxSpans)
	if who == nil {
		keep = 0
	}
	keep, _ = h.spanning.take(now, keep)
	dropped += uint64(len(list) - keep)
	for _, pb := range list[:keep] {
		stub, ok := h.spanOf(pb, now)
		if !ok {
			dropped++
			continue
		}
		stub.Resource = who
		h.o.Spans.OnEnd(stub.Snapshot())
		h.counters.spans.Add(1)
	}
	h.counters.spansDropped.Add(dropped)
}
