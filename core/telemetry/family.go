// Package telemetry is what the broker counts: histograms of own atomics, and
// the collection of all numbers, which is read when somebody asks. One
// collection serves every output: Prometheus' text form here, OTLP in
// core/telemetry/otlp, and docs/metrics.md.
package telemetry

import "strings"

// Kind is what the numbers of a family mean.
type Kind string

// Kinds of families, in Prometheus' words.
const (
	KindCounter   Kind = "counter"   // only rises; from 0 at the start of the process
	KindGauge     Kind = "gauge"     // how it is now
	KindHistogram Kind = "histogram" // counts up to bounds
	KindSummary   Kind = "summary"   // a count and a sum
)

// Family is a metric: a name under which there is a sample for each set of label
// values.
type Family struct {
	Name   string // in all outputs; of counters it ends in _total
	Kind   Kind
	Help   string // one sentence without a full stop
	Labels []Label

	// Bare makes Prometheus' text form show one sample of 0 without labels while
	// there is no other, as the original did and its dashboard expects.
	Bare bool
}

// Label is a label of a family's samples. What a stranger sends is never a
// label's value.
type Label struct {
	Name   string
	Values string // which there are, for who reads the documentation
}

// Unit is the unit of a family's numbers as UCUM has it: "s", "By", or empty for
// numbers of things.
func (f Family) Unit() string {
	switch name := strings.TrimSuffix(f.Name, "_total"); {
	case strings.HasSuffix(name, "_seconds"):
		return "s"
	case strings.HasSuffix(name, "_bytes"):
		return "By"
	default:
		return ""
	}
}

// Sample is one number of a family, with a value for each of its labels.
type Sample struct {
	Values []string
	Value  float64
}

// Series is the observations of one set of label values: those of a histogram,
// or, without buckets, how many there were and their sum.
type Series struct {
	Values  []string
	Buckets []Bucket
	Count   int64
	Sum     float64
}

// Bucket is one step of a histogram: how many observations were at most UpTo.
// Bounds rise, and the counts with them; what lies behind the last bound is in
// the count of the series only.
type Bucket struct {
	UpTo  float64
	Count int64
}

// Sink takes families, each of them once, complete. One goroutine uses it; it
// keeps nothing that it is given.
type Sink interface {
	// Samples takes a family of counters or gauges.
	Samples(Family, []Sample)

	// Series takes a family of histograms or summaries.
	Series(Family, []Series)
}

// To makes families short to give to a sink.
type To struct{ Sink }

// Counter gives a counter without labels.
func (t To) Counter(name, help string, value float64) {
	t.Samples(Family{Name: name, Kind: KindCounter, Help: help}, []Sample{{Value: value}})
}

// Gauge gives a gauge without labels.
func (t To) Gauge(name, help string, value float64) {
	t.Samples(Family{Name: name, Kind: KindGauge, Help: help}, []Sample{{Value: value}})
}

// Counters gives counters with labels.
func (t To) Counters(name, help string, labels []Label, samples []Sample) {
	t.Samples(Family{Name: name, Kind: KindCounter, Help: help, Labels: labels}, samples)
}

// Gauges gives gauges with labels.
func (t To) Gauges(name, help string, labels []Label, samples []Sample) {
	t.Samples(Family{Name: name, Kind: KindGauge, Help: help, Labels: labels}, samples)
}

// Histograms gives histograms with labels, or one without.
func (t To) Histograms(name, help string, labels []Label, series ...Series) {
	t.Series(Family{Name: name, Kind: KindHistogram, Help: help, Labels: labels}, series)
}

// Summaries gives counts and sums with labels.
func (t To) Summaries(name, help string, labels []Label, series ...Series) {
	t.Series(Family{Name: name, Kind: KindSummary, Help: help, Labels: labels}, series)
}
