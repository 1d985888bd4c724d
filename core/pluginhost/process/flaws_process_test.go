package process_test

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
)

// Managed services were called without a proof and without an end, under names
// that all meshes shared, and their processes had every variable of the broker.
// There are none yet: their variables change nothing but are warned of. When there
// are, look at this again. The one kind of process that the broker does start is a
// plugin, which gets what is listed and has a time to start in.
func TestFlaw32ChildrenInheritSecrets(t *testing.T) {
	for name, value := range map[string]string{
		"BROKER_ENCRYPTION_KEY": "sealed-with-this", "DATABASE_URL": "postgres://user:with-a-password@db/x", "CLI_SYNC_SECRET": "signed-with-this",
		"FLAW_LISTED": "for the plugin",
	} {
		t.Setenv(name, value)
	}
	r := newRig(t, processtest.Serve)
	r.options.Env = append(r.options.Env, "FLAW_LISTED")
	environ := ask(t, r.start(t), processtest.Environment, "")
	for _, secret := range []string{"sealed-with-this", "with-a-password", "signed-with-this", "BROKER_", "DATABASE_URL"} {
		if strings.Contains(environ, secret) {
			t.Errorf("a plugin is told %s:\n%s", secret, environ)
		}
	}
	if !strings.Contains(environ, "FLAW_LISTED=") {
		t.Errorf("the plugin lacks what is listed:\n%s", environ)
	}
	runner := []string{"RUNNER_URL=http://runner:7901", "CLAUDEMESH_SERVICES_DIR=/srv", "MAX_SERVICES_PER_MESH=3"}
	loaded, err := config.Load(config.Options{Environ: runner})
	if err != nil || len(loaded.Warnings) != len(runner) {
		t.Errorf("got %v, %+v; want a warning of each", err, loaded)
	}
}
