// Package deploy_test holds the files beside it to the program: variables that
// it reads, ports that agree, times that fit into one another.
package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/stages"
)

// afterStop is what a broker may take beyond its shutdown_timeout: ten seconds
// each for the bus and for the control socket.
const afterStop = 20 * time.Second

// compose is what the tests read of a compose file.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Build       map[string]any    `yaml:"build"`
	Image       string            `yaml:"image"`
	Environment map[string]string `yaml:"environment"`
	Command     []string          `yaml:"command"`
	Volumes     []string          `yaml:"volumes"`
	Profiles    []string          `yaml:"profiles"`
	Ports       []string          `yaml:"ports"`
	Healthcheck *struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	StopGracePeriod string `yaml:"stop_grace_period"`
}

// secrets are what an operator fills in.
var secrets = map[string]string{
	"BROKER_ENCRYPTION_KEY": strings.Repeat("ab", 32),
	"POSTGRES_PASSWORD":     "s3cret",
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads the compose file as compose would with these variables.
func load(t *testing.T, environ map[string]string) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(expand(t, read(t, "compose.ha.yaml"), environ)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

var reference = regexp.MustCompile(`\$\{([A-Z_]+):([-?])((?:[^{}]|\$\{[^{}]*\})*)\}`)

// expand replaces ${NAME:-default} and ${NAME:?complaint}.
func expand(t *testing.T, text string, environ map[string]string) string {
	t.Helper()
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		m := reference.FindStringSubmatch(found)
		switch value := environ[m[1]]; {
		case value != "":
			return value
		case m[2] == "-":
			return expand(t, m[3], environ)
		}
		t.Errorf("%s: %s", m[1], m[3])
		return ""
	})
}

// example returns the variables that a copy of ha.env.example sets, with the
// secrets filled in. With all, those that are commented out count too.
func example(t *testing.T, all bool) map[string]string {
	t.Helper()
	environ := maps.Clone(secrets)
	for line := range strings.Lines(read(t, "ha.env.example")) {
		line = strings.TrimSpace(line)
		if all {
			line = strings.TrimPrefix(line, "#")
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			continue
		}
		if value != "" {
			environ[name] = value
		}
	}
	return environ
}

// dockerfile returns the last argument of each instruction of the last stage,
// and the variables that it sets.
func dockerfile(t *testing.T) (instructions, environ map[string]string) {
	t.Helper()
	instructions, environ = map[string]string{}, map[string]string{}
	text := strings.ReplaceAll(read(t, "../Dockerfile"), "\\\n", " ")
	_, last, ok := strings.Cut(text, "FROM scratch\n")
	if !ok {
		t.Fatal("the image is not made from scratch")
	}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		instructions[word] = strings.TrimSpace(rest)
		if word == "ENV" {
			for pair := range strings.FieldsSeq(rest) {
				name, value, _ := strings.Cut(pair, "=")
				environ[name] = value
			}
		}
	}
	return instructions, environ
}

// configOf reads the configuration that a container of the image gets.
func configOf(t *testing.T, environ map[string]string) config.Config {
	t.Helper()
	_, all := dockerfile(t)
	maps.Copy(all, environ)
	var list []string
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	loaded, err := config.Load(config.Options{Environ: list, Builtins: stages.Builtins(stages.All(stages.Deps{}))})
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) > 0 {
		t.Errorf("the broker would warn: %q", loaded.Warnings)
	}
	return loaded.Config
}

