package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	otelresource "go.opentelemetry.io/otel/sdk/resource"
	"golang.org/x/time/rate"

	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/telemetry/resource"
	"github.com/claudemesh/broker/core/tracing"
)

// lookup reads a variable of the environment.
func (p *program) lookup(name string) (value string, ok bool) {
	for _, line := range p.environ {
		if k, v, found := strings.Cut(line, "="); found && k == name {
			value, ok = v, true // the last one wins, as in a shell
		}
	}
	return value, ok
}

// resourceOf says to who receives its telemetry which broker this is.
func resourceOf(ctx context.Context, c config.Telemetry, node *cluster.Node, log *slog.Logger) *otelresource.Resource {
	id := identity.NewID()
	if node != nil {
		id = node.ID()
	}
	res, err := resource.Of(ctx, c.Service, programVersion(), id)
	if err != nil {
		log.Warn("telemetry says less than it should of this broker", slog.Any("err", err))
	}
	return res
}

// tellEvery is how often the log says that telemetry is not taken.
const tellEvery = time.Minute

// flushTime is how long a broker that stops waits for a receiver to take the rest.
const flushTime = 3 * time.Second

// openTraces starts to send traces, if anything says where.
func (p *program) openTraces(ctx context.Context, c config.Telemetry, res *otelresource.Resource, log *slog.Logger) (_ *tracing.Provider, closeTraces func(), err error) {
	t, err := tracing.Start(ctx, c, p.lookup, res, programVersion())
	if err != nil {
		return nil, nil, err
	}
	if t != nil { // the library has one handler for a whole process
		sometimes := rate.Sometimes{Interval: tellEvery}
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
			sometimes.Do(func() { log.Warn("telemetry not sent", slog.Any("err", err)) })
		}))
	}
	return t, func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		if err := t.Stop(ctx); err != nil {
			log.Warn("the last traces were not sent", slog.Any("err", err))
		}
	}, nil
}
