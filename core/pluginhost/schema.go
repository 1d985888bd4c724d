package pluginhost

import (
	"bytes"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// CompileSchema reads the JSON Schema that a plugin describes its options with:
// draft 2020-12, unless it names another. What it refers to has to be in it: the
// text is the plugin's, and the broker opens no file and no page for it.
func CompileSchema(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	const name = "plugin:///options.json"
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// nothing is where schemas find what they refer to. The drafts of JSON Schema
// itself need no place.
type nothing struct{}

// Load implements [jsonschema.URLLoader].
func (nothing) Load(address string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s; it can use nothing beside itself", address)
}
