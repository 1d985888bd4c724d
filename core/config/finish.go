package config

import (
	"path/filepath"
	"strconv"
	"strings"
)

// finish works out what is not a matter of one layer.
func (l *loader) finish(c *Config) {
	for i := range c.Pipeline {
		link := &c.Pipeline[i]
		link.key, link.places = index("pipeline", i), l.places
		if link.Plugin != nil {
			link.Plugin.Path = l.beside(link.Plugin.Path, link.key+".plugin.path")
		}
	}
	c.DataDir = l.beside(c.DataDir, "data_dir")
	c.Files.Dir = l.beside(c.Files.Dir, "files.dir")
	if c.DataDir == "" {
		c.DataDir = dataDir(l.environ)
	}
	if l.legacy != "" {
		l.switchLegacyAuth(c)
	}
}

// switchLegacyAuth does what BROKER_LEGACY_AUTH says.
func (l *loader) switchLegacyAuth(c *Config) {
	on, found := l.legacy == strconv.FormatBool(true), false
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == legacyAuth {
			c.Pipeline[i].Enabled, found = on, true
			l.places[c.Pipeline[i].key+".enabled"] = place{l.legacyAt, l.legacyAt}
		}
	}
	if on && !found && !l.bad["pipeline"] {
		l.add(l.legacyAt, "pipeline", "has no link %s to enable; list it behind auth", legacyAuth)
	}
}

// beside makes a path in the file independent of where the broker is started:
// it counts from the file's own directory. Paths from elsewhere are left alone.
func (l *loader) beside(path, key string) string {
	if path == "" || filepath.IsAbs(path) || path[0] == '~' || l.Path == "" || l.places[key].value.Source != FromFile {
		return path
	}
	path = filepath.Join(filepath.Dir(l.Path), path)
	if !strings.ContainsRune(path, filepath.Separator) {
		path = "." + string(filepath.Separator) + path // a bare name would be searched for in PATH
	}
	return path
}

// dataDir is where a user's programs keep their data by the XDG convention, so
// that every command finds the same store wherever it is started.
func dataDir(environ map[string]string) string {
	if dir := environ["XDG_DATA_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "claudemesh-broker")
	}
	if home := environ["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "claudemesh-broker")
	}
	return "./data"
}
