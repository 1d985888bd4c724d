package telemetry

import (
	"slices"
	"strconv"
	"strings"
)

// Label is one label of a sample.
type Label struct{ Name, Value string }

// Sample is one value of a family whose samples have several labels.
type Sample struct {
	Labels []Label
	Value  float64
}

// Series is the observations of one set of labels: those of a histogram, or,
// without buckets, how many there were and their sum.
type Series struct {
	Labels  []Label
	Buckets []Bucket
	Count   int64
	Sum     float64
}

// Samples writes a family of counters, sorted by the values of their labels. All
// samples have the same labels in the same order.
func (t *Text) Samples(name, help string, samples []Sample) {
	t.samples(name, "counter", help, samples)
}

// Gauges is Samples for gauges.
func (t *Text) Gauges(name, help string, samples []Sample) { t.samples(name, "gauge", help, samples) }

func (t *Text) samples(name, kind, help string, samples []Sample) {
	t.family(name, kind, help)
	lines := make([]string, 0, len(samples))
	for _, s := range samples {
		lines = append(lines, line(name, s.Labels, number(s.Value)))
	}
	slices.Sort(lines)
	t.buf = append(t.buf, strings.Join(lines, "")...)
	t.flush()
}

// Summaries writes a family of sums and counts, in the order given.
func (t *Text) Summaries(name, help string, series []Series) {
	t.family(name, "summary", help)
	for _, s := range series {
		t.total(name, s)
	}
	t.flush()
}

// Histograms writes a family of histograms, in the order given.
func (t *Text) Histograms(name, help string, series []Series) {
	t.family(name, "histogram", help)
	for _, s := range series {
		for _, b := range s.Buckets {
			t.bucket(name, s.Labels, strconv.FormatFloat(b.UpTo, 'g', -1, 64), b.Count)
		}
		t.bucket(name, s.Labels, "+Inf", s.Count)
		t.total(name, s)
	}
	t.flush()
}

func (t *Text) bucket(name string, labels []Label, upTo string, n int64) {
	labels = append(slices.Clip(labels), Label{"le", upTo})
	t.buf = append(t.buf, line(name+"_bucket", labels, strconv.FormatInt(n, 10))...)
}

func (t *Text) total(name string, s Series) {
	t.buf = append(t.buf, line(name+"_sum", s.Labels, strconv.FormatFloat(s.Sum, 'g', -1, 64))...)
	t.buf = append(t.buf, line(name+"_count", s.Labels, strconv.FormatInt(s.Count, 10))...)
}

func line(name string, labels []Label, value string) string {
	if len(labels) == 0 {
		return name + " " + value + "\n"
	}
	pairs := make([]string, 0, len(labels))
	for _, l := range labels {
		pairs = append(pairs, l.Name+`="`+escape(l.Value)+`"`)
	}
	return name + "{" + strings.Join(pairs, ",") + "} " + value + "\n"
}

// number writes a count as one, without an exponent.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
