package otlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/claudemesh/broker/core/telemetry"
)

// points is a [telemetry.Sink] that makes OTLP's metrics. Names and units are
// those of the families; what only rises is cumulative since start.
type points struct {
	start, now time.Time
	metrics    []metricdata.Metrics
}

// Samples implements [telemetry.Sink].
func (p *points) Samples(f telemetry.Family, samples []telemetry.Sample) {
	list := make([]metricdata.DataPoint[float64], 0, len(samples))
	for _, s := range samples {
		list = append(list, metricdata.DataPoint[float64]{Attributes: attributes(f, s.Values), Time: p.now, Value: s.Value})
	}
	if f.Kind != telemetry.KindCounter {
		p.add(f, len(list), metricdata.Gauge[float64]{DataPoints: list})
		return
	}
	for i := range list {
		list[i].StartTime = p.start
	}
	p.add(f, len(list), metricdata.Sum[float64]{DataPoints: list, Temporality: metricdata.CumulativeTemporality, IsMonotonic: true})
}

// Series implements [telemetry.Sink].
func (p *points) Series(f telemetry.Family, series []telemetry.Series) {
	if f.Kind == telemetry.KindSummary {
		list := make([]metricdata.SummaryDataPoint, 0, len(series))
		for _, s := range series {
			list = append(list, metricdata.SummaryDataPoint{
				Attributes: attributes(f, s.Values), StartTime: p.start, Time: p.now, Count: uint64(s.Count), Sum: s.Sum, //nolint:gosec // a count
			})
		}
		p.add(f, len(list), metricdata.Summary{DataPoints: list})
		return
	}
	list := make([]metricdata.HistogramDataPoint[float64], 0, len(series))
	for _, s := range series {
		bounds, counts := steps(s)
		list = append(list, metricdata.HistogramDataPoint[float64]{
			Attributes: attributes(f, s.Values), StartTime: p.start, Time: p.now,
			Count: uint64(s.Count), Sum: s.Sum, Bounds: bounds, BucketCounts: counts, //nolint:gosec // a count
		})
	}
	p.add(f, len(list), metricdata.Histogram[float64]{DataPoints: list, Temporality: metricdata.CumulativeTemporality})
}

// add adds a family, unless nothing is in it.
func (p *points) add(f telemetry.Family, points int, data metricdata.Aggregation) {
	if points > 0 {
		p.metrics = append(p.metrics, metricdata.Metrics{Name: f.Name, Description: f.Help, Unit: f.Unit(), Data: data})
	}
}

// steps turns buckets that count everything up to their bound into those that
// count from the bound before; one more is for what lies behind the last.
func steps(s telemetry.Series) (bounds []float64, counts []uint64) {
	bounds, counts = make([]float64, 0, len(s.Buckets)), make([]uint64, 0, len(s.Buckets)+1)
	before := int64(0)
	for _, b := range s.Buckets {
		bounds = append(bounds, b.UpTo)
		counts = append(counts, uint64(b.Count-before)) //nolint:gosec // counts rise
		before = b.Count
	}
	return bounds, append(counts, uint64(s.Count-before)) //nolint:gosec // as above
}

func attributes(f telemetry.Family, values []string) attribute.Set {
	list := make([]attribute.KeyValue, 0, len(values))
	for i, v := range values {
		list = append(list, attribute.String(f.Labels[i].Name, v))
	}
	return attribute.NewSet(list...)
}
