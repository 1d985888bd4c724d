package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/stages"
)

// observeSecrets are what an operator fills in.
var observeSecrets = map[string]string{
	"BROKER_ENCRYPTION_KEY": strings.Repeat("ab", 32),
	"CONSOLE_TOKEN":         "0123456789abcdef",
	"GRAFANA_PASSWORD":      "s3cret",
}

// observed is the compose file of one broker with all that watches it, as
// compose reads it with these variables.
func observed(t *testing.T, environ map[string]string) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(expand(t, read(t, "compose.observe.yaml"), environ)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// unmarshal reads a YAML file into v, which has to know every key.
func unmarshal(t *testing.T, path string, v any) {
	t.Helper()
	if err := yaml.NewDecoder(strings.NewReader(read(t, path)), yaml.Strict()).Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// mount returns the file or folder here that a container has at a path.
func (s service) mount(path string) string {
	for _, v := range s.Volumes {
		parts := strings.Split(v, ":")
		if below, err := filepath.Rel(parts[1], path); err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(parts[0], below)
		}
	}
	return ""
}

// TestObservedServices wants images with a version, a health check in each, and
// nothing published but on loopback.
func TestObservedServices(t *testing.T) {
	c := observed(t, observeSecrets)
	if got, want := slices.Sorted(maps.Keys(c.Services)), []string{"broker", "grafana", "prometheus", "tempo"}; !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for name, s := range c.Services {
		if s.Build == nil {
			wantPinned(t, s.Image)
			if s.Healthcheck == nil || len(s.Healthcheck.Test) < 2 || s.Healthcheck.Test[0] != "CMD" {
				t.Errorf("%s has no healthcheck that does without a shell", name)
			}
		}
		for _, p := range s.Ports {
			if parts := strings.Split(p, ":"); len(parts) != 3 || parts[0] != "127.0.0.1" {
				t.Errorf("%s publishes %s: want it on loopback", name, p)
			}
		}
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[from]; ok {
				continue
			}
			if _, err := os.Stat(from); err != nil || !strings.HasPrefix(from, "./") || !strings.HasSuffix(to, ":ro") {
				t.Errorf("%s mounts %s: want a volume, or something here, read-only (%v)", name, v, err)
			}
		}
	}
	for name := range observeSecrets {
		line := "\n" + name + "=\n"
		if !strings.Contains(read(t, "observe.env.example"), line) {
			t.Errorf("observe.env.example has no %q", strings.TrimSpace(line))
		}
	}
	if !strings.Contains(read(t, "../.gitignore"), "/deploy/observe.env\n") {
		t.Error("git would take observe.env, with its secrets")
	}
}

// observedConfig is the configuration of the broker's container.
func observedConfig(t *testing.T, c compose) config.Config {
	t.Helper()
	_, environ := dockerfile(t)
	maps.Copy(environ, c.Services["broker"].Environment)
	path := c.Services["broker"].mount(environ[config.ConfigVariable])
	delete(environ, config.ConfigVariable)
	var list []string
	for name, value := range environ {
		list = append(list, name+"="+value)
	}
	loaded, err := config.Load(config.Options{Path: path, Environ: list, Builtins: stages.Builtins(stages.All(stages.Deps{}))})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("the broker would warn: %q", loaded.Warnings)
	}
	return loaded.Config
}

// TestObservedBroker holds the broker's config to what the others expect of it.
func TestObservedBroker(t *testing.T) {
	c := observed(t, observeSecrets)
	b, s := observedConfig(t, c), c.Services["broker"]
	if b.Mode != config.Production || b.Insecure || b.DataDir != "/data" || b.Console.Token.Reveal() != observeSecrets["CONSOLE_TOKEN"] {
		t.Errorf("mode %s, insecure %v, data in %s", b.Mode, b.Insecure, b.DataDir)
	}
	want := []string{"127.0.0.1:7900" + b.Listen, "127.0.0.1:7901" + b.Console.Listen} // and not ops_listen
	if !slices.Equal(s.Ports, want) {
		t.Errorf("it publishes %v, want %v", s.Ports, want)
	}
	if got, want := b.Telemetry.Traces.Endpoint, "http://tempo:4318"; got != want || b.Telemetry.Traces.Protocol != config.ProtocolHTTP {
		t.Errorf("traces go to %s by %s, want %s", got, b.Telemetry.Traces.Protocol, want)
	}
	if grace, err := time.ParseDuration(s.StopGracePeriod); err != nil || grace <= b.ShutdownTimeout+afterStop {
		t.Errorf("stop_grace_period %s: want more than %v and %v (%v)", s.StopGracePeriod, b.ShutdownTimeout, afterStop, err)
	}
}

