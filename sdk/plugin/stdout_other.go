//go:build !unix

package plugin

import "os"

// stealStdout returns standard output, which cannot be turned elsewhere here.
func stealStdout() *os.File { return os.Stdout }

// closeOnExec does nothing: descriptors do not go to children here.
func closeOnExec(int) {}
