//go:build !unix

package process

import (
	"os"
	"syscall"
)

// Descriptors cannot be handed to a child here, so that Start always fails; the
// rest is there to compile.
const maxSocketPath = 103

func execPath(_ int, path string) string { return path }

func awaitExit(int) {}

func changeTime(os.FileInfo) int64 { return 0 }

func usage(int) Usage { return Usage{} }

func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(int, syscall.Signal) {}

func lockDir(*os.File) error { return nil }

func owned(os.FileInfo) bool { return true }
