package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each layer wins over the one before it, whatever names a variable goes by.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = "limits: {message_bytes: 2000, window: 5}\nlisten: 127.0.0.1:1\n"
	tests := []struct {
		name      string
		environ   []string
		overrides map[string]string
		key       string
		want      string // text of the value
		origin    string
	}{
		{"it keeps a default that nothing sets", nil, nil, "limits.frame_bytes", "2097152", "default"},
		{"it lets the file win over a default", nil, nil, "limits.window", "5", "f.yaml:1:39"},
		{"it lets a variable win over the file", []string{"CLAUDEMESH_LIMITS__WINDOW=6"}, nil, "limits.window", "6", "environment CLAUDEMESH_LIMITS__WINDOW"},
		{"it lets an original's variable win over the file", []string{"MAX_MESSAGE_BYTES=3000"}, nil, "limits.message_bytes", "3000", "environment MAX_MESSAGE_BYTES"},
		{
			"it lets our name win over the original's",
			[]string{"CLAUDEMESH_LIMITS__MESSAGE_BYTES=4000", "MAX_MESSAGE_BYTES=3000"},
			nil, "limits.message_bytes", "4000", "environment CLAUDEMESH_LIMITS__MESSAGE_BYTES",
		},
		{
			"it lets a flag win over all",
			[]string{"CLAUDEMESH_LISTEN=:3", "BROKER_PORT=4"},
			map[string]string{"listen": ":5"},
			"listen", `":5"`, "flag --listen",
		},
		{"it names a flag as it is typed", nil, map[string]string{"data_dir": "/d"}, "data_dir", "/d", "flag --data-dir"},
		{"it counts an empty variable as none", []string{"CLAUDEMESH_LIMITS__WINDOW= ", "BROKER_PORT="}, nil, "limits.window", "5", "f.yaml:1:39"},
		{"it cuts what a file leaves at the end", []string{"GIT_SHA=abc\n"}, nil, "git_sha", "abc", "environment GIT_SHA"},

		{"BROKER_PORT serves every interface", []string{"BROKER_PORT=8080"}, nil, "listen", `":8080"`, "environment BROKER_PORT"},
		{"STATUS_TTL_SECONDS has no unit", []string{"STATUS_TTL_SECONDS=90"}, nil, "presence.status_ttl", "90s", "environment STATUS_TTL_SECONDS"},
		{"HOOK_FRESH_WINDOW_SECONDS too", []string{"HOOK_FRESH_WINDOW_SECONDS=5"}, nil, "presence.hook_fresh", "5s", "environment HOOK_FRESH_WINDOW_SECONDS"},
		{"MAX_MESSAGE_BYTES bounds HTTP bodies as well", []string{"MAX_MESSAGE_BYTES=9"}, nil, "limits.http_body_bytes", "9", "environment MAX_MESSAGE_BYTES"},
		{"MAX_CONNECTIONS_PER_MESH", []string{"MAX_CONNECTIONS_PER_MESH=9"}, nil, "limits.connections_per_mesh", "9", "environment MAX_CONNECTIONS_PER_MESH"},
		{"DATABASE_URL stays hidden", []string{"DATABASE_URL=postgres://u:p@h/d"}, nil, "store.url", `"***"`, "environment DATABASE_URL"},
		{"BROKER_SKIP_MIGRATE=1 turns migrations off", []string{"BROKER_SKIP_MIGRATE=1"}, nil, "store.migrate", "false", "environment BROKER_SKIP_MIGRATE"},
		{"BROKER_SKIP_MIGRATE=0 leaves them on", []string{"BROKER_SKIP_MIGRATE=0"}, nil, "store.migrate", "true", "environment BROKER_SKIP_MIGRATE"},
		{"NODE_ENV=test is dev", []string{"NODE_ENV=test"}, nil, "mode", "dev", "environment NODE_ENV"},
		{
			"NODE_ENV=production is production",
			[]string{"NODE_ENV=production", "BROKER_ENCRYPTION_KEY=" + strings.Repeat("0a", 32)},
			nil, "mode", "production", "environment NODE_ENV",
		},
		{"BROKER_PUBLIC_URL is made a socket's", []string{"BROKER_PUBLIC_URL=https://m.example"}, nil, "public_url", "wss://m.example/ws", "environment BROKER_PUBLIC_URL"},
		{"it keeps the path of BROKER_PUBLIC_URL", []string{"BROKER_PUBLIC_URL=http://m.example/a/ws"}, nil, "public_url", "ws://m.example/a/ws", "environment BROKER_PUBLIC_URL"},
		{
			"BROKER_URL wins over it",
			[]string{"BROKER_URL=wss://n.example/ws", "BROKER_PUBLIC_URL=https://m.example"},
			nil, "public_url", "wss://n.example/ws", "environment BROKER_URL",
		},
		{"APP_URL", []string{"APP_URL=https://a.example"}, nil, "http.app_url", `https://a.example`, "environment APP_URL"},
		{"HOOK_RATE_LIMIT_PER_MIN has no unit", []string{"HOOK_RATE_LIMIT_PER_MIN=9"}, nil, "http.hook_rate", "9/min", "environment HOOK_RATE_LIMIT_PER_MIN"},
		{"BROKER_INVITE_V2_ENABLED=0 turns claims off", []string{"BROKER_INVITE_V2_ENABLED=0"}, nil, "http.claims", "false", "environment BROKER_INVITE_V2_ENABLED"},
		{"BROKER_INVITE_V2_ENABLED=1 leaves them on", []string{"BROKER_INVITE_V2_ENABLED=1"}, nil, "http.claims", "true", "environment BROKER_INVITE_V2_ENABLED"},
		{"CLI_SYNC_SECRET stays hidden", []string{"CLI_SYNC_SECRET=" + strings.Repeat("s", 32)}, nil, "http.sync_secret", `"***"`, "environment CLI_SYNC_SECRET"},
		{"a limit may be off", []string{"CLAUDEMESH_HTTP__PER_ADDRESS=off"}, nil, "http.per_address", `"off"`, "environment CLAUDEMESH_HTTP__PER_ADDRESS"},
		{"a list has commas", []string{"CLAUDEMESH_AUDIT__EVENTS=peer_joined, peer_left"}, nil, "audit.events", "[peer_joined, peer_left]", "environment CLAUDEMESH_AUDIT__EVENTS"},
		{"a switch may be 1", []string{"CLAUDEMESH_INSECURE=1"}, nil, "insecure", "true", "environment CLAUDEMESH_INSECURE"},
		{"a switch may be a word", nil, map[string]string{"insecure": "true"}, "insecure", "true", "flag --insecure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := Load(Options{Path: "f.yaml", File: []byte(file), Environ: tt.environ, Overrides: tt.overrides, Builtins: builtins()})
			if err != nil {
				t.Fatal(err)
			}
			if got := valueOf(l.Config, tt.key); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.key, got, tt.want)
			}
			if got := l.Origin(tt.key).String(); got != tt.origin {
				t.Errorf("%s comes from %q, want %q", tt.key, got, tt.origin)
			}
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // one variable, its problem
		"CLAUDEMESH_LIMIT__WINDOW=5":       "environment CLAUDEMESH_LIMIT__WINDOW: unknown variable; did you mean CLAUDEMESH_LIMITS__WINDOW? The broker's own are CLAUDEMESH_ and a key in upper case, with __ between section and key",
		"CLAUDEMESH_limits__window=5":      "environment CLAUDEMESH_limits__window: unknown variable; did you mean CLAUDEMESH_LIMITS__WINDOW? The broker's own are CLAUDEMESH_ and a key in upper case, with __ between section and key",
		"CLAUDEMESH_LIMITS=5":              "environment CLAUDEMESH_LIMITS: unknown variable; did you mean CLAUDEMESH_LISTEN? The broker's own are CLAUDEMESH_ and a key in upper case, with __ between section and key",
		"CLAUDEMESH_=5":                    "environment CLAUDEMESH_: unknown variable; the broker's own are CLAUDEMESH_ and a key in upper case, with __ between section and key",
		"CLAUDEMESH_LIMITS__WINDOW=many":   `environment CLAUDEMESH_LIMITS__WINDOW: limits.window: must be a whole number; got "many"`,
		"CLAUDEMESH_PIPELINE=auth,route":   "environment CLAUDEMESH_PIPELINE: pipeline: can only be set in the file",
		"CLAUDEMESH_STORE__URL=my://a:pw@": "environment CLAUDEMESH_STORE__URL: store.url: must begin with postgres:// or postgresql:// and be a valid URL; characters such as @ : / in a password are written as %40 %3A %2F",
		"DATABASE_URL=mysql://u:pw@h/d":    "environment DATABASE_URL: store.url: must begin with postgres:// or postgresql:// and be a valid URL; characters such as @ : / in a password are written as %40 %3A %2F",
		"BROKER_ENCRYPTION_KEY=secret":     "environment BROKER_ENCRYPTION_KEY: encryption_key: must be 64 hex digits; it has 6 characters",
		"BROKER_PORT=0":                    `environment BROKER_PORT: listen: must be a port from 1 to 65535; got "0"`,
		"BROKER_PORT=http":                 `environment BROKER_PORT: listen: must be a port from 1 to 65535; got "http"`,
		"STATUS_TTL_SECONDS=60s":           `environment STATUS_TTL_SECONDS: presence.status_ttl: must be a whole number of seconds; got "60s"`,
		"STATUS_TTL_SECONDS=0":             `environment STATUS_TTL_SECONDS: presence.status_ttl: must be from 1s to 24h; got "0s"`,
		"NODE_ENV=prodution":               `environment NODE_ENV: mode: must be development, production or test; got "prodution"; did you mean production?`,
		"NODE_ENV=production":              "environment NODE_ENV: encryption_key: is needed in production: 64 hex digits, such as openssl rand -hex 32 prints, best in BROKER_ENCRYPTION_KEY",
		"BROKER_LEGACY_AUTH=true":          `environment BROKER_LEGACY_AUTH: pipeline: must be 1 or 0; got "true"`,
		"APP_URL=mesh.example":             `environment APP_URL: http.app_url: must be an http or https URL without a query, such as https://mesh.example.org; got "mesh.example"`,
		"HOOK_RATE_LIMIT_PER_MIN=0":        `environment HOOK_RATE_LIMIT_PER_MIN: http.hook_rate: must be a whole number of calls a minute, at least 1; got "0"`,
		"BROKER_INVITE_V2_ENABLED=yes":     `environment BROKER_INVITE_V2_ENABLED: http.claims: must be 1 or 0; got "yes"`,
		"CLI_SYNC_SECRET=pw":               "environment CLI_SYNC_SECRET: http.sync_secret: must have at least 32 bytes, such as openssl rand -hex 32 prints; it has 2",
		"BROKER_PUBLIC_URL=mesh.example":   `environment BROKER_PUBLIC_URL: public_url: must be a URL such as https://mesh.example.org; got "mesh.example"`,
		"BROKER_URL=https://mesh.example":  `environment BROKER_URL: public_url: must be a WebSocket URL, such as wss://mesh.example.org/ws; got "https://mesh.example"`,
	}
	for variable, want := range tests {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			_, err := Load(Options{Environ: []string{variable}, Builtins: builtins()})
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if err != nil && strings.Contains(err.Error(), "pw") {
				t.Error("the error shows a password")
			}
		})
	}
}

