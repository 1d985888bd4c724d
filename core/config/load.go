package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// Options are what [Load] works from. It reads nothing else: no environment of
// its own, no file but the one named.
type Options struct {
	// Path of the file. Empty: the variable CLAUDEMESH_CONFIG names it, and
	// without that there is no file.
	Path string

	// File, when not nil, stands in for what the file holds. Path is then only
	// its name.
	File []byte

	// Environ is the environment as os.Environ gives it. An empty variable
	// counts as one that is not set.
	Environ []string

	// Overrides are keys, such as limits.window, with their text from the
	// command line. They win over everything else.
	Overrides map[string]string

	// Builtins are the stages that a link may name. Nil: any name will do.
	Builtins []Builtin
}

// Loaded is a configuration, and where each value of it was set.
type Loaded struct {
	Config Config

	// File is the path that was read; empty when there was none.
	File string

	// Warnings are sentences for the operator about what has no effect, or
	// not the one that one might think.
	Warnings []string

	places map[string]place
}

// Origin returns where a key, such as limits.window, was set.
func (l *Loaded) Origin(key string) Origin { return l.places[key].value }

// Load puts the layers over each other: defaults, file, environment,
// overrides. Sections are merged key by key, lists are replaced as a whole.
//
// The error is a [Problems] when the operator has something to mend, and lists
// all of it.
func Load(o Options) (*Loaded, error) {
	l := &loader{
		Options: o,
		checker: checker{newReport(), reflect.TypeFor[Config]()},
		layers:  koanf.New("."),
		environ: environment(o.Environ),
	}
	for _, load := range []func() error{l.defaults, l.file, l.originals, l.variables, l.overrides} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	// All values have their types by now, so that what is left to find here is
	// a mistake of this package.
	var c Config
	if err := l.layers.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: strict()}); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	l.finish(&c)
	l.validate(&c)
	if err := l.err(); err != nil {
		return nil, err
	}
	l.warn(&c)
	return &Loaded{Config: c, File: l.Path, Warnings: l.warnings, places: l.places}, nil
}

// strict is how maps become structs here: nothing unknown, nothing converted.
func strict() *mapstructure.DecoderConfig {
	return &mapstructure.DecoderConfig{TagName: "koanf", ErrorUnused: true, ZeroFields: true}
}

// loader is the state of one Load.
type loader struct {
	Options
	checker
	layers   *koanf.Koanf
	environ  map[string]string
	warnings []string

	// What BROKER_LEGACY_AUTH says. It has no key: it changes a link, wherever
	// that stands.
	legacy   string
	legacyAt Origin
}

// set reads the text of a variable or a flag as the key's type.
func (l *loader) set(key, text string, at Origin) (any, bool) {
	f, ok := lookup(l.root, key)
	if !ok {
		l.add(at, key, "unknown key%s", didYouMean(key, l.keys()))
		return nil, false
	}
	v, ok := l.value(textNode(text, at), f, key)
	if ok {
		l.places[key] = place{at, at}
	}
	return v, ok
}

// keys returns every key that takes a value.
func (l *loader) keys() []string {
	var keys []string
	for key := range leaves(l.root) {
		keys = append(keys, key)
	}
	return keys
}

// environment makes a map of what os.Environ gives. Spaces around a value are
// cut: a key read from a file into a variable often ends with a line break.
func environment(environ []string) map[string]string {
	m := map[string]string{}
	for _, line := range environ {
		name, text, ok := strings.Cut(line, "=")
		if text = strings.TrimSpace(text); ok && text != "" {
			m[name] = text
		}
	}
	return m
}
