package scaffold

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// sdkModule is the module that has the SDK.
const sdkModule = "github.com/claudemesh/broker"

// values are what templates may use.
type values struct {
	Name       string
	Kind       string // empty: it judges
	Program    string // absolute path
	Module     string
	Go         string // version
	SDKModule  string
	SDKVersion string
	SDK        string   // directory; empty: a release
	Indirect   []string // what the SDK requires, when its directory is known

	sums []byte // of go.sum; nil: none is known
}

func (o Options) values(program string) (v values, err error) {
	v = values{
		Name: o.Name, Kind: o.Kind, Program: program, Module: o.Module, Go: strings.TrimPrefix(strings.Fields(runtime.Version())[0], "go"),
		SDKModule: sdkModule, SDKVersion: o.Version,
	}
	if v.Module == "" {
		v.Module = "example.com/" + o.Name
	}
	if v.SDKVersion == "" {
		v.SDKVersion = "v0.0.0"
	}
	if o.SDK == "" {
		return v, nil
	}
	if v.SDK, err = filepath.Abs(o.SDK); err != nil {
		return v, err
	}
	return v, v.requireAs(v.SDK)
}

// requireAs takes over what the module in a directory requires, so that nothing
// has to be looked up before the first build.
func (v *values) requireAs(dir string) error {
	path := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--sdk is the directory of the broker's sources: %w", err)
	}
	if !v.readModule(string(text)) {
		return fmt.Errorf("--sdk is the directory of the broker's sources, and %s is of another module than %s", path, sdkModule)
	}
	v.sums, err = os.ReadFile(filepath.Join(dir, "go.sum"))
	return err
}

// readModule reads a go.mod in the form that the go command gives it. It reports
// whether the module is the SDK's.
func (v *values) readModule(text string) (ours bool) {
	block := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		if block != "" {
			words = append([]string{block}, words...)
		}
		switch {
		case len(words) == 2 && words[1] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case len(words) == 2 && words[0] == "module":
			ours = words[1] == sdkModule
		case len(words) == 2 && words[0] == "go":
			v.Go = words[1]
		case len(words) == 3 && words[0] == "require":
			v.Indirect = append(v.Indirect, words[1]+" "+words[2])
		}
	}
	return ours
}