// TestObservedPrometheus wants Prometheus to ask the broker where it answers, and
// to read the alerts.
func TestObservedPrometheus(t *testing.T) {
	c := observed(t, observeSecrets)
	prometheus := c.Services["prometheus"]
	file := prometheus.mount("/etc/prometheus/prometheus.yaml")
	if !slices.Contains(prometheus.Command, "--config.file=/etc/prometheus/prometheus.yaml") {
		t.Errorf("it reads another config: %q", prometheus.Command)
	}
	var p struct {
		Global struct {
			ScrapeInterval     string `yaml:"scrape_interval"`
			EvaluationInterval string `yaml:"evaluation_interval"`
		} `yaml:"global"`
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	unmarshal(t, file, &p)
	if len(p.RuleFiles) != 1 || filepath.Join(filepath.Dir(file), p.RuleFiles[0]) != "prometheus/rules.yaml" {
		t.Errorf("rules of %q", p.RuleFiles)
	}
	want := map[string]string{
		"broker": "broker" + observedConfig(t, c).HTTP.OpsListen, "prometheus": "127.0.0.1:9090", "tempo": "tempo:3200",
	}
	got := map[string]string{}
	for _, s := range p.ScrapeConfigs {
		for _, to := range s.StaticConfigs {
			got[s.JobName] += strings.Join(to.Targets, " ")
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("it asks %v, want %v", got, want)
	}
}

// TestObservedTempo wants Tempo where broker and Grafana look for it, and all
// that it keeps on its volume.
func TestObservedTempo(t *testing.T) {
	type endpoint struct {
		Endpoint string `yaml:"endpoint"`
	}
	type compaction struct {
		Retention string `yaml:"block_retention"`
	}
	var tempo struct {
		Server struct {
			Port int `yaml:"http_listen_port"`
		} `yaml:"server"`
		Distributor struct {
			Receivers struct {
				OTLP struct {
					Protocols struct {
						HTTP endpoint `yaml:"http"`
						GRPC endpoint `yaml:"grpc"`
					} `yaml:"protocols"`
				} `yaml:"otlp"`
			} `yaml:"receivers"`
		} `yaml:"distributor"`
		Storage struct {
			Trace struct {
				Backend string `yaml:"backend"`
				WAL     struct {
					Path string `yaml:"path"`
				} `yaml:"wal"`
				Local struct {
					Path string `yaml:"path"`
				} `yaml:"local"`
			} `yaml:"trace"`
		} `yaml:"storage"`
		Scheduler struct {
			WorkPath string `yaml:"local_work_path"`
			Provider struct {
				Compaction struct {
					Compaction compaction `yaml:"compaction"`
				} `yaml:"compaction"`
			} `yaml:"provider"`
		} `yaml:"backend_scheduler"`
		Worker struct {
			Compaction compaction `yaml:"compaction"`
		} `yaml:"backend_worker"`
		UsageReport struct {
			Enabled bool `yaml:"reporting_enabled"`
		} `yaml:"usage_report"`
	}
	s := observed(t, observeSecrets).Services["tempo"]
	unmarshal(t, s.mount("/etc/tempo/tempo.yaml"), &tempo)
	if !slices.Contains(s.Command, "-config.file=/etc/tempo/tempo.yaml") || tempo.Server.Port != 3200 {
		t.Errorf("%q, port %d", s.Command, tempo.Server.Port)
	}
	if p := tempo.Distributor.Receivers.OTLP.Protocols; p.HTTP.Endpoint != "0.0.0.0:4318" || p.GRPC.Endpoint != "0.0.0.0:4317" {
		t.Errorf("it takes spans at %+v", p)
	}
	trace := tempo.Storage.Trace
	for _, path := range []string{trace.WAL.Path, trace.Local.Path, tempo.Scheduler.WorkPath} {
		if !strings.HasPrefix(s.mount(path), "tempo") || trace.Backend != "local" {
			t.Errorf("%s is on no volume", path)
		}
	}
	if a, b := tempo.Scheduler.Provider.Compaction.Compaction.Retention, tempo.Worker.Compaction.Retention; a != b || a == "" || tempo.UsageReport.Enabled {
		t.Errorf("traces are kept for %s and for %s", a, b)
	}
}

// sources are the data sources that Grafana is given.
type sources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name    string         `yaml:"name"`
		UID     string         `yaml:"uid"`
		Type    string         `yaml:"type"`
		Access  string         `yaml:"access"`
		URL     string         `yaml:"url"`
		Default bool           `yaml:"isDefault"`
		JSON    sourceSettings `yaml:"jsonData"`
	} `yaml:"datasources"`
}

