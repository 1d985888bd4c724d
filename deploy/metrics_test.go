package deploy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
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
