//go:build unix && !linux

package process

import "os"

// execPath is the path: there is no name for a descriptor that can be executed.
// A file that is swapped between the check and the start is run.
func execPath(_ int, path string) string { return path }

// awaitExit does not wait; the reaping does.
func awaitExit(int) {}

func changeTime(os.FileInfo) int64 { return 0 }

func usage(int) Usage { return Usage{} }
