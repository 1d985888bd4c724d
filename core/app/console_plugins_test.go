package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

// told is a host of plugins that says how they are.
type told struct {
	Plugins
	status []pluginhost.Status
}

func (t told) Status() []pluginhost.Status { return t.status }

// TestConsoleShowsEndsOfPlugins has two statuses of one link, as during a reload.
func TestConsoleShowsEndsOfPlugins(t *testing.T) {
	at := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	history := []supervise.End{
		{At: at.Add(time.Minute), Reason: "hang", Text: "killed"},
		{At: at, Reason: "crash", Text: "exit 1", Stderr: "boom\n"},
	}
	s := &consoleSource{app: &App{options: Options{Plugins: told{status: []pluginhost.Status{
		{Link: "guard", Instance: "guard-1", Ends: history[1:], Restarts: map[string]uint64{"crash": 1}},
		{Link: "guard", Instance: "guard-2", Ends: history, Restarts: map[string]uint64{"crash": 1, "hang": 1}},
		{Link: "watch"},
	}}}}}
	want := []console.Plugin{
		{Link: "guard", Restarts: map[string]uint64{"crash": 1, "hang": 1}, Ends: []console.End{
			{At: at.Add(time.Minute), Reason: "hang", Text: "killed"},
			{At: at, Reason: "crash", Text: "exit 1", Stderr: "boom\n"},
		}},
		{Link: "watch"},
	}
	if diff := cmp.Diff(want, s.plugins()); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
}