func TestOverridesAreChecked(t *testing.T) {
	t.Parallel()
	_, err := Load(Options{Overrides: map[string]string{"limits.windo": "1", "limits.window": "0", "queue": "x"}})
	want := "flag --limits.windo: limits.windo: unknown key; did you mean limits.window?\n" +
		"flag --limits.window: limits.window: must be from 1 to 65536; got \"0\"\n" +
		"flag --queue: queue: unknown key"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Problems of all layers come together, the file's first.
func TestProblemsOfAllLayers(t *testing.T) {
	t.Parallel()
	_, err := Load(Options{
		Path: "f.yaml", File: []byte("queue: {drain_batch: 0}\nlisten: x\n"),
		Environ:   []string{"BROKER_PORT=x", "CLAUDEMESH_LOG__LEVEL=loud"},
		Overrides: map[string]string{"limits.window": "0"},
	})
	problems := Problems(nil)
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	if diff := cmp.Diff([]string{"queue.drain_batch", "listen", "log.level", "limits.window"}, keys); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLegacyAuth(t *testing.T) {
	t.Parallel()
	const without = "pipeline:\n  - stage: auth\n  - stage: route\n"
	const with = "pipeline:\n  - stage: auth\n  - {stage: legacy-auth, enabled: true}\n  - stage: route\n"
	tests := []struct {
		name, file, variable string
		enabled              bool
		err                  string
	}{
		{"it is off by default", "", "", false, ""},
		{"1 turns it on", "", "BROKER_LEGACY_AUTH=1", true, ""},
		{"0 leaves it off", "", "BROKER_LEGACY_AUTH=0", false, ""},
		{"the file turns it on", with, "", true, ""},
		{"0 wins over the file", with, "BROKER_LEGACY_AUTH=0", false, ""},
		{"0 has nothing to do", without, "BROKER_LEGACY_AUTH=0", false, ""},
		{
			"1 needs the link", without, "BROKER_LEGACY_AUTH=1", false,
			"environment BROKER_LEGACY_AUTH: pipeline: has no link legacy-auth to enable; list it behind auth",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := Load(Options{File: []byte(tt.file), Environ: []string{tt.variable}, Builtins: builtins()})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range l.Config.Pipeline {
				if link.Stage == legacyAuth && link.Enabled != tt.enabled {
					t.Errorf("enabled is %v", link.Enabled)
				}
			}
		})
	}
}

// What a variable says of a link is printed with its name, whether it is the
// default of a link or not.
func TestPrintLegacyAuth(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"1": "true", "0": "false"} {
		l, err := Load(Options{Environ: []string{"BROKER_LEGACY_AUTH=" + value}, Builtins: builtins()})
		if err != nil {
			t.Fatal(err)
		}
		line := "  - stage: legacy-auth  # default\n    enabled: " + want + "  # environment BROKER_LEGACY_AUTH\n  - stage: grants"
		for what, text := range map[string][]byte{"changed": l.Changed(), "all": l.YAML()} {
			if !strings.Contains(string(text), line) {
				t.Errorf("%s, %s: want\n%s\ngot\n%s", value, what, line, text)
			}
		}
	}
}

