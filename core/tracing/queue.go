package tracing

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/claudemesh/broker/core/telemetry/receiver"
)

// defaultQueue is how many spans wait for the receiver at most, where
// OTEL_BSP_MAX_QUEUE_SIZE says nothing: with some 1.5 KB each, 12 MB.
const defaultQueue = 8192

// queue stands before the SDK's own queue, which drops in silence what finds no
// room, and counts what becomes of each span. Safe for concurrent use.
type queue struct {
	sdktrace.SpanProcessor // the SDK's
	exporter               *counting

	most    int64
	took    atomic.Int64
	dropped atomic.Int64
}

func newQueue(exporter sdktrace.SpanExporter, to receiver.Receiver, env receiver.Environment, log *slog.Logger) *queue {
	q := &queue{exporter: &counting{SpanExporter: exporter, to: slog.String("receiver", to.String()), log: log}, most: defaultQueue}
	if n, err := strconv.Atoi(env("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		q.most = int64(n)
	}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(q.exporter, sdktrace.WithMaxQueueSize(int(q.most)))
	return q
}

// OnEnd implements [sdktrace.SpanProcessor]. It takes as many spans as there is
// room for those that were not sent yet, so the queue behind it drops none.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.took.Add(1)-q.exporter.over() > q.most {
		q.took.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// counting counts what an exporter sends, and says once that it cannot, until it
// can again. The SDK calls it from one goroutine at a time.
type counting struct {
	sdktrace.SpanExporter
	to   slog.Attr // the receiver
	log  *slog.Logger
	away bool

	sent, failed atomic.Int64
}

// over is how many spans wait no more.
func (c *counting) over() int64 { return c.sent.Load() + c.failed.Load() }

// ExportSpans implements [sdktrace.SpanExporter]. It returns no error: the SDK
// would only tell it to the whole process.
func (c *counting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.failed.Add(int64(len(spans)))
	} else {
		c.sent.Add(int64(len(spans)))
	}
	switch {
	case err != nil && !c.away:
		c.log.Warn("traces not sent; is the receiver there, and does it speak this protocol on this port?", c.to, slog.Any("err", err))
	case err == nil && c.away:
		c.log.Info("traces are sent again", c.to)
	}
	c.away = err != nil
	return nil
}
