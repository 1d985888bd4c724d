package otlp

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// patient is an exporter that logs what goes wrong, once until it works again.
// An error that it returned would go to a handler that the whole process shares;
// the next export has all of the numbers anyway. That of the last export is
// returned to who stops it.
type patient struct {
	metric.Exporter
	log *slog.Logger

	mu   sync.Mutex
	away bool
	last bool // the next export is the last one
}

// stopWith sends once more with shutdown, and no more after it.
func (p *patient) stopWith(shutdown func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		p.mu.Lock()
		p.last = true
		p.mu.Unlock()
		return shutdown(ctx)
	}
}

// Export implements [metric.Exporter].
func (p *patient) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	err := p.Exporter.Export(ctx, m)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // the broker stops, and sends all of it once more
	}
	p.mu.Lock()
	was, last := p.away, p.last
	p.away = err != nil
	p.mu.Unlock()
	switch {
	case last:
		return err
	case err != nil && !was:
		p.log.Warn("metrics not sent; they are tried again", slog.Any("err", err))
	case err == nil && was:
		p.log.Info("metrics are sent again")
	}
	return nil
}
