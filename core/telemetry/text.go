package telemetry

import (
	"io"
	"slices"
	"strconv"
)

// ContentType is the media type of the text form.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Text is a [Sink] that writes Prometheus' text form. A write that failed makes
// all later ones do nothing; see [Text.Err]. One goroutine uses it.
type Text struct {
	w   io.Writer
	buf []byte
	err error
}

// NewText returns a writer of metrics to w.
func NewText(w io.Writer) *Text { return &Text{w: w} }

// Err returns the first error of a write.
func (t *Text) Err() error { return t.err }

// Samples implements [Sink]. They are written in the order of their values.
func (t *Text) Samples(f Family, samples []Sample) {
	t.family(f)
	if len(samples) == 0 && f.Bare {
		t.line(f, "", nil, "", 0)
	}
	sorted := slices.Clone(samples)
	slices.SortStableFunc(sorted, func(a, b Sample) int { return slices.Compare(a.Values, b.Values) })
	for _, s := range sorted {
		t.line(f, "", s.Values, "", s.Value)
	}
	t.flush()
}

// Series implements [Sink]. They are written in the order given.
func (t *Text) Series(f Family, series []Series) {
	t.family(f)
	for _, s := range series {
		if f.Kind == KindHistogram {
			for _, b := range s.Buckets {
				t.line(f, "_bucket", s.Values, strconv.FormatFloat(b.UpTo, 'g', -1, 64), float64(b.Count))
			}
			t.line(f, "_bucket", s.Values, "+Inf", float64(s.Count))
		}
		t.line(f, "_sum", s.Values, "", s.Sum)
		t.line(f, "_count", s.Values, "", float64(s.Count))
	}
	t.flush()
}

func (t *Text) family(f Family) {
	t.buf = append(append(append(t.buf, "# HELP "...), f.Name...), ' ')
	t.buf = appendEscaped(t.buf, f.Help, false)
	t.buf = append(append(append(t.buf, "\n# TYPE "...), f.Name...), ' ')
	t.buf = append(append(t.buf, f.Kind...), '\n')
}

// line writes one sample; upTo is the bound of a bucket, else empty.
func (t *Text) line(f Family, suffix string, values []string, upTo string, v float64) {
	t.buf = append(append(t.buf, f.Name...), suffix...)
	between := byte('{')
	for i, value := range values {
		t.label(between, f.Labels[i].Name, value)
		between = ','
	}
	if upTo != "" {
		t.label(between, "le", upTo)
		between = ','
	}
	if between == ',' {
		t.buf = append(t.buf, '}')
	}
	t.buf = append(t.buf, ' ')
	t.buf = strconv.AppendFloat(t.buf, v, 'f', -1, 64) // without an exponent
	t.buf = append(t.buf, '\n')
}

func (t *Text) label(before byte, name, value string) {
	t.buf = append(append(append(t.buf, before), name...), '=', '"')
	t.buf = appendEscaped(t.buf, value, true)
	t.buf = append(t.buf, '"')
}

func (t *Text) flush() {
	if t.err == nil {
		_, t.err = t.w.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// appendEscaped appends a text that stands between quotes, or to the end of a
// line.
func appendEscaped(b []byte, s string, quoted bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\\', c == '"' && quoted:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}
