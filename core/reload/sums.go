package reload

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/claudemesh/broker/core/config"
)

// sums are the files that matter, by absolute path, with the SHA-256 of their
// content in hex; empty for one that cannot be read. A sums in use never
// changes.
type sums map[string]string

// filesOf returns the file of a config and the programs that it names.
func filesOf(l Loaded) sums {
	s := sums{}
	for _, link := range l.Config.Pipeline {
		if path := programOf(link); path != "" {
			s[path] = sumOf(path)
		}
	}
	if l.File != "" {
		s[l.File] = l.SHA256
	}
	return s
}

// programOf returns the path of the program that a link starts; empty when it
// starts none.
func programOf(l config.Link) string {
	if !l.Enabled || l.Plugin == nil || l.Plugin.Path == "" {
		return ""
	}
	path, err := filepath.Abs(l.Plugin.Path)
	if err != nil {
		return l.Plugin.Path
	}
	return path
}

// sumOf hashes a file; empty when it cannot be read, or is none.
func sumOf(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// changed reports whether a file differs from what the last load read.
func (r *Reloader) changed() bool {
	tried := r.lastTried()
	for path, sum := range tried {
		if sumOf(path) != sum {
			return true
		}
	}
	return false
}

func (r *Reloader) lastTried() sums {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

// missing reports whether a file that last could be read is gone from s.
func (s sums) missing(before sums) bool {
	for path, sum := range before {
		if sum != "" && s[path] == "" {
			return true
		}
	}
	return false
}

func (s sums) equal(o sums) bool { return maps.Equal(s, o) }
