package wire

import (
	"errors"
	"reflect"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// explain turns an error of the JSON library into ours: its texts speak of Go
// types and may repeat input. T is the struct that was read into.
func explain(err error, frame []byte, t reflect.Type) *DecodeError {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return explainSyntax(syntax, frame)
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return explainField(semantic, t)
	}
	return malformed("not valid JSON")
}

func explainSyntax(err *jsontext.SyntacticError, frame []byte) *DecodeError {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return duplicate(err.JSONPointer.LastToken())
	case !utf8.Valid(frame):
		return malformed("not valid UTF-8")
	default:
		return notJSON(int(err.ByteOffset))
	}
}

// explainField follows the path to the field that did not fit.
func explainField(err *json.SemanticError, t reflect.Type) *DecodeError {
	path, want := "", wantType(t)
	for token := range err.JSONPointer.Tokens() {
		switch t = inner(t); t.Kind() {
		case reflect.Slice:
			path, t = path+"["+token+"]", t.Elem()
			want = wantType(t)
		case reflect.Map:
			path, t = path+"["+quoted(token)+"]", t.Elem()
			want = wantType(t)
		case reflect.Struct:
			f := shapeOf(t).field(token)
			if f == nil {
				return invalid(path, want)
			}
			path, t, want = join(path, token), f.typ, f.want()
		default:
			return invalid(path, want)
		}
	}
	if path == "" {
		return malformed(want)
	}
	return invalid(path, want)
}

// inner looks through pointers and patches.
func inner(t reflect.Type) reflect.Type {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Implements(reflect.TypeFor[patch]()):
			t = reflect.Zero(t).Interface().(patch).value().Type()
		default:
			return t
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
