package telemetry

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Tally counts events by a word of a list that is known beforehand, so that each
// word is there with 0 before its first event, and nobody outside adds one. A nil
// Tally counts nothing. Methods may be called concurrently.
type Tally struct {
	words  []string
	counts []atomic.Int64
}

// NewTally returns a tally of these words. The last one is for whatever is none of
// them.
func NewTally(words ...string) *Tally {
	return &Tally{words: words, counts: make([]atomic.Int64, len(words))}
}

// Add counts one event.
func (t *Tally) Add(word string) {
	if t == nil {
		return
	}
	i := slices.Index(t.words, word)
	if i < 0 {
		i = len(t.words) - 1
	}
	t.counts[i].Add(1)
}

// Count returns how often a word was counted.
func (t *Tally) Count(word string) int64 {
	if t == nil {
		return 0
	}
	if i := slices.Index(t.words, word); i >= 0 {
		return t.counts[i].Load()
	}
	return 0
}

// Words lists the words for who reads the documentation.
func (t *Tally) Words() string {
	if t == nil {
		return ""
	}
	return strings.Join(t.words, ", ")
}

// Samples returns a sample for each word. of are the values of the labels before it.
func (t *Tally) Samples(of ...string) []Sample {
	if t == nil {
		return nil
	}
	samples := make([]Sample, len(t.words))
	for i, word := range t.words {
		samples[i] = Sample{Values: append(slices.Clone(of), word), Value: float64(t.counts[i].Load())}
	}
	return samples
}
