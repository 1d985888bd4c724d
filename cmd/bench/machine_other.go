//go:build !linux

package main

import (
	"errors"
	"time"
)

// pin is for Linux only.
func pin(int, []string) error {
	return errors.New("processes can be pinned to cores on Linux only: use --server-cpu -1 --load-cpu -1 --database-cpu -1")
}

// confine is for Linux only.
func confine(int, int) error { return pin(0, nil) }

// nap sleeps.
func nap(d time.Duration) { time.Sleep(d) }
