package main

import (
	"testing"
)

func TestPluginBench(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	noOp := script(t, "no-op", "stage", "serve", "no-op")
	limit := script(t, "limit", "stage", "serve", "rate-limit")
	r := parse[benchReport](t, x.ok("plugin", "bench", limit, "--no-op", noOp, "--duration", "60ms", "--json"))
	if r.Stage != "rate-limit" || len(r.Results) != 12 || len(r.Ratios) != 9 {
		t.Fatalf("%d results, %d ratios: %+v", len(r.Results), len(r.Ratios), r)
	}
	for _, m := range r.Results {
		if m.Envelopes == 0 || m.PerSecond <= 0 || m.Failed > 0 {
			t.Errorf("nothing was measured: %+v", m)
		}
	}
	x.fails(exitUsage, "--duration", "plugin", "bench", limit, "--duration", "1ms")
	x.fails(exitFailed, "it has rate-limit", "plugin", "bench", limit, "--stage", "no-op")
}
