package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/pluginhost"
)

// script makes a program that is this test program as the broker with these
// words, for a plugin: the broker gives a plugin no environment.
func script(t *testing.T, name string, words ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return writeProgram(t, name, fmt.Sprintf("#!/bin/sh\nGORACE=atexit_sleep_ms=0 %s=1 exec '%s' %s\n", childVariable, self, strings.Join(words, " ")))
}

func writeProgram(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// withPlugin is a config with a plugin in the place of rate-limit. more is
// what is said of the link beside that, indented by four.
func withPlugin(t *testing.T, path, more string) string {
	t.Helper()
	return writeFile(t, "pipeline:\n  - stage: auth\n  - stage: rate-limit # out of the process\n    name: limit\n    plugin:\n      path: "+
		path+"\n"+more+"\n  - stage: route\n")
}

func TestConfigCheckAsksPlugins(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	good := script(t, "good", "stage", "serve", "rate-limit")
	for _, tt := range []struct {
		name, path, more string
		want             []string // of standard error, line by line
	}{
		{"good options are good", good, "    with: {burst: 3}", nil},
		{"an option that the plugin does not know", good, "    with:\n      burst: 3\n      brst: 4", []string{":8:7: pipeline[1].with: additional properties 'brst' not allowed"}},
		{"what only the plugin knows", good, "    with: {burst: 0}", []string{":7:11: pipeline[1].with: a burst below 1"}},
		{"a stage that the program does not have", good, "      stage: rate-limits", []string{`pipeline[1].plugin: limit: the program has no stage "rate-limits"; it has: rate-limit (did you mean rate-limit?)`}},
		{"a program that is no plugin", writeProgram(t, "echo", "#!/bin/sh\necho hello\n"), "", []string{`pipeline[1].plugin: plugin `}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := withPlugin(t, tt.path, tt.more)
			r := x.try("config", "check", "--config", file)
			lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
			if len(tt.want) == 0 {
				if r.code != exitOK {
					t.Errorf("exit %d\n%s", r.code, r.err)
				}
				return
			}
			if r.code != exitFailed || len(lines) != len(tt.want) {
				t.Fatalf("exit %d, want %d lines\n%s", r.code, len(tt.want), r.err)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) || !strings.HasPrefix(lines[i], "broker: config: "+file+":") {
					t.Errorf("line %q, want %q with its place in %s", lines[i], want, file)
				}
			}
			if r := x.try("config", "check", "--no-plugins", "--config", file); r.code != exitOK {
				t.Errorf("--no-plugins: exit %d\n%s", r.code, r.err)
			}
		})
	}
}

func TestConfigCheckMissesAProgram(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.fails(exitFailed, "no such file", "config", "check", "--config", withPlugin(t, "./nowhere", ""))
}

func TestPluginListWithoutABroker(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := withPlugin(t, "./limit", "      grants: [identity.read]")
	list := *parse[[]pluginhost.Status](t, x.ok(x.on("plugin", "list", "--json", "--config", file)...))
	if len(list) != 1 || list[0].Link != "limit" || list[0].Stage != "rate-limit" || list[0].Phase != "not running" || list[0].Pinned {
		t.Errorf("got %+v", list)
	}
	if out := x.ok(x.on("plugin", "list", "--config", file)...); !strings.Contains(out, "limit  rate-limit") || !strings.Contains(out, "not running") {
		t.Errorf("list:\n%s", out)
	}
	out := x.ok(x.on("plugin", "status", "limit", "--config", file)...)
	for _, want := range []string{"limit: not running\n", "not pinned (broker plugin pin limit)", "granted: identity.read"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	x.fails(exitFailed, "did you mean limit?", x.on("plugin", "status", "limt", "--config", file)...)
	x.fails(exitFailed, "no broker runs", x.on("plugin", "resume", "limit", "--config", file)...)
	if out := x.ok(x.on("plugin", "list")...); !strings.Contains(out, "broker plugin new") {
		t.Errorf("without plugins: %s", out)
	}
}

func TestPluginPin(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	path := script(t, "limit", "stage", "serve", "rate-limit")
	hash, err := hashOf(path)
	if err != nil {
		t.Fatal(err)
	}
	file := withPlugin(t, path, "")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(file)
	x.fails(exitFailed, "1 of 1 pins", "plugin", "pin", "--check", "--config", file)
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("--check has changed the file")
	}
	if out := x.ok("plugin", "pin", "limit", "--config", file); out != "limit: none -> "+hash+"\n" {
		t.Errorf("pin: %q", out)
	}
	after, _ := os.ReadFile(file)
	want := strings.Replace(string(before), path+"\n", path+"\n      sha256: \""+hash+"\"\n", 1)
	if info, err := os.Stat(file); string(after) != want || err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, file\n%s\nwant\n%s", info.Mode(), after, want)
	}
	x.ok("plugin", "pin", "--check", "--config", file)
	x.ok("config", "check", "--config", file)
	if out := x.ok("plugin", "pin", path); out != hash+"  "+path+"\n" {
		t.Errorf("the hash of a program: %q", out)
	}

	placeholder := writeFile(t, "")
	if err := os.WriteFile(placeholder, []byte("mode: production\n"+strings.Replace(string(before), path+"\n", path+"\n      sha256: \"…\"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := x.ok("plugin", "pin", "--config", placeholder); out != "limit: … -> "+hash+"\n" {
		t.Errorf("a placeholder: %q", out)
	}
	x.fails(exitFailed, "did you mean limit?", "plugin", "pin", "limt", "--config", file)
	x.fails(exitUsage, "--config", "plugin", "pin")
	x.fails(exitFailed, "no such file", "plugin", "pin", "--config", withPlugin(t, "./nowhere", ""))
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func untouch(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func killPID(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}
