package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// query is one expression for Prometheus that a file here has.
type query struct {
	where  string   // the file, and what in it
	expr   string   // with the dashboard's variables filled in
	labels []string // that the text beside it takes from the result
}

// family is what is known of the metrics of one name.
type family struct {
	kind   string   // counter, gauge, histogram, summary or untyped
	labels []string // of its samples, without le; nil when nothing is known of them

	values map[string]string // in words, by label, as far as they are known
}

// families are all metrics that a broker has, by name.
type families map[string]family

// given are the labels that Prometheus adds to whatever it asks for.
var given = []string{"instance", "job"}

// made are the metrics that Prometheus makes by itself.
var made = families{
	"up":     {kind: "gauge", labels: []string{}},
	"ALERTS": {kind: "gauge", labels: []string{"alertname", "alertstate", "severity"}},
}

// suffixes are what the samples of histograms and summaries have behind the name.
var suffixes = map[string][]string{"histogram": {"_bucket", "_sum", "_count"}, "summary": {"_sum", "_count"}}

// find returns the labels of the samples of a name, with those that Prometheus
// adds.
func (f families) find(name string) ([]string, error) {
	for _, list := range []families{f, made} {
		if found, ok := list[name]; ok && suffixes[found.kind] == nil {
			return found.all(name)
		}
		for kind, ends := range suffixes {
			for _, end := range ends {
				short, ok := strings.CutSuffix(name, end)
				if !ok || list[short].kind != kind {
					continue
				}
				all, err := list[short].all(name)
				if end == "_bucket" {
					all = append(all, "le")
				}
				return all, err
			}
		}
	}
	return nil, fmt.Errorf("no metric %s", name)
}

func (f family) all(name string) ([]string, error) {
	if f.labels == nil {
		return nil, fmt.Errorf("nobody knows the labels of %s", name)
	}
	return slices.Concat(f.labels, given), nil
}

// problems returns what is wrong with a query: that it does not parse, that no
// broker has the metric, or not with the labels that it selects, groups or
// matches by, or that the text beside it takes labels that the result has not.
func (f families) problems(q query) (list []string) {
	complain := func(format string, args ...any) {
		list = append(list, q.where+": "+fmt.Sprintf(format, args...)+"\n\t"+q.expr)
	}
	expr, err := parser.ParseExpr(q.expr)
	if err != nil {
		complain("%v", err)
		return list
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			for _, p := range f.selection(n, matched(n)) {
				complain("%s", p)
			}
		case *parser.AggregateExpr:
			for _, p := range f.beneath(n.Expr, n.Grouping) {
				complain("grouped: %s", p)
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil && n.VectorMatching.On {
				for _, p := range f.beneath(n, n.VectorMatching.MatchingLabels) {
					complain("matched: %s", p)
				}
			}
		}
		return nil
	})
	if len(list) > 0 {
		return list
	}
	has := f.result(expr)
	for _, l := range q.labels {
		if !slices.Contains(has, l) {
			complain("the result has no label %s, only %v", l, has)
		}
	}
	return list
}

// beneath looks for labels in all that an expression selects.
func (f families) beneath(expr parser.Expr, wanted []string) (list []string) {
	for _, n := range selectors(expr) {
		list = append(list, f.selection(n, wanted)...)
	}
	return list
}

// selection looks for labels in what one selector selects.
func (f families) selection(n *parser.VectorSelector, wanted []string) (list []string) {
	names := namesOf(n)
	if len(names) == 0 {
		return []string{"a selector without the name of a metric"}
	}
	for _, name := range names {
		has, err := f.find(name)
		if err != nil {
			list = append(list, err.Error())
			continue
		}
		for _, l := range wanted {
			if !slices.Contains(has, l) {
				list = append(list, fmt.Sprintf("%s has no label %s, only %v", name, l, has))
			}
		}
	}
	return list
}

func selectors(expr parser.Expr) (list []*parser.VectorSelector) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			list = append(list, n)
		}
		return nil
	})
	return list
}

