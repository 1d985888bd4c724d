package main

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestPluginValidate(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	path := script(t, "limit", "stage", "serve", "rate-limit")
	out := x.ok("plugin", "validate", path)
	for _, want := range []string{
		"rate-limit 1.0.0, written with go ", "needs no capability\n",
		"  burst                whole number, default 10: messages that may come at once",
		"  - stage: rate-limit\n    plugin:\n      path: " + path + "\n    with:\n      send: 60/min\n",
		"ok   it ends when the broker dies\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}

	v := parse[validation](t, x.ok("plugin", "validate", path, "--json", "--options", `{"burst": 3}`))
	if !v.OK || len(v.Stages) != 1 || !strings.Contains(v.Stages[0].Link, "burst: 3") || len(v.Stages[0].Checks) < 10 {
		t.Errorf("got %+v", v)
	}
	var links []map[string]any
	if err := yaml.Unmarshal([]byte(v.Stages[0].Link), &links); err != nil || len(links) != 1 {
		t.Errorf("the link is no entry of a pipeline: %v\n%s", err, v.Stages[0].Link)
	}
	file := writeFile(t, "pipeline:\n  - stage: auth\n"+v.Stages[0].Link+"  - stage: route\n")
	x.ok("config", "check", "--config", file)

	x.fails(exitFailed, "fails checks", "plugin", "validate", path, "--options", `{"burst": 0}`)
	if r := x.try("plugin", "validate", path, "--options", `{"burst": 0}`); strings.Count(r.out, "FAIL") != 1 || !strings.Contains(r.out, "FAIL its schema compiles and takes its example: it refuses {\"burst\": 0}: a burst below 1") {
		t.Errorf("a wrong option:\n%s", r.out)
	}
	x.fails(exitUsage, "JSON object", "plugin", "validate", path, "--options", "burst=3")
	x.fails(exitFailed, "it has rate-limit", "plugin", "validate", path, "--stage", "limit")
	x.fails(exitFailed, "no such file", "plugin", "validate", "./nowhere")
	x.fails(exitFailed, "sent no handshake", "plugin", "validate", writeProgram(t, "true", "#!/bin/sh\n"))
	x.fails(exitUsage, "needs PATH", "plugin", "validate")
}
