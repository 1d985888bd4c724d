package wire

import (
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Patch is a field of a request that changes only what it names. An absent key
// leaves the thing as it is, null clears it, a value sets it.
type Patch[T any] struct {
	Given bool // the key is there
	Value *T   // nil for null
}

// Set returns a patch that sets v.
func Set[T any](v T) Patch[T] { return Patch[T]{Given: true, Value: &v} }

// Clear returns a patch that clears.
func Clear[T any]() Patch[T] { return Patch[T]{Given: true} }

// Apply changes dst as the patch says.
func (p Patch[T]) Apply(dst **T) {
	if p.Given {
		*dst = p.Value
	}
}

// IsZero reports whether the key is absent; it makes omitzero leave it out.
func (p Patch[T]) IsZero() bool { return !p.Given }

// MarshalJSONTo writes the value or null.
func (p Patch[T]) MarshalJSONTo(enc *jsontext.Encoder) error { return json.MarshalEncode(enc, p.Value) }

// MarshalJSON is [Patch.MarshalJSONTo] for encoding/json, which answers HTTP.
func (p Patch[T]) MarshalJSON() ([]byte, error) { return json.Marshal(p.Value) }

// UnmarshalJSONFrom reads a value or null.
func (p *Patch[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	p.Given = true
	return json.UnmarshalDecode(dec, &p.Value)
}

// patch is any Patch.
type patch interface{ value() reflect.Value }

func (p Patch[T]) value() reflect.Value { return reflect.ValueOf(p.Value) }
