// Package scaffold writes the first version of a plugin, in a directory of its
// own, which builds and passes its tests as it is.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/claudemesh/broker/sdk/typescript"
)

//go:embed go owner typescript
var templates embed.FS

// Languages of plugins.
const (
	Go         = "go"
	TypeScript = "typescript"
)

// Options say what is written.
type Options struct {
	Name     string // words with hyphens
	Language string
	Kind     string // type of request that it owns; empty: a stage that judges
	Dir      string // is made; must not exist, or be empty

	Module  string // of the Go module; empty: example.com/ and the name
	SDK     string // directory of the broker's sources, to build against; empty: a release
	Version string // of the release, as in v1.2.0; empty: none is known
}

// Result is what was written.
type Result struct {
	Dir     string
	Files   []string // below Dir
	Program string   // what is built, below Dir
	Link    string   // the entry for the pipeline
	Tidy    bool     // go mod tidy is needed before the first build
}

var (
	names = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	kinds = regexp.MustCompile(`^[a-z][a-z0-9_]{0,56}$`) // with _result, 64
)

// owner is the folder of templates for a plugin that owns a kind, over those of Go.
const owner = "owner"

// Check returns what is wrong with the options.
func (o Options) Check() error {
	switch {
	case !names.MatchString(o.Name):
		return fmt.Errorf("%q is no name of a plugin; write words with hyphens, as in office-hours", o.Name)
	case o.Language != Go && o.Language != TypeScript:
		return fmt.Errorf("there is no template for the language %q; take %s or %s", o.Language, Go, TypeScript)
	case o.Kind != "" && o.Language != Go:
		return errors.New("--kind is for plugins in Go")
	case o.Kind != "" && !kinds.MatchString(o.Kind):
		return fmt.Errorf("%q is no type of request; write words with _, as in note_put", o.Kind)
	case o.Language != Go && (o.Module != "" || o.SDK != ""):
		return errors.New("--module and --sdk are for plugins in Go")
	}
	return nil
}

// Write writes a plugin. It overwrites nothing.
func Write(o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	files, err := o.files()
	if err != nil {
		return nil, err
	}
	if err := freshDir(o.Dir); err != nil {
		return nil, err
	}
	r := &Result{Dir: o.Dir, Program: o.program(), Tidy: o.Language == Go && o.SDK == ""}
	for _, f := range files {
		if err := f.write(o.Dir); err != nil {
			return nil, err
		}
		r.Files = append(r.Files, f.path)
		if f.path == "link.yaml" {
			r.Link = string(f.text)
		}
	}
	return r, nil
}

// freshDir makes the directory, unless it has something in it.
func freshDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o755)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s has files in it, and nothing is overwritten: choose another directory with --dir", dir)
	}
	return nil
}

func (o Options) program() string {
	if o.Language == TypeScript {
		return "dist/" + o.Name
	}
	return "bin/" + o.Name
}

// file is one to write.
type file struct {
	path string // with slashes, below the directory
	text []byte
	mode fs.FileMode
}

func (f file) write(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, f.text, f.mode)
}

// files makes them all, before any is written.
func (o Options) files() ([]file, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	values, err := o.values(filepath.Join(dir, filepath.FromSlash(o.program())))
	if err != nil {
		return nil, err
	}
	list, err := fromTemplates(o.Language, values)
	if err != nil {
		return nil, err
	}
	if o.Kind != "" {
		if list, err = overlay(list, owner, values); err != nil {
			return nil, err
		}
	}
	if o.Language == TypeScript {
		vendored, err := vendorTypeScript()
		return append(list, vendored...), err
	}
	if values.sums != nil {
		list = append(list, file{"go.sum", values.sums, 0o644})
	}
	return list, nil
}

// overlay puts the templates of a folder in the place of files of the same name.
func overlay(list []file, folder string, values any) ([]file, error) {
	over, err := fromTemplates(folder, values)
	for _, f := range over {
		i := slices.IndexFunc(list, func(old file) bool { return old.path == f.path })
		list[i] = f // each has one below
	}
	return list, err
}

// fromTemplates fills in the templates below a folder.
func fromTemplates(folder string, values any) (list []file, err error) {
	err = fs.WalkDir(templates, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := templates.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Option("missingkey=error").Parse(string(raw))
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, values); err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, folder+"/"), ".tmpl")
		if name == "gitignore" {
			name = ".gitignore"
		}
		list = append(list, file{name, text.Bytes(), 0o644})
		return nil
	})
	return list, err
}

// vendorTypeScript copies the SDK into the folder sdk.
func vendorTypeScript() (list []file, err error) {
	err = fs.WalkDir(typescript.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := typescript.Files.ReadFile(path)
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(path, ".mjs") {
			mode = 0o755 // npm links to it as a command
		}
		list = append(list, file{"sdk/" + path, text, mode})
		return err
	})
	return list, err
}
