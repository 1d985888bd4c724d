package config

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/providers/structs"

	"github.com/claudemesh/broker/core/nearest"
)

// The layers, in the order in which they are put over each other.

func (l *loader) defaults() error {
	return l.layers.Load(structs.Provider(Default(), "koanf"), nil)
}

func (l *loader) file() error {
	if l.Path == "" && l.File == nil {
		l.Path = l.environ[ConfigVariable]
	}
	data := l.File
	if data == nil {
		if l.Path == "" {
			return nil
		}
		var err error
		if data, err = readFile(l.Path); err != nil {
			l.add(Origin{Source: FromFile, Name: l.Path}, "", "cannot be read: %s", err)
			return nil
		}
	}
	return l.layers.Load(rawbytes.Provider(data), fileParser{l.checker, l.Path})
}

// originals reads the variables that have names of their own.
func (l *loader) originals() error {
	values := map[string]any{}
	for _, v := range Environment() {
		text, set := l.environ[v.Name]
		if !set || v.Effect == Foreign {
			continue
		}
		if v.Effect == Later {
			l.warnings = append(l.warnings, v.Name+" has no effect yet: "+v.Meaning+" is not built")
			continue
		}
		at := Origin{Source: FromEnvironment, Name: v.Name}
		if v.form != nil {
			var err error
			if text, err = v.form(text); err != nil {
				l.add(at, v.Key, "%s", err)
				continue
			}
		}
		if v.Key == "pipeline" {
			l.legacy, l.legacyAt = text, at
		} else if value, ok := l.set(v.Key, text, at); ok {
			values[v.Key] = value
		}
	}
	return l.layers.Load(confmap.Provider(values, "."), nil)
}

// variables reads the variables that are made of keys.
func (l *loader) variables() error {
	var own []string
	for _, name := range slices.Sorted(maps.Keys(l.environ)) {
		own = append(own, name+"="+l.environ[name])
	}
	return l.layers.Load(env.Provider(".", env.Opt{
		Prefix:        Prefix,
		EnvironFunc:   func() []string { return own },
		TransformFunc: l.variable,
	}), nil)
}

// variable returns the key and the value of one variable. An empty key has
// koanf leave it out.
func (l *loader) variable(name, text string) (string, any) {
	table := Environment()
	if slices.ContainsFunc(table, func(v Variable) bool { return v.Name == name }) {
		return "", nil // read by its own name
	}
	at := Origin{Source: FromEnvironment, Name: name}
	key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, Prefix), "__", "."))
	if VariableName(key) != name || !slices.Contains(l.keys(), key) {
		known := []string{ConfigVariable}
		for _, k := range l.keys() {
			known = append(known, VariableName(k))
		}
		l.add(at, "", "unknown variable%s", hint(nearest.Of(name, known),
			"the broker's own are "+Prefix+" and a key in upper case, with __ between section and key"))
		return "", nil
	}
	if earlier := l.places[key].value; earlier.Source == FromEnvironment {
		l.warnings = append(l.warnings, earlier.Name+" has no effect, because "+name+" sets "+key+" too")
	}
	value, ok := l.set(key, text, at)
	if !ok {
		return "", nil
	}
	return key, value
}

// overrides reads the command line.
func (l *loader) overrides() error {
	values := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(l.Overrides)) {
		at := Origin{Source: FromFlag, Name: strings.ReplaceAll(key, "_", "-")}
		if value, ok := l.set(key, l.Overrides[key], at); ok {
			values[key] = value
		}
	}
	return l.layers.Load(confmap.Provider(values, "."), nil)
}

// readFile reads at most one byte more than a file may have. Its error names
// no path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close() //nolint:errcheck // only read
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1)); err == nil {
			return data, nil
		}
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return nil, err
}

// fileParser is koanf's parser for the file. It hands koanf what is good, each
// value in its type, and keeps what is not as problems.
type fileParser struct {
	checker
	name string
}

// Unmarshal never fails: see the checker's problems.
func (p fileParser) Unmarshal(data []byte) (map[string]any, error) {
	root := parseYAML(data, p.name, p.report)
	if root == nil {
		return map[string]any{}, nil
	}
	values, ok := p.section(root, p.root, "")
	if !ok {
		return map[string]any{}, nil
	}
	if links, ok := values["pipeline"].([]any); ok {
		for _, link := range links {
			complete(link.(map[string]any))
		}
	}
	return values, nil
}

// Marshal is the other half of koanf's interface.
func (p fileParser) Marshal(values map[string]any) ([]byte, error) { return yaml.Marshal(values) }

// layer makes the map of a struct that koanf would.
func layer(s any) map[string]any {
	values, err := structs.Provider(s, "koanf").Read()
	if err != nil {
		panic("config: " + err.Error()) // it only ever fails with a delimiter
	}
	return values
}
