package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestPluginBench(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	noOp := script(t, "no-op", "stage", "serve", "no-op")
	limit := script(t, "limit", "stage", "serve", "rate-limit")
	r := parse[benchReport](t, benchFor(x, limit, "--no-op", noOp, "--duration", "60ms", "--json"))
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

// benchFor is a comparison with more patience than a command usually gets: in a
// race build, beside other tests, the windows of 1024 calls take long to empty.
func benchFor(x *terminal, args ...string) string {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 10*patience)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, append([]string{"plugin", "bench"}, args...), streams{strings.NewReader(""), &out, &errs}, x.env())
	if code != exitOK {
		x.t.Fatalf("exit %d\n%s", code, errs.String())
	}
	return out.String()
}
