package main

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/reload"
	"github.com/claudemesh/broker/stages"
)

// settings are the flags that choose a configuration, and with it a store. All
// commands have them.
type settings struct {
	file, dataDir string
	set           []string
	more          map[string]string // of the command's own flags, by key
}

func (s *settings) addTo(f *pflag.FlagSet) {
	f.StringVar(&s.file, "config", "", "config file (default: $"+config.ConfigVariable+", else none)")
	f.StringVar(&s.dataDir, "data-dir", "", "directory of the store and the control socket (default: the config's data_dir)")
	f.StringArrayVar(&s.set, "set", nil, "set one key of the config, as --set limits.window=64; may be repeated")
}

// place returns the flag, with a space before it, by which another command finds
// the broker that was started with these; empty when it needs none.
func (s *settings) place(c config.Config) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-", r)
	}
	switch {
	case s.dataDir == "" && s.file == "" && len(s.set) == 0:
		return ""
	case strings.ContainsFunc(c.DataDir, func(r rune) bool { return !plain(r) }):
		return " --data-dir '" + strings.ReplaceAll(c.DataDir, "'", `'\''`) + "'"
	}
	return " --data-dir " + c.DataDir
}

// options are what config.Load works from.
func (p *program) options() (config.Options, error) {
	s := &p.settings
	o := config.Options{
		Path: s.file, Environ: p.environ, Overrides: map[string]string{},
		Builtins: stages.Builtins(stages.All(stages.Deps{})),
	}
	for _, pair := range s.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return o, usageError{"--set takes key=value, as --set limits.window=64; got " + quoted(pair)}
		}
		o.Overrides[key] = value
	}
	maps.Copy(o.Overrides, s.more)
	if s.dataDir != "" {
		o.Overrides["data_dir"] = s.dataDir
	}
	return o, nil
}

// load reads the configuration, as serve does: all of it has to be right.
func (p *program) load() (*config.Loaded, error) {
	o, err := p.options()
	if err != nil {
		return nil, err
	}
	return loadFrom(o)
}

func loadFrom(o config.Options) (*config.Loaded, error) {
	loaded, err := config.Load(o)
	if err != nil {
		return nil, err
	}
	if loaded.Config.DataDir, err = filepath.Abs(loaded.Config.DataDir); err != nil {
		return nil, err
	}
	return loaded, nil
}

// loadToServe is load with what the program knows of itself, and with which file
// it was that it read.
func (p *program) loadToServe() (reload.Loaded, error) {
	o, err := p.options()
	if err != nil {
		return reload.Loaded{}, err
	}
	l := reload.ReadFile(&o)
	loaded, err := loadFrom(o)
	if err != nil {
		return l, err
	}
	l.Config, l.Warnings = loaded.Config, loaded.Warnings
	if l.Config.GitSHA == "" {
		l.Config.GitSHA = commit()
	}
	return l, nil
}

// loadForCommand reads the configuration for a command that may find a running
// broker. A production key is then not needed, and often not at hand: the
// service manager gives it to the broker alone.
func (p *program) loadForCommand() (*config.Loaded, error) {
	o, err := p.options()
	if err != nil {
		return nil, err
	}
	return loadKeyless(o)
}

// loadKeyless is loadFrom without a production key, which is then empty.
func loadKeyless(o config.Options) (*config.Loaded, error) {
	loaded, err := loadFrom(o)
	if !onlyKeyMissing(err) {
		return loaded, err
	}
	o.Overrides[keyOfKey] = strings.Repeat("1", 64)
	if loaded, err = loadFrom(o); err == nil {
		loaded.Config.EncryptionKey = ""
	}
	return loaded, err
}

// keyOfKey is the config's name for the key that seals secrets.
const keyOfKey = "encryption_key"

// onlyKeyMissing reports whether a config is right but for its key.
func onlyKeyMissing(err error) bool {
	var problems config.Problems
	return errors.As(err, &problems) && len(problems) == 1 && problems[0].Key == keyOfKey
}
