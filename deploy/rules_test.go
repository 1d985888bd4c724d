package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"
)

// rule is one alert of Prometheus.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// loadRules reads the alerts, as strictly as Prometheus does.
func loadRules(t *testing.T) (list []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.NewDecoder(strings.NewReader(read(t, "prometheus/rules.yaml")), yaml.Strict()).Decode(&file); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range file.Groups {
		if names[g.Name] || g.Name == "" {
			t.Errorf("two groups %q", g.Name)
		}
		names[g.Name] = true
		list = append(list, g.Rules...)
	}
	if len(list) == 0 {
		t.Fatal("no alerts")
	}
	return list
}

var ofAlert = regexp.MustCompile(`\$labels\.([a-z_]+)`)

// ruleQueries returns what the alerts ask for.
func ruleQueries(t *testing.T) (list []query) {
	t.Helper()
	for _, r := range loadRules(t) {
		q := query{where: "alert " + r.Alert, expr: r.Expr}
		for _, text := range r.Annotations {
			for _, m := range ofAlert.FindAllStringSubmatch(text, -1) {
				q.labels = append(q.labels, m[1])
			}
		}
		list = append(list, q)
	}
	return list
}

const runbook = "https://github.com/claudemesh/broker/blob/main/docs/runbook.md"

// TestRules holds each alert to what whoever is woken by it needs.
func TestRules(t *testing.T) {
	functions := template.FuncMap{"humanizePercentage": func(any) string { return "" }, "humanizeDuration": func(any) string { return "" }}
	for _, r := range loadRules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || len(r.Labels) != 1 {
			t.Errorf("%s: labels %v", r.Alert, r.Labels)
		}
		if d, err := time.ParseDuration(r.For); r.For != "" && (err != nil || d <= 0 || d > time.Hour) {
			t.Errorf("%s: for %s", r.Alert, r.For)
		}
		if got, want := r.Annotations["runbook_url"], runbook+"#"+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook %s, want %s", r.Alert, got, want)
		}
		for _, name := range []string{"summary", "description"} {
			text := r.Annotations[name]
			// As Prometheus does it.
			if _, err := template.New(name).Funcs(functions).Parse("{{$labels := .Labels}}{{$value := .Value}}" + text); err != nil || text == "" {
				t.Errorf("%s: %s: %v", r.Alert, name, err)
			}
		}
		if !strings.Contains(r.Expr, `{job="broker"`) {
			t.Errorf("%s: %s is about others than brokers", r.Alert, r.Expr)
		}
	}
}

// parts are what each section of the runbook says, in this order.
var parts = []string{"**It means.** ", "**Users feel.** ", "**Look.** ", "**Mend.** ", "**Ignore it.** "}

// TestRunbook wants a section for every alert, an alert for every section, and
// every part in each.
func TestRunbook(t *testing.T) {
	sections := map[string]string{}
	for _, section := range strings.Split(read(t, "../docs/runbook.md"), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		if strings.HasPrefix(title, "Broker") {
			sections[title] = text
		}
	}
	for _, r := range loadRules(t) {
		text, ok := sections[r.Alert]
		if !ok {
			t.Errorf("docs/runbook.md says nothing of %s", r.Alert)
			continue
		}
		delete(sections, r.Alert)
		at := -1
		for _, part := range parts {
			next := strings.Index(text, part)
			if next <= at {
				t.Errorf("docs/runbook.md, %s: no %q after the part before it", r.Alert, part)
			}
			at = next
		}
	}
	for title := range sections {
		t.Errorf("docs/runbook.md has %s, which no alert leads to", title)
	}
}
