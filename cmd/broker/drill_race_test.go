//go:build race

package main

// raceDetector says that this program has the race detector, whose memory grows
// with every address that was ever used.
const raceDetector = true