func TestImage(t *testing.T) {
	instructions, environ := dockerfile(t)
	for word, want := range map[string]string{
		"USER":       "65532:65532",
		"EXPOSE":     "7900",
		"STOPSIGNAL": "SIGTERM",
		"ENTRYPOINT": `["/broker"]`,
		"VOLUME":     environ["CLAUDEMESH_DATA_DIR"],
	} {
		if got := instructions[word]; got != want {
			t.Errorf("%s %s: want %s", word, got, want)
		}
	}
	if !strings.Contains(instructions["HEALTHCHECK"], `["/broker", "health"`) || strings.Contains(instructions["HEALTHCHECK"], "ready") {
		t.Errorf("HEALTHCHECK %s: want the broker's own, and whether it lives", instructions["HEALTHCHECK"])
	}
	c := configOf(t, map[string]string{"BROKER_ENCRYPTION_KEY": secrets["BROKER_ENCRYPTION_KEY"], "BROKER_PUBLIC_URL": "https://mesh.example.org"})
	if c.Listen != ":"+instructions["EXPOSE"] || c.Mode != config.Production || c.DataDir != "/data" {
		t.Errorf("the image listens on %s in %s, data in %s", c.Listen, c.Mode, c.DataDir)
	}
	for line := range strings.Lines(read(t, "../Dockerfile")) {
		if image, ok := strings.CutPrefix(line, "FROM "); ok && !strings.HasPrefix(image, "scratch") {
			wantPinned(t, strings.Fields(image)[0])
		}
	}
}

func wantPinned(t *testing.T, image string) {
	t.Helper()
	if _, tag, _ := strings.Cut(image, ":"); tag == "" || tag == "latest" || !strings.ContainsAny(tag, "0123456789") {
		t.Errorf("image %s: want a tag with a version", image)
	}
}

// TestIgnored wants the folders that the program is built from, and no other, in
// what is sent to the builder.
func TestIgnored(t *testing.T) {
	want := []string{"go.mod", "go.sum"}
	for _, folder := range []string{"cmd", "core", "migrations", "sdk", "stages"} {
		if _, err := os.Stat(filepath.Join("..", folder)); err == nil {
			want = append(want, folder)
		}
	}
	var got []string
	everything := false
	for line := range strings.Lines(read(t, "../.dockerignore")) {
		line = strings.TrimSpace(line)
		everything = everything || line == "*"
		if name, ok := strings.CutPrefix(line, "!"); ok {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || !everything {
		t.Errorf(".dockerignore, -want +got:\n%s", diff)
	}
}

func TestReplicas(t *testing.T) {
	for name, environ := range map[string]map[string]string{
		"as it comes":          example(t, false),
		"with all of its keys": example(t, true),
		"with secrets alone":   secrets,
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, environ)
			a, b := c.Services["broker-a"], c.Services["broker-b"]
			if diff := cmp.Diff(a.Environment, b.Environment); diff != "" {
				t.Errorf("the replicas differ, -a +b:\n%s", diff)
			}
			if slices.Equal(a.Volumes, b.Volumes) || len(a.Volumes) != 1 {
				t.Errorf("the replicas share a data directory: %v", a.Volumes)
			}
			if a.Build["context"] != ".." || a.Environment["BROKER_ENCRYPTION_KEY"] != secrets["BROKER_ENCRYPTION_KEY"] {
				t.Errorf("got %+v", a)
			}
			settings := configOf(t, a.Environment)
			if settings.Store.Engine() != "postgres" || settings.Limits.ConnectionsPerAddress != 0 {
				t.Errorf("store %s, %d connections per address: want postgres, and no limit behind a balancer",
					settings.Store.Engine(), settings.Limits.ConnectionsPerAddress)
			}
			if nats := environ["BUS_TYPE"] == "nats"; nats != (settings.BusKind() == config.BusNATS) {
				t.Errorf("the bus is %s", settings.BusKind())
			}
			grace, err := time.ParseDuration(a.StopGracePeriod)
			if err != nil || grace <= settings.ShutdownTimeout+afterStop {
				t.Errorf("stop_grace_period %s: want more than the shutdown_timeout %v and %v (%v)",
					a.StopGracePeriod, settings.ShutdownTimeout, afterStop, err)
			}
		})
	}
}

