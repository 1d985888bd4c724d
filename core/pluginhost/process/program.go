package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Program is the file of a plugin, held open from the check to the last life
// that is started from it. A file that is put in its place by renaming is
// therefore seen only by the next Open, and what the first lives ran is also
// what later ones run.
//
// Safe for concurrent use, but for Close.
type Program struct {
	// Set by Open, never changed.
	path string // absolute
	file *os.File
	pin  string // SHA-256 in hex; empty: any content
	hash string // of the content at Open
}

// Open opens the program at path and compares it with pin, the SHA-256 of the
// whole file in hex; "sha256:" before it is allowed. An empty pin accepts any
// content. The caller closes the Program after the last Start.
func Open(path, pin string) (*Program, error) {
	pin, err := parsePin(pin)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", path, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("plugin %s: %w", path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	p := &Program{path: path, file: file, pin: pin}
	if err := p.inspect(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("plugin %s %w", path, err)
	}
	return p, nil
}

// Path returns the absolute path that was opened.
func (p *Program) Path() string { return p.path }

// Hash returns the SHA-256, in hex, of what the file held when it was opened.
func (p *Program) Hash() string { return p.hash }

// Close closes the file. Lives that run go on.
func (p *Program) Close() error { return p.file.Close() }

// inspect checks what can be known without running the file.
func (p *Program) inspect() error {
	info, err := p.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("cannot be looked at: %w", err)
	case !info.Mode().IsRegular():
		return errors.New("is not a file")
	case info.Mode().Perm()&0o111 == 0:
		return errors.New("is not executable; chmod +x makes it so")
	}
	if p.hash, err = p.sum(); err != nil {
		return err
	}
	return p.compare(p.hash)
}

// verified is what a check just before a start found.
type verified struct {
	info os.FileInfo // from before the content was read; nil without a pin
	err  error
}

// verify hashes the descriptor anew when there is a pin. It costs about 1 ms
// for each megabyte.
func (p *Program) verify() verified {
	if p.pin == "" {
		return verified{}
	}
	info, err := p.file.Stat()
	if err != nil {
		return verified{err: err}
	}
	hash, err := p.sum()
	if err != nil {
		return verified{err: err}
	}
	return verified{info: info, err: p.compare(hash)}
}

func (p *Program) compare(hash string) error {
	if p.pin == "" || p.pin == hash {
		return nil
	}
	return fmt.Errorf("has SHA-256 %s, the config wants %s; if the change is meant, run broker plugin pin", hash, p.pin)
}

// sum reads the file without moving its offset, so that several may.
func (p *Program) sum() (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(p.file, 0, math.MaxInt64)); err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unchanged reports whether nobody has written to the file since before was
// taken, as far as its times can tell. Anything is fine without a pin.
func (p *Program) unchanged(before os.FileInfo) bool {
	if before == nil {
		return true
	}
	now, err := p.file.Stat()
	return err == nil && now.Size() == before.Size() && now.ModTime().Equal(before.ModTime()) &&
		changeTime(now) == changeTime(before)
}

func parsePin(pin string) (string, error) {
	pin = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(pin), "sha256:"))
	if pin == "" {
		return "", nil
	}
	if raw, err := hex.DecodeString(pin); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("the config's SHA-256 %q is not %d hex digits", pin, 2*sha256.Size)
	}
	return pin, nil
}