// namesOf returns the metrics of a selector: one, or several where it has a
// list of them in place of a name.
func namesOf(n *parser.VectorSelector) []string {
	if n.Name != "" {
		return []string{n.Name}
	}
	for _, m := range n.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			return strings.Split(m.Value, "|")
		}
	}
	return nil
}

func matched(n *parser.VectorSelector) (names []string) {
	for _, m := range n.LabelMatchers {
		if m.Name != model.MetricNameLabel {
			names = append(names, m.Name)
		}
	}
	return names
}

// result returns the labels of what an expression yields, for the expressions
// that the files here have.
func (f families) result(expr parser.Expr) []string {
	switch n := expr.(type) {
	case *parser.AggregateExpr:
		return n.Grouping
	case *parser.BinaryExpr:
		if n.LHS.Type() == parser.ValueTypeScalar {
			return f.result(n.RHS)
		}
		return f.result(n.LHS)
	case *parser.ParenExpr:
		return f.result(n.Expr)
	case *parser.MatrixSelector:
		return f.result(n.VectorSelector)
	case *parser.VectorSelector:
		all := map[string]bool{}
		for _, name := range namesOf(n) {
			found, _ := f.find(name)
			for _, l := range found {
				all[l] = true
			}
		}
		return slices.Sorted(maps.Keys(all))
	case *parser.Call:
		inner := f.result(n.Args[len(n.Args)-1])
		if n.Func.Name == "histogram_quantile" {
			inner = slices.DeleteFunc(slices.Clone(inner), func(l string) bool { return l == "le" })
		}
		return inner
	default:
		return nil
	}
}

// TestProblems wants each mistake of a query to be found: a test that all
// queries are right is worth nothing without.
func TestProblems(t *testing.T) {
	known := families{
		"broker_peers":   {kind: "gauge", labels: []string{}},
		"broker_sends":   {kind: "counter", labels: []string{"priority"}},
		"broker_seconds": {kind: "histogram", labels: []string{"stage"}},
		"broker_size":    {kind: "summary", labels: []string{"stage"}},
		"broker_rare":    {kind: "counter"},
	}
	for _, tt := range []struct {
		name, expr string
		labels     []string
		want       string // empty: it is right
	}{
		{"a metric", `broker_peers{job="broker"}`, []string{"instance"}, ""},
		{"a misspelt metric", `sum(rate(broker_sents[5m]))`, nil, "no metric broker_sents"},
		{"a label to select by", `broker_sends{priority="now"}`, nil, ""},
		{"a label that the metric has not", `broker_sends{prio="now"}`, nil, "broker_sends has no label prio"},
		{"a label to group by", `sum by (priority) (rate(broker_sends[5m]))`, []string{"priority"}, ""},
		{"a group that the metric has not", `sum by (stage) (rate(broker_sends[5m]))`, nil, "grouped: broker_sends has no label stage"},
		{"a legend of a label that is summed away", `sum by (priority) (broker_sends)`, []string{"instance"}, "the result has no label instance"},
		{"buckets of a histogram", `histogram_quantile(0.9, sum by (stage, le) (rate(broker_seconds_bucket[5m])))`, []string{"stage"}, ""},
		{"a legend of the bucket", `histogram_quantile(0.9, sum by (stage, le) (rate(broker_seconds_bucket[5m])))`, []string{"le"}, "no label le"},
		{"buckets of a summary", `rate(broker_size_bucket[5m])`, nil, "no metric broker_size_bucket"},
		{"a sum of a gauge", `broker_peers_sum`, nil, "no metric broker_peers_sum"},
		{"a histogram without its suffix", `broker_seconds`, nil, "no metric broker_seconds"},
		{"a list of metrics", `min({__name__=~"broker_peers|broker_sends"})`, nil, ""},
		{"a list with a misspelt metric", `min({__name__=~"broker_peers|broker_pears"})`, nil, "no metric broker_pears"},
		{"labels of which nobody knows", `broker_rare{link="x"}`, nil, "nobody knows the labels of broker_rare"},
		{"matched by a label that one side has not", `broker_sends * on (priority) broker_peers`, nil, "matched: broker_peers has no label priority"},
		{"no expression", `sum(broker_peers`, nil, "unclosed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(known.problems(query{"here", tt.expr, tt.labels}), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
