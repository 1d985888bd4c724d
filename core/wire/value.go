package wire

import "github.com/go-json-experiment/json"

// Value returns what is part of a frame, or of several, as frames have it: times
// with three decimals, priorities as words.
func Value(v any) ([]byte, error) { return json.Marshal(v, writeOptions) }
