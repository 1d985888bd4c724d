package deploy_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what the tests read of Grafana's.
type dashboard struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name  string          `json:"name"`
			Type  string          `json:"type"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name        string `json:"name"`
			Expr        string `json:"expr"`
			TagKeys     string `json:"tagKeys"`
			TextFormat  string `json:"textFormat"`
			TitleFormat string `json:"titleFormat"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Datasource datasource `json:"datasource"`
		Expr       string     `json:"expr"`
		Legend     string     `json:"legendFormat"`
		Query      string     `json:"query"` // for traces
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit     string            `json:"unit"`
			Mappings []json.RawMessage `json:"mappings"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Panels []panel `json:"panels"` // of a row that is closed
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func loadDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/broker.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled is what Grafana puts in place of the dashboard's variables.
var filled = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")

// braced are the labels that a legend or a text takes.
var braced = regexp.MustCompile(`{{\s*([a-z_]+)\s*}}`)

func labelsIn(text string) (names []string) {
	for _, m := range braced.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// dashboardQueries returns all that the dashboard asks Prometheus for.
func dashboardQueries(t *testing.T) (list []query) {
	t.Helper()
	d := loadDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			if target.Expr != "" {
				list = append(list, query{"dashboard, " + p.Title, filled.Replace(target.Expr), labelsIn(target.Legend)})
			}
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" && !strings.HasPrefix(a.Expr, "ALERTS{") { // those have the labels of their alert, too
			list = append(list, query{"dashboard, annotation " + a.Name, filled.Replace(a.Expr), append(labelsIn(a.TextFormat), a.TagKeys)})
		}
	}
	values := regexp.MustCompile(`label_values\((\w+), (\w+)\)`)
	for _, v := range d.Templating.List {
		if m := values.FindStringSubmatch(string(v.Query)); m != nil {
			list = append(list, query{"dashboard, variable " + v.Name, m[1], m[2:]})
		} else if v.Type == "query" {
			t.Errorf("variable %s: %s", v.Name, v.Query)
		}
	}
	return list
}

// TestDashboard holds the dashboard to what makes it usable anywhere: data
// sources by variables, a description and a unit for each panel, and no panel
// upon another.
func TestDashboard(t *testing.T) {
	d := loadDashboard(t)
	if d.UID != "claudemesh-broker" || d.Title != "claudemesh broker" || d.SchemaVersion < 39 {
		t.Errorf("uid %s, title %s, schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type
	}
	if variables["datasource"] != "datasource" || variables["traces"] != "datasource" || variables["instance"] != "query" {
		t.Errorf("variables %v", variables)
	}
	ids, taken := map[int]string{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%s and %s have one id", p.Title, other)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if len(p.Panels) > 0 {
			t.Errorf("%s is closed: what is in it is not tested", p.Title)
		}
		wantPanel(t, p)
	}
}

func wantPanel(t *testing.T, p panel) {
	t.Helper()
	if p.Type == "row" || p.Type == "text" {
		return
	}
	if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
		t.Errorf("%q: want a title, a description and a query", p.Title)
	}
	for _, target := range p.Targets {
		wanted := datasource{"prometheus", "${datasource}"}
		if target.Query != "" {
			wanted = datasource{"tempo", "${traces}"}
		}
		if target.Datasource != wanted || p.Datasource != wanted {
			t.Errorf("%s asks %v, want %v", p.Title, target.Datasource, wanted)
		}
		if (target.Query == "") == (target.Expr == "") {
			t.Errorf("%s: %+v", p.Title, target)
		}
	}
	if d := p.FieldConfig.Defaults; d.Unit == "" && len(d.Mappings) == 0 && p.Type != "table" {
		t.Errorf("%s has no unit", p.Title)
	}
}

// TestOriginalPanels wants the panels of the original's dashboard, each with the
// metric that it shows, the misspelt one put right.
func TestOriginalPanels(t *testing.T) {
	panels := map[string]panel{}
	for _, p := range loadDashboard(t).Panels {
		if _, ok := panels[p.Title]; !ok {
			panels[p.Title] = p
		}
	}
	for title, want := range map[string][2]string{
		"Active connections":              {"stat", "broker_connections_active{"},
		"Queue depth":                     {"stat", "broker_queue_depth{"},
		"Legacy auth hits (24h)":          {"stat", "broker_legacy_auth_hits_total{"},
		"Messages routed / sec":           {"timeseries", "broker_messages_routed_total{"},
		"Messages rejected / sec":         {"timeseries", "broker_messages_rejected_total{"},
		"Messages dropped by grant / sec": {"timeseries", "broker_messages_dropped_by_grant_total{"},
		"Connections rejected / sec":      {"timeseries", "broker_connections_rejected_total{"},
	} {
		p := panels[title]
		if p.Type != want[0] || len(p.Targets) != 1 || !strings.Contains(p.Targets[0].Expr, want[1]) {
			t.Errorf("%s: got %+v, want a %s of %s", title, p, want[0], want[1])
		}
	}
}
