package telemetry

import (
	"errors"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	text := NewText(&b)
	to, link := To{text}, []Label{{Name: "link"}}
	to.Counters("ends_total", `Ends of \`, link, []Sample{{[]string{"two"}, 1e9}, {[]string{"a \"b\"\n\\"}, 3}})
	to.Gauges("load", "Load", link, []Sample{{[]string{"one"}, 0.25}})
	to.Counter("all_total", "All", 5)
	to.Gauges("none", "Nothing there", link, nil)
	to.Samples(Family{Name: "bare_total", Kind: KindCounter, Help: "As the original has it", Labels: link, Bare: true}, nil)
	to.Summaries("size", "Sizes", link, Series{Values: []string{"one"}, Count: 2, Sum: 7})
	to.Histograms("seconds", "Times", link,
		Series{Values: []string{"one"}, Buckets: []Bucket{{1e-6, 1}, {0.5, 2}}, Count: 3, Sum: 1.5}, Series{Values: []string{"two"}})
	to.Histograms("plain", "No labels", nil, Series{Buckets: []Bucket{{1, 4}}, Count: 4, Sum: 2})
	want := `# HELP ends_total Ends of \\
# TYPE ends_total counter
ends_total{link="a \"b\"\n\\"} 3
ends_total{link="two"} 1000000000
# HELP load Load
# TYPE load gauge
load{link="one"} 0.25
# HELP all_total All
# TYPE all_total counter
all_total 5
# HELP none Nothing there
# TYPE none gauge
# HELP bare_total As the original has it
# TYPE bare_total counter
bare_total 0
# HELP size Sizes
# TYPE size summary
size_sum{link="one"} 7
size_count{link="one"} 2
# HELP seconds Times
# TYPE seconds histogram
seconds_bucket{link="one",le="1e-06"} 1
seconds_bucket{link="one",le="0.5"} 2
seconds_bucket{link="one",le="+Inf"} 3
seconds_sum{link="one"} 1.5
seconds_count{link="one"} 3
seconds_bucket{link="two",le="+Inf"} 0
seconds_sum{link="two"} 0
seconds_count{link="two"} 0
# HELP plain No labels
# TYPE plain histogram
plain_bucket{le="1"} 4
plain_bucket{le="+Inf"} 4
plain_sum 2
plain_count 4
`
	if got := b.String(); got != want || text.Err() != nil {
		t.Errorf("%v, got\n%s\nwant\n%s", text.Err(), got, want)
	}
}

// TestTextStopsAtAnError has a reader that went away.
func TestTextStopsAtAnError(t *testing.T) {
	t.Parallel()
	w := new(gone)
	text := NewText(w)
	for range 3 {
		To{text}.Counter("a_total", "A", 1)
	}
	if !errors.Is(text.Err(), errGone) || w.asked != 1 {
		t.Errorf("the error is %v after %d writes, want the first write's", text.Err(), w.asked)
	}
}

var errGone = errors.New("gone")

type gone struct{ asked int }

func (g *gone) Write([]byte) (int, error) {
	g.asked++
	return 0, errGone
}

func TestUnit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"broker_push_seconds": "s", "process_cpu_seconds_total": "s", "broker_outbox_bytes": "By", "broker_sessions": "", "broker_frames_total": "",
	} {
		if got := (Family{Name: name}).Unit(); got != want {
			t.Errorf("the unit of %s is %q, want %q", name, got, want)
		}
	}
}
