package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
)

// keyName is the file of the generated key in the data directory.
const keyName = "encryption.key"

// errKeyMissing is the cause when secrets were sealed and the key is not here.
var errKeyMissing = errors.New("no key")

// keyFile reads the generated key, and makes it when it is missing and nothing
// was sealed yet. Of several processes that make one at the same time, all use
// the first one's.
func keyFile(dir string, create bool) (*identity.AtRest, error) {
	path := filepath.Join(dir, keyName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, &core.Error{
				Code: "encryption_key", Err: errKeyMissing, Message: path + " is missing, and secrets in the store are sealed with it: " +
					"restore the file, or set BROKER_ENCRYPTION_KEY to what it held",
			}
		}
		key := make([]byte, identity.AtRestKeySize)
		rand.Read(key) // never fails: it ends the process instead
		err = writeNew(path, []byte(hex.EncodeToString(key)+"\n"))
		if err == nil || errors.Is(err, fs.ErrExist) {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	keys, err := identity.ParseAtRest(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// writeNew makes a file for its owner only, whole or not at all, and never over
// one that exists: then the error is fs.ErrExist.
func writeNew(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // at worst an empty file stays
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
