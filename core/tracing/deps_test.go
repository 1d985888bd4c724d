package tracing

import (
	_ "github.com/chromedp/chromedp"
	_ "github.com/prometheus/common/expfmt"
	_ "github.com/prometheus/prometheus/promql/parser"
	_ "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)
