//go:build !race

package main

// raceDetector says that this program has no race detector.
const raceDetector = false
