package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
)

const head = "# Made from the route table in core/api. Change it there; refresh this with: go test ./core/api/openapi -update\n"

// order is how the document begins; what follows in YAML is in the order of
// names.
var order = []string{"openapi", "info", "servers", "tags", "paths", "components"}

// YAML writes a document, always in the same way.
func YAML(doc *openapi3.T) ([]byte, error) {
	parts, err := doc.MarshalYAML()
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	named, ok := parts.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("describe: got %T", parts)
	}
	var list yaml.MapSlice
	for _, name := range order {
		plain, err := plainOf(named[name])
		if err != nil {
			return nil, err
		}
		list = append(list, yaml.MapItem{Key: name, Value: plain})
	}
	var b bytes.Buffer
	b.WriteString(head)
	if err := yaml.NewEncoder(&b, yaml.Indent(2), yaml.UseLiteralStyleIfMultiline(true)).Encode(list); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return b.Bytes(), nil
}

// plainOf makes maps, lists and values of anything with a JSON form.
func plainOf(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return whole(plain), nil
}

// whole makes the numbers in a value integers, which all of ours are.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
	}
	return v
}
