package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
)

// trial is a program that is tried without being in a config.
type trial struct {
	path    string
	args    []string
	stage   string   // empty: each that the program has
	options string   // JSON, or @ and the name of a file; empty: the stage's example
	grants  []string // nil: what the stage asks for
	env     []string
}

func (t *trial) addTo(f *pflag.FlagSet) {
	f.StringVar(&t.stage, "stage", "", "which of the program's stages (default: all of them)")
	f.StringVar(&t.options, "options", "", "options of the stage, as JSON or as @FILE (default: the stage's example)")
	f.StringSliceVar(&t.grants, "grants", nil, "capabilities to grant (default: those that the stage asks for)")
	f.StringSliceVar(&t.env, "env", nil, "names of environment variables to pass on beside those that the stage needs, as PATH for a script")
}

// program takes the command's words: the program and its arguments.
func (t *trial) program(words []string) error {
	t.path, t.args = words[0], words[1:]
	if t.options == "" {
		return nil
	}
	text := []byte(t.options)
	if file, ok := strings.CutPrefix(t.options, "@"); ok {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return usageError{"--options takes a JSON object, as --options '{\"burst\": 3}', or @FILE with one"}
	}
	t.options = string(text)
	return nil
}

// launch starts the program, to learn what it is.
func (t *trial) launch(ctx context.Context, h *pluginhost.Host) (*pluginhost.Probed, error) {
	link, err := t.load("plugin", pluginhost.Info{Judges: true}, []byte("{}"))
	if err != nil {
		return nil, err
	}
	return h.Launch(ctx, link)
}

// stages returns which of the program's stages are meant.
func (t *trial) stages(p *pluginhost.Program) ([]pluginhost.Info, error) {
	if t.stage == "" {
		if len(p.Stages) > 1 && t.options != "" {
			return nil, usageError{"--options needs --stage: the program has " + stageNames(p)}
		}
		if len(p.Stages) == 0 {
			return nil, errors.New("the program describes no stage: Describe has to list one at least")
		}
		return p.Stages, nil
	}
	for _, info := range p.Stages {
		if info.Name == t.stage {
			return []pluginhost.Info{info}, nil
		}
	}
	return nil, fmt.Errorf("the program has no stage %s; it has %s", quoted(t.stage), stageNames(p))
}

func stageNames(p *pluginhost.Program) string {
	var names []string
	for _, info := range p.Stages {
		names = append(names, info.Name)
	}
	return strings.Join(names, ", ")
}

// optionsFor are the options to run a stage with.
func (t *trial) optionsFor(info pluginhost.Info) []byte {
	switch {
	case t.options != "":
		return []byte(t.options)
	case len(info.Example) > 0:
		return info.Example
	default:
		return []byte("{}")
	}
}

// snippet is the link of a stage, as it stands in a config below pipeline.
func (t *trial) snippet(path, name string, info pluginhost.Info, options []byte) ([]byte, error) {
	plugin := yaml.MapSlice{{Key: "path", Value: path}}
	if len(t.args) > 0 {
		plugin = append(plugin, yaml.MapItem{Key: "args", Value: t.args})
	}
	if env := t.envFor(info); len(env) > 0 {
		plugin = append(plugin, yaml.MapItem{Key: "env", Value: env})
	}
	if role := roleOf(info); role != config.Gate {
		plugin = append(plugin, yaml.MapItem{Key: "role", Value: string(role)})
		if role == config.Owner {
			plugin = append(plugin, yaml.MapItem{Key: "kinds", Value: kindNames(info)})
		}
	}
	if grants := t.grantsFor(info); len(grants) > 0 {
		plugin = append(plugin, yaml.MapItem{Key: "grants", Value: grants})
	}
	link := yaml.MapSlice{{Key: "stage", Value: name}, {Key: "plugin", Value: plugin}}
	var with yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(options, &with, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("the options %s: %w", options, err)
	}
	if len(with) > 0 {
		link = append(link, yaml.MapItem{Key: "with", Value: with})
	}
	text, err := yaml.MarshalWithOptions(yaml.MapSlice{{Key: "pipeline", Value: []yaml.MapSlice{link}}}, yaml.IndentSequence(true))
	_, text, _ = bytes.Cut(text, []byte("\n")) // without the key, indented as below it
	return text, err
}

// roleOf is what a stage is tried as: a gate if it judges, else what it can be.
func roleOf(info pluginhost.Info) config.PluginRole {
	switch {
	case info.Judges:
		return config.Gate
	case info.Observes:
		return config.Observer
	case len(info.Kinds) > 0:
		return config.Owner
	default:
		return config.Observer
	}
}

func kindNames(info pluginhost.Info) (names []string) {
	for _, k := range info.Kinds {
		names = append(names, k.Name)
	}
	return names
}

// grantsFor are the grants to run a stage with.
func (t *trial) grantsFor(info pluginhost.Info) []string {
	if t.grants != nil {
		return t.grants
	}
	return slices.Clone(info.Capabilities)
}

// envFor are the variables to pass on: those given, and those that the stage
// cannot do without.
func (t *trial) envFor(info pluginhost.Info) []string {
	env := slices.Clone(t.env)
	for _, name := range info.Environment {
		if !slices.Contains(env, name) {
			env = append(env, name)
		}
	}
	return env
}

// load makes the link that the snippet describes, by the config's own rules and
// with its defaults.
func (t *trial) load(name string, info pluginhost.Info, options []byte) (config.Link, error) {
	path, err := filepath.Abs(t.path)
	if err != nil {
		return config.Link{}, err
	}
	text, err := t.snippet(path, name, info, options)
	if err != nil {
		return config.Link{}, err
	}
	loaded, err := config.Load(config.Options{File: append([]byte("insecure: true\npipeline:\n"), text...)})
	if err != nil {
		return config.Link{}, err
	}
	return loaded.Config.Pipeline[0], nil
}
