package plugin

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// mostDiagnostics is how many things wrong with options are told at once.
const mostDiagnostics = 32

// OptionError is an error about one option, for Validate and for the function
// that makes the stage. Several go together with errors.Join.
type OptionError struct {
	Path    string // dotted, as in "groups.0.from"
	Message string // what is wrong and what to write
}

func (e *OptionError) Error() string { return e.Path + ": " + e.Message }

// decode reads options over a copy of defaults. Everything that is wrong is
// told at once: what one round finds is taken out for the next.
func decode[O any](options []byte, defaults O) (o O, wrong []*pluginpb.Diagnostic) {
	var tree any
	if len(options) == 0 {
		tree = map[string]any{}
	} else if err := json.Unmarshal(options, &tree); err != nil {
		return defaults, []*pluginpb.Diagnostic{{Message: "the options are no JSON: " + err.Error()}}
	}
	if _, ok := tree.(map[string]any); !ok {
		return defaults, []*pluginpb.Diagnostic{{Message: "the options have to be an object"}}
	}
	for len(wrong) < mostDiagnostics {
		var err error
		if o, err = decodeOnce(options, defaults); err == nil {
			break
		}
		semantic, ok := errors.AsType[*json.SemanticError](err)
		if !ok || semantic.JSONPointer == "" {
			return o, append(wrong, &pluginpb.Diagnostic{Message: err.Error()})
		}
		path := slices.Collect(semantic.JSONPointer.Tokens())
		wrong = append(wrong, &pluginpb.Diagnostic{Path: strings.Join(path, "."), Message: explain(semantic, path)})
		if !takeOut(tree, path) {
			break
		}
		if options, err = json.Marshal(tree); err != nil {
			break
		}
	}
	if len(wrong) == 0 {
		return o, validate(&o)
	}
	// The order of a map is another each time.
	slices.SortStableFunc(wrong, func(a, b *pluginpb.Diagnostic) int { return strings.Compare(a.Path, b.Path) })
	return o, wrong
}

// decodeOnce decodes over a deep copy of defaults, so that two instances share
// neither a map nor a list.
func decodeOnce[O any](options []byte, defaults O) (o O, err error) {
	if err := json.Unmarshal(encode(defaults), &o); err != nil {
		o = defaults
	}
	if len(options) == 0 {
		return o, nil
	}
	err = json.Unmarshal(options, &o, json.RejectUnknownMembers(true))
	return o, err
}

// encode gives the JSON of options. Options that JSON cannot express are a
// mistake in the code.
func encode(options any) []byte {
	text, err := json.Marshal(options, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("plugin: options of type %T: %v", options, err))
	}
	return text
}

// validate asks the options themselves.
func validate(options any) []*pluginpb.Diagnostic {
	v, ok := options.(interface{ Validate() error })
	if !ok {
		return nil
	}
	_, err := contained(func() (struct{}, error) { return struct{}{}, v.Validate() })
	return diagnosticsOf(err)
}

// diagnosticsOf returns one diagnostic for each error that was joined.
func diagnosticsOf(err error) []*pluginpb.Diagnostic {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*pluginpb.Diagnostic
		for _, one := range joined.Unwrap() {
			all = append(all, diagnosticsOf(one)...)
		}
		return all
	}
	if option, ok := errors.AsType[*OptionError](err); ok {
		return []*pluginpb.Diagnostic{{Path: option.Path, Message: cut(option.Message)}}
	}
	return []*pluginpb.Diagnostic{{Message: cut(err.Error())}}
}

// takeOut removes what path leads to, or makes it null in a list, whose other
// places must not move.
func takeOut(tree any, path []string) bool {
	for i, step := range path {
		last := i == len(path)-1
		switch at := tree.(type) {
		case map[string]any:
			if _, ok := at[step]; !ok {
				return false
			}
			if last {
				delete(at, step)
				return true
			}
			tree = at[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(at) || last && at[n] == nil {
				return false
			}
			if last {
				at[n] = nil
				return true
			}
			tree = at[n]
		default:
			return false
		}
	}
	return false
}

// explain says what is wrong with one option and what to write.
func explain(err *json.SemanticError, path []string) string {
	if errors.Is(err, json.ErrUnknownName) {
		name := path[len(path)-1]
		known := fieldsOf(err.GoType)
		switch meant := nearest(name, known); {
		case meant != "":
			return fmt.Sprintf("there is no such option; did you mean %q?", meant)
		case len(known) == 0:
			return "there is no such option; this takes none"
		}
		return "there is no such option; known are " + strings.Join(known, ", ")
	}
	wanted := wantedBy(err.GoType)
	switch {
	case err.Err != nil && (wanted == "" || err.JSONKind == '"'):
		return err.Err.Error() // of the type's own UnmarshalText
	case wanted == "":
		return "has the wrong type: " + kindName(err.JSONKind)
	}
	text := "has to be " + wanted + ", not " + kindName(err.JSONKind)
	if err.Err != nil {
		text += ": " + err.Err.Error()
	}
	return text
}

// wantedBy says what JSON a Go type is written as.
func wantedBy(t reflect.Type) string {
	switch {
	case t == nil:
		return ""
	case t == reflect.TypeFor[Duration]():
		return `a duration such as "50ms"`
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a text"
	}
	switch t.Kind() { //nolint:exhaustive // the others cannot be options
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, not below 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return ""
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a text"
	case '0':
		return "this number"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 'n':
		return "null"
	default:
		return k.String()
	}
}

// fieldsOf returns the names of a struct's options.
func fieldsOf(t reflect.Type) (list []string) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported() && !field.Anonymous:
		case name == "" && field.Anonymous && field.Type.Kind() == reflect.Struct:
			list = append(list, fieldsOf(field.Type)...)
		case name == "":
			list = append(list, field.Name)
		default:
			list = append(list, name)
		}
	}
	return list
}
