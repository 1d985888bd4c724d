package vector

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"
)

// embedder makes the vector of a text. Equal texts have equal vectors.
type embedder interface {
	embed(ctx context.Context, text string) ([]float32, error)

	// model names what makes the vectors: those of two models say nothing about
	// one another.
	model() string
	dimensions() int
}

// hashed makes vectors of the words in a text, and of the threes of letters in
// them: each counts in one of 512 places that its hash chooses. So texts are alike
// when they share words, or words that are written alike. It knows nothing of what
// words mean: "car" and "automobile" have nothing in common. In return it needs no
// network and no model, and never changes.
type hashed struct{}

const (
	hashedDimensions = 512
	wordWeight       = 2 // of a whole word, beside its threes of letters
)

func (hashed) model() string   { return "hashed-1" }
func (hashed) dimensions() int { return hashedDimensions }

func (hashed) embed(_ context.Context, text string) ([]float32, error) {
	counts := make(map[string]float64)
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, word := range words {
		counts["w"+word] += wordWeight
		letters := []rune("^" + word + "$")
		for i := 0; i+3 <= len(letters); i++ {
			counts["g"+string(letters[i:i+3])]++
		}
	}
	sum := make([]float64, hashedDimensions)
	for feature, n := range counts {
		h := fnv.New64a()
		_, _ = h.Write([]byte(feature)) // never fails
		place := h.Sum64()
		weight := 1 + math.Log(n) // a word that comes often says little more than once
		if place>>63 == 1 {       // features that meet in one place cancel out as often as they add up
			weight = -weight
		}
		sum[place%hashedDimensions] += weight
	}
	return normal(sum), nil
}

// normal returns a vector of length 1, or of zeros when there is nothing to it.
func normal[F float32 | float64](v []F) []float32 {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	to := make([]float32, len(v))
	if square == 0 {
		return to
	}
	for i, x := range v {
		to[i] = float32(float64(x) / math.Sqrt(square))
	}
	return to
}

// similarity of two vectors of length 1: 1 for equal directions, 0 for nothing in
// common.
func similarity(a, b []float32) float64 {
	var sum float64
	for i := range min(len(a), len(b)) {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