func TestPublicURLWarning(t *testing.T) {
	t.Parallel()
	const app, public, production = "APP_URL=https://m.example", "BROKER_URL=wss://m.example/ws", "NODE_ENV=production"
	key := "BROKER_ENCRYPTION_KEY=" + strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"neither is set", nil, ""},
		{"both are set", []string{app, public}, ""},
		{"public_url alone", []string{public, production, key}, ""},
		{"app_url alone", []string{app}, "http.app_url is set and public_url is not: links will lead to https://m.example,"},
		{"app_url alone, in production", []string{app, production, key}, "http.app_url is set and public_url is not"},
		{"neither, in production", []string{production, key}, "public_url is not set"},
	} {
		l, err := Load(Options{Environ: tt.environ, Builtins: builtins()})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.Warnings, "\n"); (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{Environ: []string{
		"RUNNER_URL=http://r", "CLAUDEMESH_SERVICES_DIR=/s", "TELEGRAM_BOT_TOKEN=t0ken", // not built yet
		"CLAUDEMESH_DISPLAY_NAME=ada", "CLAUDEMESH_BROKER_URL=wss://x/ws", "ANTHROPIC_API_KEY=k", // others'
		"BROKER_PORT=1", "CLAUDEMESH_LISTEN=:2", // two for one
		"PATH=/bin", "nonsense",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"BROKER_PORT has no effect, because CLAUDEMESH_LISTEN sets listen too",
		"CLAUDEMESH_SERVICES_DIR has no effect yet: managed services is not built",
		"RUNNER_URL has no effect yet: managed services is not built",
		"TELEGRAM_BOT_TOKEN has no effect yet: the Telegram bridge is not built",
	}
	if diff := cmp.Diff(want, l.Warnings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, want string
		environ          []string
		overrides        map[string]string
	}{
		{name: "it is below XDG_DATA_HOME", environ: []string{"XDG_DATA_HOME=/x", "HOME=/h"}, want: "/x/claudemesh-broker"},
		{name: "it is below HOME", environ: []string{"HOME=/h"}, want: "/h/.local/share/claudemesh-broker"},
		{name: "it takes no relative XDG_DATA_HOME", environ: []string{"XDG_DATA_HOME=x", "HOME=/h"}, want: "/h/.local/share/claudemesh-broker"},
		{name: "it is data without either", want: "./data"},
		{name: "a path in the file counts from the file", file: "data_dir: var/data", want: "/etc/broker/var/data"},
		{name: "an absolute one stays", file: "data_dir: /srv", want: "/srv"},
		{name: "a variable counts from where one is", file: "data_dir: a", environ: []string{"CLAUDEMESH_DATA_DIR=b"}, want: "b"},
		{name: "a flag too", file: "data_dir: a", overrides: map[string]string{"data_dir": "c"}, want: "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := Load(Options{Path: "/etc/broker/broker.yaml", File: []byte(tt.file), Environ: tt.environ, Overrides: tt.overrides})
			if err != nil {
				t.Fatal(err)
			}
			if l.Config.DataDir != tt.want {
				t.Errorf("got %s, want %s", l.Config.DataDir, tt.want)
			}
		})
	}
}

