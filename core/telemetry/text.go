// Package telemetry writes what the broker counts.
package telemetry

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// ContentType is the media type of the text form.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Text writes metrics in the Prometheus text form. A write that failed makes
// all later ones do nothing; see [Text.Err]. One goroutine uses it.
type Text struct {
	w   io.Writer
	buf []byte
	err error
}

// NewText returns a writer of metrics to w.
func NewText(w io.Writer) *Text { return &Text{w: w} }

// Counter writes a family with one sample. Names end in _total.
func (t *Text) Counter(name, help string, value int64) {
	t.family(name, "counter", help)
	t.sample(name, "", "", value)
	t.flush()
}

// Gauge writes a family with one sample.
func (t *Text) Gauge(name, help string, value int64) {
	t.family(name, "gauge", help)
	t.sample(name, "", "", value)
	t.flush()
}

// Counters writes a family with one sample for each value of a label. An empty
// family has one sample of 0 without labels, as dashboards expect.
func (t *Text) Counters(name, help, label string, values map[string]int64) {
	t.family(name, "counter", help)
	if len(values) == 0 {
		t.sample(name, "", "", 0)
	}
	names := make([]string, 0, len(values))
	for v := range values {
		names = append(names, v)
	}
	slices.Sort(names)
	for _, v := range names {
		t.sample(name, label, v, values[v])
	}
	t.flush()
}

// Bucket is one step of a histogram: how many observations were at most UpTo.
type Bucket struct {
	UpTo  float64
	Count int64
}

// Histogram writes a family with its buckets.
func (t *Text) Histogram(name, help string, buckets []Bucket, count int64, sum float64) {
	t.Histograms(name, help, []Series{{Buckets: buckets, Count: count, Sum: sum}})
}

// Err returns the first error of a write.
func (t *Text) Err() error { return t.err }

func (t *Text) family(name, kind, help string) {
	t.buf = append(t.buf, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

func (t *Text) sample(name, label, value string, n int64) {
	t.buf = append(t.buf, name...)
	if label != "" {
		t.buf = append(t.buf, "{"+label+`="`+escape(value)+`"}`...)
	}
	t.buf = append(t.buf, ' ')
	t.buf = strconv.AppendInt(t.buf, n, 10)
	t.buf = append(t.buf, '\n')
}

func (t *Text) flush() {
	if t.err == nil {
		_, t.err = t.w.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// escape makes a label value fit between quotes.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}
