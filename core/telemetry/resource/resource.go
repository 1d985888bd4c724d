// Package resource says which broker it is that sends traces and metrics.
package resource

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Of describes this process to who receives its traces and metrics: its service,
// the version of the program and the id of the instance, which no other process
// has; empty ones are left out. Traces and metrics of one process share it, so
// make it once.
//
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add to it and win over it. A
// mistake in them is an error, and the resource is good all the same, without
// what could not be read.
func Of(ctx context.Context, service, version, instance string) (*resource.Resource, error) {
	own := []resource.Option{resource.WithAttributes(semconv.ServiceName(service))}
	if version != "" {
		own = append(own, resource.WithAttributes(semconv.ServiceVersion(version)))
	}
	if instance != "" {
		own = append(own, resource.WithAttributes(semconv.ServiceInstanceID(instance)))
	}
	r, err := resource.New(ctx, append(own,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(),
		resource.WithFromEnv(), // last, because the last one wins
	)...)
	switch {
	case r == nil:
		return nil, fmt.Errorf("describe this process: %w", err)
	case errors.Is(err, resource.ErrPartialResource):
		return r, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES has to be a list such as env=prod,team=chat: %w", err)
	default:
		return r, err
	}
}