type sourceSettings struct {
	Method    string `yaml:"httpMethod"`
	Interval  string `yaml:"timeInterval"`
	NodeGraph struct {
		Enabled bool `yaml:"enabled"`
	} `yaml:"nodeGraph"`
	ToMetrics struct {
		UID     string `yaml:"datasourceUid"`
		Start   string `yaml:"spanStartTimeShift"`
		End     string `yaml:"spanEndTimeShift"`
		Queries []struct {
			Name  string `yaml:"name"`
			Query string `yaml:"query"`
		} `yaml:"queries"`
	} `yaml:"tracesToMetrics"`
}

// spanQueries are what Grafana offers to ask Prometheus for beside a span.
func spanQueries(t *testing.T) (list []query) {
	t.Helper()
	var s sources
	unmarshal(t, "grafana/provisioning/datasources/datasources.yaml", &s)
	for _, d := range s.Datasources {
		for _, q := range d.JSON.ToMetrics.Queries {
			list = append(list, query{"data source " + d.Name + ", " + q.Name, q.Query, nil})
		}
	}
	if len(list) == 0 {
		t.Error("no queries beside spans")
	}
	return list
}

// TestObservedGrafana wants Grafana to find the dashboard and what it shows, and
// to let nobody in who has not signed in.
func TestObservedGrafana(t *testing.T) {
	c := observed(t, observeSecrets)
	g := c.Services["grafana"]
	if e := g.Environment; e["GF_AUTH_ANONYMOUS_ENABLED"] != "false" || e["GF_SECURITY_ADMIN_PASSWORD"] != observeSecrets["GRAFANA_PASSWORD"] {
		t.Errorf("got %v", e)
	}
	var s sources
	unmarshal(t, g.mount("/etc/grafana/provisioning/datasources/datasources.yaml"), &s)
	want := map[string]string{"prometheus": "http://prometheus:9090", "tempo": "http://tempo:3200"}
	for _, d := range s.Datasources {
		if d.URL != want[d.Type] || d.UID != d.Type || d.Access != "proxy" {
			t.Errorf("got %+v, want %s", d, want[d.Type])
		}
		delete(want, d.Type)
	}
	if len(want) > 0 || s.APIVersion != 1 {
		t.Errorf("no data source %v", want)
	}
	var boards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name    string `yaml:"name"`
			Type    string `yaml:"type"`
			Folder  string `yaml:"folder"`
			Updates bool   `yaml:"allowUiUpdates"`
			Keep    bool   `yaml:"disableDeletion"`
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	unmarshal(t, g.mount("/etc/grafana/provisioning/dashboards/dashboards.yaml"), &boards)
	if len(boards.Providers) != 1 || boards.Providers[0].Type != "file" {
		t.Fatalf("got %+v", boards)
	}
	at := filepath.Join(boards.Providers[0].Options.Path, "broker.json")
	if g.mount(at) != "grafana/broker.json" || g.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] != at {
		t.Errorf("the dashboard is not at %s: %q", at, g.Volumes)
	}
}
