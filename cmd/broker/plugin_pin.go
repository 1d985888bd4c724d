package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/nearest"
	pluginprocess "github.com/claudemesh/broker/core/pluginhost/process"
)

func (p *program) pluginPinCommand() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "pin [LINK...]",
		Short: "Write the hashes of the plugins' programs into the config file",
		Long: `Computes the SHA-256 of the program of each link that is named, or of every enabled link
with a plugin, and writes it into the config file as plugin.sha256; nothing else of the
file changes. The broker starts no other program then. What is at a link's path is
trusted from here on: look at it first.

An argument with a slash is a program, whose hash is printed; no file is changed.`,
		Example: "  broker plugin pin --config broker.yaml\n" +
			"  broker plugin pin office-hours --config broker.yaml --check\n" +
			"  broker plugin pin ./bin/office-hours",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && !slices.ContainsFunc(args, func(a string) bool { return !strings.Contains(a, "/") }) {
				return p.printHashes(args)
			}
			return p.pin(args, check)
		},
	}
	c.Flags().BoolVar(&check, "check", false, "change nothing; exit with 1 when a hash is missing or another one")
	return c
}

// printHashes prints the hashes of programs, as sha256sum does.
func (p *program) printHashes(paths []string) error {
	for _, path := range paths {
		hash, err := hashOf(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s  %s\n", hash, path)
	}
	return nil
}

// pin writes the pins that differ, or counts them.
func (p *program) pin(names []string, check bool) error {
	f, err := p.readPins()
	if err != nil {
		return err
	}
	links, err := f.choose(names)
	if err != nil {
		return err
	}
	text, differ := f.text, 0
	for _, link := range links {
		hash, err := hashOf(link.Plugin.Path)
		if err != nil {
			return fmt.Errorf("link %s: %w", link.Name, err)
		}
		old := cmp.Or(f.pins[link.Name], "none")
		if old == hash {
			fmt.Fprintf(p.out, "%s: %s, unchanged\n", link.Name, hash)
			continue
		}
		differ++
		fmt.Fprintf(p.out, "%s: %s -> %s\n", link.Name, old, hash)
		if text, err = config.Pin(text, link.Name, hash); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	switch {
	case differ == 0:
		return nil
	case check:
		return fmt.Errorf("%d of %d pins in %s differ from the programs: broker plugin pin writes them, if the change is meant", differ, len(links), f.path)
	}
	return replaceFile(f.path, text)
}

// pinFile is a config file, whatever its pins are.
type pinFile struct {
	path  string
	text  []byte
	links []config.Link     // with a plugin; paths made absolute or relative to here
	pins  map[string]string // by link, as they stand in the file
}

// readPins reads the config without judging its pins, which may be missing or
// nothing but a placeholder.
func (p *program) readPins() (*pinFile, error) {
	o, err := p.options()
	if err != nil {
		return nil, err
	}
	f := &pinFile{path: cmp.Or(o.Path, p.variable(config.ConfigVariable)), pins: map[string]string{}}
	if f.path == "" {
		return nil, usageError{"pins stand in a config file: name it with --config, as broker plugin pin --config broker.yaml"}
	}
	if f.text, err = os.ReadFile(f.path); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if o.File, err = f.placeholders(); err != nil {
		return nil, err
	}
	o.Path = f.path
	o.Overrides[keyOfKey] = strings.Repeat("1", 64) // it has no part in this
	loaded, err := loadFrom(o)
	if err != nil {
		return nil, err
	}
	for _, link := range loaded.Config.Pipeline {
		if link.Plugin != nil {
			f.links = append(f.links, link)
		}
	}
	return f, nil
}

// placeholders notes the pins of the file, and returns its text with one of
// zeros in the place of each. A file that cannot be read so is returned as it
// is: loading it says why.
func (f *pinFile) placeholders() ([]byte, error) {
	var file struct {
		Pipeline []struct {
			Stage, Name string
			Plugin      *struct {
				SHA256 string `yaml:"sha256"`
			}
		}
	}
	if err := yaml.Unmarshal(f.text, &file); err != nil {
		return f.text, nil //nolint:nilerr // the loader reports it, with its place
	}
	text := f.text
	for _, link := range file.Pipeline {
		if link.Plugin == nil {
			continue
		}
		name := cmp.Or(link.Name, link.Stage)
		f.pins[name] = strings.ToLower(link.Plugin.SHA256)
		pinned, err := config.Pin(text, name, strings.Repeat("0", 64))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		text = pinned
	}
	return text, nil
}

// choose returns the links that are named, else those that would be started.
func (f *pinFile) choose(names []string) (links []config.Link, err error) {
	var known []string
	for _, link := range f.links {
		known = append(known, link.Name)
		if len(names) == 0 && link.Enabled || slices.Contains(names, link.Name) {
			links = append(links, link)
		}
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		text := fmt.Sprintf("no link %s of %s has a plugin; those that have one: %s", quoted(name), f.path, cmp.Or(strings.Join(known, ", "), "none"))
		if near := nearest.Of(name, known); near != "" {
			text += "; did you mean " + near + "?"
		}
		return nil, errors.New(text)
	}
	if len(links) == 0 {
		return nil, fmt.Errorf("no enabled link of %s has a plugin, so there is nothing to pin", f.path)
	}
	return links, nil
}

// hashOf is the hash that the broker compares with a pin.
func hashOf(path string) (string, error) {
	program, err := pluginprocess.Open(path, "")
	if err != nil {
		return "", err
	}
	return program.Hash(), program.Close()
}