// A plugin's path must never be a bare name, which would be looked for in PATH.
func TestPluginPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"broker.yaml":      "./scan",
		"/etc/broker.yaml": "/etc/scan",
		"conf/broker.yaml": "conf/scan",
	} {
		l, err := Load(Options{Path: path, File: []byte("pipeline: [{stage: scan, plugin: {path: scan}}]")})
		if err != nil {
			t.Fatal(err)
		}
		link := l.Config.Pipeline[0]
		if link.Plugin.Path != want || link.Deadline != 100*time.Millisecond {
			t.Errorf("%s: got %+v", path, link.Plugin)
		}
	}
}

func TestFileOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "broker.yaml")
	write(t, path, []byte("limits: {window: 7}\n"))
	l, err := Load(Options{Environ: []string{ConfigVariable + "=" + path}})
	if err != nil {
		t.Fatal(err)
	}
	if l.File != path || l.Config.Limits.Window != 7 {
		t.Errorf("got %s, window %d", l.File, l.Config.Limits.Window)
	}

	large := filepath.Join(dir, "large.yaml")
	write(t, large, []byte(strings.Repeat("#", maxFileBytes+1)))
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "cannot be read: no such file or directory",
		dir:                             "cannot be read: is a directory",
		large:                           "is larger than 1048576 bytes",
	} {
		_, err := Load(Options{Path: path, Environ: []string{"BROKER_PORT=x"}})
		want = path + ": " + want + "\nenvironment BROKER_PORT: listen: must be a port from 1 to 65535; got \"x\""
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := os.Stat(large); err != nil {
		t.Fatal(err)
	}
}

