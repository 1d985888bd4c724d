package reload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/claudemesh/broker/core/config"
)

// readBytes is how much of a config is kept in memory: more than [config.Load]
// takes, so that it refuses what is cut here.
const readBytes = 2 << 20

// ReadFile puts the content of the config file into o.File, for [config.Load],
// so that the SHA-256 that it returns is that of what is loaded. A file that
// cannot be read is left to Load, which says why. One that can be read only once,
// such as a pipe, has a sum and no path: nobody can watch it.
func ReadFile(o *config.Options) Loaded {
	path := o.Path
	for _, line := range o.Environ {
		if text, ok := strings.CutPrefix(line, config.ConfigVariable+"="); ok && o.Path == "" {
			path = strings.TrimSpace(text)
		}
	}
	if path == "" || o.File != nil {
		return Loaded{}
	}
	l := Loaded{File: path}
	if absolute, err := filepath.Abs(path); err == nil {
		l.File = absolute
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		l.File = ""
	}
	if data, sum, err := readAll(path); err == nil {
		o.Path, o.File, l.SHA256 = path, data, sum
	}
	return l
}

// readAll returns the beginning of a file, and the sum of all of it.
func readAll(path string) (data []byte, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close() //nolint:errcheck // only read
	h, begin := sha256.New(), bytes.NewBuffer([]byte{})
	if _, err := io.Copy(io.MultiWriter(h, begin), io.LimitReader(f, readBytes)); err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(h, f); err != nil {
		return nil, "", err
	}
	return begin.Bytes(), hex.EncodeToString(h.Sum(nil)), nil
}
