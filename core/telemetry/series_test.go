package telemetry

import (
	"strings"
	"testing"
)

func TestSeries(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	text := NewText(&b)
	of := func(link string) []Label { return []Label{{"link", link}} }
	text.Samples("ends_total", "Ends", []Sample{{of("two"), 1e9}, {of(`a "b"`), 3}})
	text.Gauges("load", "Load", []Sample{{of("one"), 0.25}})
	text.Summaries("size", "Sizes", []Series{{Labels: of("one"), Count: 2, Sum: 7}})
	text.Histograms("seconds", "Times", []Series{
		{Labels: of("one"), Buckets: []Bucket{{1e-6, 1}, {0.5, 2}}, Count: 3, Sum: 1.5}, {Labels: of("two")},
	})
	text.Histogram("plain", "No labels", []Bucket{{1, 4}}, 4, 2)
	want := `# HELP ends_total Ends
# TYPE ends_total counter
ends_total{link="a \"b\""} 3
ends_total{link="two"} 1000000000
# HELP load Load
# TYPE load gauge
load{link="one"} 0.25
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