func TestNotText(t *testing.T) {
	t.Parallel()
	_, err := Load(Options{Path: "f.yaml", File: []byte("listen: :1\ngit_sha: \"\xff\"\n")})
	if want := "f.yaml:2:1: the line is not UTF-8 text"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What a hostile file can make us say and do is bounded.
func TestBounds(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for range 3000 {
		many.WriteString(strings.Repeat("k", many.Len()%7+1) + ": 1\n")
	}
	_, err := Load(Options{Path: "f.yaml", File: []byte(many.String())})
	problems := Problems(nil)
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	if last := problems[maxProblems].Text; last != "and 2900 more problems" {
		t.Errorf("got %q", last)
	}
	for name, file := range map[string]string{
		"brackets": strings.Repeat("[", maxFileBytes),
		"braces":   strings.Repeat("{a: ", maxFileBytes/4),
		"dashes":   strings.Repeat("- ", maxFileBytes/2),
		"marks":    strings.Repeat("? ", maxFileBytes/2),
		"lines":    strings.Repeat("a:\n", maxFileBytes/3),
		"words":    strings.Repeat("a ", maxFileBytes/2),
		"quotes":   strings.Repeat(`"`, maxFileBytes),
		"closers":  strings.Repeat("]", 100) + strings.Repeat("[", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Load(Options{File: []byte(file)})
			if err == nil || len(err.Error()) > 1000 {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}