func TestServices(t *testing.T) {
	c := load(t, secrets)
	want := []string{"broker-a", "broker-b", "nats", "postgres", "traefik"}
	if got := slices.Sorted(maps.Keys(c.Services)); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	for name, s := range c.Services {
		if s.Build == nil {
			wantPinned(t, s.Image)
			if s.Healthcheck == nil || len(s.Healthcheck.Test) == 0 {
				t.Errorf("%s has no healthcheck", name)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[from]; !ok && !strings.HasPrefix(from, "./") {
				t.Errorf("%s: no volume %s", name, from)
			}
		}
		if optional := len(s.Profiles) > 0; optional != (name == "nats") {
			t.Errorf("%s: profiles %v", name, s.Profiles)
		}
	}
	if token := c.Services["broker-a"].Environment["CLAUDEMESH_BUS__NATS__TOKEN"]; !slices.Contains(c.Services["nats"].Command, token) {
		t.Errorf("nats wants another token than the brokers have: %q", token)
	}
}

// TestBalancer holds the balancer to the replicas and their port, and to asking
// for readiness.
func TestBalancer(t *testing.T) {
	type server struct {
		URL string `yaml:"url"`
	}
	type balancer struct {
		HealthCheck struct {
			Path string `yaml:"path"`
		} `yaml:"healthCheck"`
		Sticky struct {
			Cookie struct {
				Name string `yaml:"name"`
			} `yaml:"cookie"`
		} `yaml:"sticky"`
		Servers []server `yaml:"servers"`
	}
	var c struct {
		HTTP struct {
			Routers map[string]struct {
				Service string `yaml:"service"`
			} `yaml:"routers"`
			Services map[string]struct {
				LoadBalancer balancer `yaml:"loadBalancer"`
			} `yaml:"services"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "traefik.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	lb := c.HTTP.Services[c.HTTP.Routers["broker"].Service].LoadBalancer
	port := configOf(t, load(t, secrets).Services["broker-a"].Environment).Listen
	if diff := cmp.Diff([]server{{"http://broker-a" + port}, {"http://broker-b" + port}}, lb.Servers); diff != "" {
		t.Errorf("servers, -want +got:\n%s", diff)
	}
	if lb.HealthCheck.Path != "/health/ready" || lb.Sticky.Cookie.Name == "" {
		t.Errorf("got %+v", lb)
	}
}

func TestUnit(t *testing.T) {
	unit := map[string][]string{}
	for line := range strings.Lines(read(t, "broker.service")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			unit[name] = append(unit[name], value)
		}
	}
	for name, want := range map[string]string{
		"Type": "exec", "KillSignal": "SIGTERM", "ExecReload": "/bin/kill -HUP $MAINPID", "DynamicUser": "yes",
		"ProtectSystem": "strict", "NoNewPrivileges": "yes", "ExecStart": "/usr/local/bin/broker serve",
	} {
		if got := strings.Join(unit[name], " "); got != want {
			t.Errorf("%s=%s: want %s", name, got, want)
		}
	}
	stop, err := time.ParseDuration(strings.Join(unit["TimeoutStopSec"], "") + "s")
	if usual := config.Default().ShutdownTimeout; err != nil || stop <= usual+afterStop {
		t.Errorf("TimeoutStopSec %v: want more than %v and %v (%v)", stop, usual, afterStop, err)
	}
	environ := map[string]string{"BROKER_ENCRYPTION_KEY": secrets["BROKER_ENCRYPTION_KEY"], "BROKER_PUBLIC_URL": "https://mesh.example.org"}
	for _, pair := range unit["Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		environ[name] = strings.ReplaceAll(value, "%S", "/var/lib")
	}
	if c := configOf(t, environ); c.DataDir != "/var/lib/"+strings.Join(unit["StateDirectory"], "") || c.Mode != config.Production {
		t.Errorf("data in %s, mode %s", c.DataDir, c.Mode)
	}
}
