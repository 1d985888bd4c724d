package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Depth returns how deep a value nests, 0 for one that is no object and no list.
func Depth(v jsontext.Value) (most int) {
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return most
		}
		most = max(most, dec.StackDepth())
	}
}
