package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/telemetry/otlp"
	"github.com/claudemesh/broker/core/telemetry/resource"
	"github.com/claudemesh/broker/core/tracing"
)

// flushTime is how long a broker that stops waits for a receiver to take the rest.
const flushTime = 3 * time.Second

// openTraces starts to send traces, if anything says where.
func (b *broker) openTraces(ctx context.Context) (err error) {
	b.hearTelemetry()
	id := identity.NewID()
	if b.node != nil {
		id = b.node.ID()
	}
	if b.resource, err = resource.Of(ctx, b.config.Telemetry.Service, programVersion(), id); err != nil {
		b.log.Warn("telemetry says less than it should of this broker", slog.Any("err", err))
	}
	b.traces, err = tracing.Start(ctx, b.config.Telemetry, b.variable, b.resource, programVersion(), b.log)
	if err != nil || b.traces == nil {
		return err
	}
	b.laterWithin(flushTime, func(ctx context.Context) error {
		if err := b.traces.Stop(ctx); err != nil {
			b.log.Warn("the last traces were not sent", slog.Any("err", err))
		}
		return nil
	})
	return nil
}

// sendMetrics starts to send what the broker counts, if anything says where.
func (b *broker) sendMetrics(ctx context.Context) error {
	stop, err := otlp.Start(ctx, otlp.Options{
		Config: b.config.Telemetry.Metrics, Environment: b.variable, Resource: b.resource, Collect: b.app.Metrics,
		Started: b.app.Started(), Version: programVersion(), Log: b.log,
	})
	if err != nil {
		return err
	}
	b.laterWithin(flushTime, func(ctx context.Context) error {
		if err := stop(ctx); err != nil {
			b.log.Warn("the last metrics were not sent", slog.Any("err", err))
		}
		return nil
	})
	return nil
}
