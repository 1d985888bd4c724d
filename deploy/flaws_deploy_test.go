package deploy_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/stages"
)

// Tests of the flaws of the original that were in how it was deployed. The list
// of all of them is checked in core/app.

// The sample for two nodes could not boot: a database without an extension, a
// variable that was not set, invites that led elsewhere. Its cookie was of no use
// to sockets, and what one node had counted the other did not know.
func TestFlaw54HASampleCannotBoot(t *testing.T) {
	c := load(t, secrets)
	for _, name := range []string{"broker-a", "broker-b"} {
		s := configOf(t, c.Services[name].Environment) // as the container reads it
		if s.Mode != config.Production || s.Insecure || s.Store.Engine() != "postgres" || s.EncryptionKey.Reveal() != secrets["BROKER_ENCRYPTION_KEY"] {
			t.Errorf("%s: mode %s, insecure %v, store %s", name, s.Mode, s.Insecure, s.Store.Engine())
		}
		if s.BusKind() == config.BusLocal {
			t.Errorf("%s hears nothing of the other", name)
		}
		if !strings.HasPrefix(s.PublicURL, "ws://localhost:8080/") || s.HTTP.Links(s.PublicURL) != "http://localhost:8080" {
			t.Errorf("%s: invites lead to %s", name, s.PublicURL)
		}
		for _, l := range s.Pipeline {
			if l.Stage == "legacy-auth" && l.Enabled {
				t.Errorf("%s: legacy-auth is on", name)
			}
		}
	}
	image := c.Services["postgres"].Image
	err := filepath.WalkDir("../migrations/postgres", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(strings.ToUpper(read(t, path)), "CREATE EXTENSION") {
			t.Errorf("%s wants an extension that %s may lack", path, image)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Any broker serves any socket: core/app shows it, with the marks of what is used
	// up on every node (TestTokensAreSpentOnEveryNode). Hence the balancer may choose.
	if !strings.Contains(read(t, "traefik.yaml"), "path: /health/ready") {
		t.Error("the balancer does not ask who is ready")
	}
}

// The program carried clients of five services that most installations do not run,
// and looked as if it wanted them. Of these the broker has one, for files on S3,
// which it makes where the config names a bucket; the others are plugins' affair.
func TestFlaw59SideServices(t *testing.T) {
	packages, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../cmd/broker").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"aws-sdk", "qdrant", "neo4j", "telegram", "telebot", "anthropic", "openai", "postmark", "resend"} {
		if strings.Contains(strings.ToLower(string(packages)), word) {
			t.Errorf("the broker is built with %s", word)
		}
	}
	for name, s := range load(t, secrets).Services {
		if optional := len(s.Profiles) > 0; !optional && !slices.Contains([]string{"broker-a", "broker-b", "postgres", "traefik"}, name) {
			t.Errorf("the sample runs %s", name)
		}
	}
	// Nothing is set, and nothing is missing: one process with its own store.
	loaded, err := config.Load(config.Options{Builtins: stages.Builtins(stages.All(stages.Deps{}))})
	if err != nil || len(loaded.Warnings) > 0 {
		t.Fatalf("%v, %+v", err, loaded)
	}
	if c := loaded.Config; c.Store.Engine() != "sqlite" || c.BusKind() != config.BusLocal {
		t.Errorf("store %s, bus %s", c.Store.Engine(), c.BusKind())
	}
	for _, bad := range []string{"MINIO", "QDRANT", "NEO4J", "RUNNER_URL", "TELEGRAM"} {
		for _, file := range []string{"compose.ha.yaml", "ha.env.example", "broker.service", "../Dockerfile"} {
			if strings.Contains(read(t, file), bad) {
				t.Errorf("%s names %s", file, bad)
			}
		}
	}
}

// The health check asked one port, whatever was configured, and signals went to a
// shell's child or nowhere.
func TestFlaw62HealthCheckOfAnotherPort(t *testing.T) {
	instructions, environ := dockerfile(t)
	check := instructions["HEALTHCHECK"]
	if !strings.Contains(check, `CMD ["/broker", "health"`) || regexp.MustCompile(`[0-9]{4}|--url|curl|wget`).MatchString(check) {
		t.Errorf("HEALTHCHECK %s: want the broker's own, which reads the port from the configuration", check)
	}
	if environ["BROKER_PORT"] == "" {
		t.Error("the image sets no port, so that this test shows nothing")
	}
	other := configOf(t, map[string]string{
		"BROKER_PORT": "8123", "BROKER_ENCRYPTION_KEY": secrets["BROKER_ENCRYPTION_KEY"], "BROKER_PUBLIC_URL": "https://mesh.example.org",
	})
	if other.Listen != ":8123" {
		t.Errorf("with another port it listens on %s", other.Listen)
	}
	for name, s := range load(t, secrets).Services {
		if s.Build != nil && s.Healthcheck != nil {
			t.Errorf("%s has a check of its own beside the image's", name)
		}
	}
	if !strings.Contains(read(t, "compose.ha.yaml"), "init: true") {
		t.Error("nobody waits for what plugins leave behind: the replicas have no init")
	}
	// No shell is between the init and the broker, which takes signals itself.
	if instructions["ENTRYPOINT"] != `["/broker"]` || instructions["STOPSIGNAL"] != "SIGTERM" {
		t.Errorf("ENTRYPOINT %s, STOPSIGNAL %s", instructions["ENTRYPOINT"], instructions["STOPSIGNAL"])
	}
}
