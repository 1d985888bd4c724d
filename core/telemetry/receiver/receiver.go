// Package receiver says whether traces and metrics are sent, and where: by the
// config, and by the variables OTEL_*, which win over it.
package receiver

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/claudemesh/broker/core/config"
)

// Environment reads a variable, as os.Getenv does.
type Environment func(name string) string

// Kind is what is sent, as the names of variables have it.
type Kind string

// Kinds of what is sent.
const (
	Traces  Kind = "TRACES"
	Metrics Kind = "METRICS"
)

// Config is what the config says of a kind.
type Config struct {
	Export   config.Export
	Endpoint string
	Protocol config.Protocol
}

// Receiver is where a kind is sent.
type Receiver struct {
	Protocol config.Protocol

	// URL is what the exporter has to be told, with the path for the kind. It is
	// empty where a variable has it, or nothing does: exporters read variables by
	// themselves, and know the standard ports.
	URL string

	shown string // scheme and host
}

// Of returns where a kind is sent; sent is false when it is not. A value that
// cannot be is an error that names its variable.
func Of(kind Kind, c Config, env Environment, log *slog.Logger) (r Receiver, sent bool, err error) {
	if !wanted(kind, c, env, log) {
		return r, false, nil
	}
	if r.Protocol, err = protocol(kind, c, env); err != nil {
		return r, false, err
	}
	if name, text := variable(kind, "ENDPOINT", env); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return r, false, fmt.Errorf("%s must be a URL such as http://127.0.0.1:4318", name)
		}
		r.shown = u.Scheme + "://" + u.Host
		return r, true, nil
	}
	r.URL, r.shown = c.Endpoint, c.Endpoint
	if r.URL != "" && r.Protocol == config.ProtocolHTTP {
		r.URL = strings.TrimSuffix(r.URL, "/") + "/v1/" + strings.ToLower(string(kind))
	}
	return r, true, nil
}

// String names the receiver for people.
func (r Receiver) String() string {
	shown := r.shown
	if shown == "" {
		shown = "the standard port of this machine"
	}
	return shown + " by " + string(r.Protocol)
}

// wanted reports whether a kind is sent at all.
func wanted(kind Kind, c Config, env Environment, log *slog.Logger) bool {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if name := "OTEL_" + string(kind) + "_EXPORTER"; env(name) != "" {
		return sends(kind, name, env(name), log)
	}
	if c.Export != config.ExportAuto {
		return c.Export == config.ExportOTLP
	}
	if kind == Traces { // a receiver of everything may not take metrics
		_, endpoint := variable(kind, "ENDPOINT", env)
		return endpoint != "" || c.Endpoint != ""
	}
	return env(alone(kind, "ENDPOINT")) != "" || c.Endpoint != ""
}

// sends reports whether a list of exporters has ours.
func sends(kind Kind, variable, names string, log *slog.Logger) (otlp bool) {
	for name := range strings.SplitSeq(names, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "otlp":
			otlp = true
		case name == "none":
		case name == "prometheus" && kind == Metrics: // /metrics is there all the same
		default:
			log.Warn("a variable names an exporter that this broker has not: use otlp or none",
				slog.String("variable", variable), slog.String("name", name))
		}
	}
	return otlp
}

func protocol(kind Kind, c Config, env Environment) (config.Protocol, error) {
	name, text := variable(kind, "PROTOCOL", env)
	if text == "" {
		name, text = "telemetry."+strings.ToLower(string(kind))+".protocol", string(c.Protocol)
	}
	switch p := config.Protocol(text); p {
	case config.ProtocolGRPC, config.ProtocolHTTP:
		return p, nil
	default:
		return "", fmt.Errorf("%s must be grpc or http/protobuf; got %q", name, text)
	}
}

// variable returns what a variable for the kind alone says, or else that for
// everything, and its name.
func variable(kind Kind, what string, env Environment) (name, value string) {
	name = alone(kind, what)
	if value = env(name); value == "" {
		name = "OTEL_EXPORTER_OTLP_" + what
		value = env(name)
	}
	return name, value
}

// alone is the name of a variable for one kind.
func alone(kind Kind, what string) string { return "OTEL_EXPORTER_OTLP_" + string(kind) + "_" + what }
