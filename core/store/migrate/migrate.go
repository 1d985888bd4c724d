// Package migrate compares the migrations that a store has applied with those
// that this program carries. Each engine applies them and keeps the list.
package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// Migration is one file of SQL.
type Migration struct {
	Version   int64
	Name      string    // of the file
	SHA256    string    // of its text, 64 lower-case hex digits
	AppliedAt time.Time // zero while it is not applied
}

// ErrNewer is wrapped by the error of [Pending] for a store to which a newer
// program has applied more. A program that runs already may go on: migrations
// only add.
var ErrNewer = errors.New("the store is newer than the program")

// Embedded lists the files of one engine that this program has, oldest first.
func Embedded(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	list := make([]Migration, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		sum := sha256.Sum256(text)
		list = append(list, Migration{Version: version, Name: name, SHA256: hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// Pending returns those of ours that a store has yet to apply, oldest first. It
// returns an error unless what it applied, theirs, is how our list begins.
func Pending(ours, theirs []Migration) ([]Migration, error) {
	for i, was := range theirs[:min(len(theirs), len(ours))] {
		is := ours[i]
		if was.Version != is.Version {
			return nil, fmt.Errorf("the store applied migration %s where this program has %s", was.Name, is.Name)
		}
		if was.SHA256 != is.SHA256 {
			return nil, fmt.Errorf("migration %s was changed after this store applied it (SHA-256 then %.12s…, now %.12s…): "+
				"restore the file, and put the change in a new one", is.Name, was.SHA256, is.SHA256)
		}
	}
	if len(theirs) > len(ours) {
		return nil, fmt.Errorf("%w: it is at migration %s, which this program does not have: use a newer program",
			ErrNewer, theirs[len(theirs)-1].Name)
	}
	return ours[len(theirs):], nil
}
