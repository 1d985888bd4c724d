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
// the next export has all of the numbers anyway.
type patient struct {
	metric.Exporter
	log *slog.Logger

	mu   sync.Mutex
	away bool
}

// Export implements [metric.Exporter].
func (p *patient) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	err := p.Exporter.Export(ctx, m)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // the broker stops, and sends all of it once more
	}
	p.mu.Lock()
	was := p.away
	p.away = err != nil
	p.mu.Unlock()
	switch {
	case err != nil && !was:
		p.log.Warn("metrics not sent; they are tried again", slog.Any("err", err))
	case err == nil && was:
		p.log.Info("metrics are sent again")
	}
	return nil
}
