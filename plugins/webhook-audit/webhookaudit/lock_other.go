//go:build !unix

package webhookaudit

import "os"

// tryLock only opens the file: this system has no lock that ends with its
// holder. Two links must not share a directory.
func tryLock(path string) (*os.File, bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return f, err == nil, err
}
