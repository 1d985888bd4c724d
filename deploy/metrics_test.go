package deploy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// scraped reads the text of /metrics.
func scraped(t *testing.T, text string) families {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	read, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	list := families{}
	for name, f := range read {
		one := family{kind: strings.ToLower(f.GetType().String())}
		for _, m := range f.GetMetric() {
			if one.labels == nil {
				one.labels = []string{}
			}
			for _, l := range m.GetLabel() {
				if !slices.Contains(one.labels, l.GetName()) {
					one.labels = append(one.labels, l.GetName())
				}
			}
		}
		list[name] = one
	}
	return list
}

// rows and cells of a table of docs/metrics.md.
var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (.*?) \\| .* \\|$")
	metricCell = regexp.MustCompile("^`(\\w+)`: (.+)$")
)

// documented reads docs/metrics.md, which is made of a broker that has
// everything.
func documented(t *testing.T) families {
	t.Helper()
	list := families{}
	for _, row := range metricRow.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		one := family{kind: row[2], labels: []string{}, values: map[string]string{}}
		for cell := range strings.SplitSeq(row[3], "<br>") {
			if m := metricCell.FindStringSubmatch(cell); m != nil {
				one.labels = append(one.labels, m[1])
				one.values[m[1]] = m[2]
			} else if cell != "" {
				t.Errorf("docs/metrics.md, %s: the label cannot be read: %s", row[1], cell)
			}
		}
		list[row[1]] = one
	}
	if len(list) < 50 {
		t.Fatalf("docs/metrics.md: only %d metrics were found", len(list))
	}
	return list
}

// strangers returns the values that a query selects by and that no broker makes,
// as far as the values of a label are known.
func (f families) strangers(q query, codes string) (list []string) {
	expr, err := parser.ParseExpr(q.expr)
	if err != nil {
		return []string{err.Error()}
	}
	for _, n := range selectors(expr) {
		for _, m := range n.LabelMatchers {
			known := f.family(n.Name).values[m.Name]
			if strings.Contains(known, "errors.md") {
				known += codes
			}
			for value := range strings.SplitSeq(m.Value, "|") {
				if known != "" && !strings.ContainsAny(value, ".*+[") && !regexp.MustCompile(`\b`+value+`\b`).MatchString(known) {
					list = append(list, fmt.Sprintf("%s: %s of %s is never %q, only %s", q.where, m.Name, n.Name, value, known))
				}
			}
		}
	}
	return list
}

// family returns the family of a sample's name.
func (f families) family(name string) family {
	for _, end := range []string{"", "_bucket", "_sum", "_count"} {
		if found, ok := f[strings.TrimSuffix(name, end)]; ok {
			return found
		}
	}
	return family{}
}

// TestQueriesOfThePage wants what the dashboard and the alerts ask for among the
// metrics that docs/metrics.md lists, and the values that they select by.
func TestQueriesOfThePage(t *testing.T) {
	known, codes := documented(t), read(t, "../docs/errors.md")
	for _, q := range allQueries(t) {
		for _, p := range append(known.problems(q), known.strangers(q, codes)...) {
			t.Error(p)
		}
	}
	for expr, want := range map[string]int{
		`broker_stage_envelopes_total{verdict=~"deny|drop"}`: 0, `broker_stage_envelopes_total{verdict=~"deny|dropt"}`: 1,
		`broker_connections_rejected_total{reason="capacity"}`: 0, `broker_connections_rejected_total{reason="full"}`: 1,
		`broker_push_seconds_bucket{way="straight"}`: 1, `broker_http_requests_total{status=~"5.."}`: 0,
	} {
		if got := known.strangers(query{expr: expr}, codes); len(got) != want {
			t.Errorf("%s: got %q, want %d", expr, got, want)
		}
	}
}

// TestNothingGoesUnseen wants each of the broker's own metrics in the dashboard or
// in an alert.
func TestNothingGoesUnseen(t *testing.T) {
	seen := map[string]bool{"broker_config_last_reload_timestamp_seconds": true} // the panel Reloads shows when
	for _, q := range allQueries(t) {
		expr, err := parser.ParseExpr(q.expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range selectors(expr) {
			for _, name := range namesOf(n) {
				seen[name] = true
			}
		}
	}
	for name, f := range documented(t) {
		asked := seen[name]
		for _, end := range suffixes[f.kind] {
			asked = asked || seen[name+end]
		}
		if strings.HasPrefix(name, "broker_") && !asked {
			t.Errorf("neither the dashboard nor an alert shows %s", name)
		}
	}
}

// allQueries are those of the dashboard, of the alerts, and of the links from
// spans to metrics.
func allQueries(t *testing.T) []query {
	t.Helper()
	return slices.Concat(dashboardQueries(t), ruleQueries(t), spanQueries(t))
}

// TestQueriesOfARunningBroker asks a broker that has everything on for its
// metrics, and wants those that the dashboard and the alerts ask for among them.
func TestQueriesOfARunningBroker(t *testing.T) {
	b := newBroker(t)
	b.use()
	known := scraped(t, b.scrape())
	for _, q := range allQueries(t) {
		for _, p := range known.problems(q) {
			t.Error(p)
		}
	}
}
