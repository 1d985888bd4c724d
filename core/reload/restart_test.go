package reload

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
)

func TestNeedRestart(t *testing.T) {
	t.Parallel()
	a, b := config.Default(), config.Default()
	b.Pipeline = nil
	b.Listen = ":1"
	b.Reload.Watch = false
	b.Limits.Window = 1
	b.Audit.Events = []string{"all"}
	if diff := cmp.Diff([]string{"listen", "reload.watch", "limits.window", "audit.events"}, needRestart(a, b)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
