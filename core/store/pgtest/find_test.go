package pgtest

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const debian15, debian9 = "/usr/lib/postgresql/15/bin/", "/usr/lib/postgresql/9.6/bin/"

// imagined is an environment of files, and of programs in PATH.
type imagined struct {
	files []string          // with their whole path
	path  map[string]string // program → file
	root  bool
	fails string   // commands that contain this fail
	adds  []string // files that a successful install adds
	ran   []string // commands, in order
}

func (i *imagined) environment() environment {
	return environment{
		getenv: func(string) string { return "" },
		lookPath: func(program string) (string, error) {
			if file, ok := i.path[program]; ok {
				return file, nil
			}
			if slices.Contains(i.files, program) {
				return program, nil
			}
			return "", errors.New("not found")
		},
		glob: func(pattern string) (dirs []string, err error) {
			for _, file := range i.files {
				if ok, err := filepath.Match(pattern, filepath.Dir(file)); err != nil || ok {
					dirs = append(dirs, filepath.Dir(file))
				}
			}
			return dirs, nil
		},
		root: i.root,
		run: func(_ context.Context, command ...string) error {
			line := strings.Join(command, " ")
			i.ran = append(i.ran, line)
			if i.fails != "" && strings.Contains(line, i.fails) {
				return errors.New(line + ": exit status 1")
			}
			if strings.Contains(line, "postgresql") {
				i.files = append(i.files, i.adds...)
			}
			return nil
		},
		alone: func(do func() error) error { return do() },
	}
}

func TestFind(t *testing.T) {
	const (
		update  = "apt-get -q update"
		install = "env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=120 postgresql"
		advice  = "no PostgreSQL server: install one (Debian: apt-get install postgresql), " +
			"or set TEST_DATABASE_URL to the URL of a role that may create databases"
	)
	var (
		both15 = []string{debian15 + "initdb", debian15 + "postgres"}
		both9  = []string{debian9 + "initdb", debian9 + "postgres"}
		apt    = map[string]string{"apt-get": "/usr/bin/apt-get"}
	)
	tests := []struct {
		name    string
		in      imagined
		want    string
		wantErr string
		wantRan []string
	}{
		{
			name: "it takes what is in PATH before all others",
			in: imagined{
				files: append([]string{"/opt/pg/initdb", "/opt/pg/postgres"}, both15...),
				path:  map[string]string{"initdb": "/opt/pg/initdb"},
			},
			want: "/opt/pg",
		},
		{
			name: "it passes by a PATH that has half a server",
			in:   imagined{files: append(both15, "/opt/pg/initdb"), path: map[string]string{"initdb": "/opt/pg/initdb"}},
			want: "/usr/lib/postgresql/15/bin",
		},
		{
			name: "it takes the newest of several, by number",
			in:   imagined{files: append(both9, both15...)},
			want: "/usr/lib/postgresql/15/bin",
		},
		{
			name: "it passes by a newer client without a server",
			in:   imagined{files: append([]string{"/usr/lib/postgresql/17/bin/psql"}, both15...)},
			want: "/usr/lib/postgresql/15/bin",
		},
		{
			name: "it finds what Homebrew installed",
			in:   imagined{files: []string{"/opt/homebrew/opt/postgresql@17/bin/initdb", "/opt/homebrew/opt/postgresql@17/bin/postgres"}},
			want: "/opt/homebrew/opt/postgresql@17/bin",
		},
		{
			name:    "it installs as root",
			in:      imagined{path: apt, root: true, adds: both15},
			want:    "/usr/lib/postgresql/15/bin",
			wantRan: []string{install},
		},
		{
			name:    "it installs with sudo",
			in:      imagined{path: apt, adds: both15},
			want:    "/usr/lib/postgresql/15/bin",
			wantRan: []string{"sudo -n true", "sudo -n " + install},
		},
		{
			name:    "it refreshes the lists when the package is unknown",
			in:      imagined{path: apt, root: true, fails: "install"},
			wantErr: advice + " (" + install + ": exit status 1)",
			wantRan: []string{install, update, install},
		},
		{
			name:    "it gives up when the lists cannot be had",
			in:      imagined{path: apt, root: true, fails: "apt-get"},
			wantErr: advice + " (" + update + ": exit status 1)",
			wantRan: []string{install, update},
		},
		{
			name:    "it says so when the package brought no server",
			in:      imagined{path: map[string]string{"apk": "/sbin/apk"}, root: true},
			wantErr: advice + " (its package was installed, but no initdb was found then)",
			wantRan: []string{"apk add postgresql"},
		},
		{
			name:    "it does not ask for a password",
			in:      imagined{path: apt, fails: "sudo"},
			wantErr: advice + " (to install it takes root, or sudo without a password)",
			wantRan: []string{"sudo -n true"},
		},
		{
			name:    "it says what to do where nothing can be installed",
			in:      imagined{root: true},
			wantErr: advice + " (neither apt-get nor dnf nor apk is here to install it)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.environment().binaries()
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			said := ""
			if err != nil {
				said = err.Error()
			}
			if diff := cmp.Diff(tt.wantErr, said); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.wantRan, tt.in.ran); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// Another process has installed it while this one waited for its turn.
func TestInstallOnce(t *testing.T) {
	in := imagined{path: map[string]string{"apt-get": "/usr/bin/apt-get"}, root: true}
	env := in.environment()
	env.alone = func(do func() error) error {
		in.files = []string{debian15 + "initdb", debian15 + "postgres"}
		return do()
	}
	if _, err := env.binaries(); err != nil || in.ran != nil {
		t.Errorf("got %v and ran %q, want the server that is there", err, in.ran)
	}
}

func TestCheckURL(t *testing.T) {
	for given, good := range map[string]bool{
		"postgres://ada:secret@db:5432/postgres":         true,
		"postgresql://db/postgres?sslmode=verify-full":   true,
		"host=db user=ada":                               false,
		"mysql://db/":                                    false,
		"postgres://ada:secret@db:many/postgres?x=%zz\n": false,
	} {
		err := checkURL(given)
		if (err == nil) != good {
			t.Errorf("%s: got %v", given, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestWithDatabase(t *testing.T) {
	const want = "postgres://ada:s%2Fecret@db:5432/other?sslmode=disable"
	if got := withDatabase("postgres://ada:s%2Fecret@db:5432/postgres?sslmode=disable", "other"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
