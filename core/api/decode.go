package api

import (
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// maxValue is how long a value in a path or a query may be, in bytes.
const maxValue = 1 << 10

// Decode makes a request of a body and of the values of a path, a query and a
// header, by name. It refuses with a [*core.Error].
func (r *Route) Decode(body []byte, path, query, header func(name string) string) (any, error) {
	return r.decode(body, path, query, header)
}

// decoder returns the function behind Decode.
func decoder[Req any](r *Route) func([]byte, func(string) string, func(string) string, func(string) string) (any, error) {
	bindings := bindingsOf(reflect.TypeFor[Req]())
	form := r.Body
	return func(body []byte, path, query, header func(string) string) (any, error) {
		from := [...]func(string) string{inPath: path, inQuery: query, inHeader: header}
		req := new(Req)
		if form == BodyObject || form == BodyOptional && len(body) > 0 {
			decoded, err := wire.Decode[Req](body)
			if err != nil && len(body) == 0 {
				err = noBody(reflect.TypeFor[Req]())
			}
			if err != nil {
				return nil, r.refuseBody(err)
			}
			req = decoded
		}
		v := reflect.ValueOf(req).Elem()
		for _, b := range bindings {
			text := from[b.in](b.name)
			if len(text) > maxValue {
				return nil, core.Refuse(sdk.ReasonInvalid, b.name+": is too long")
			}
			if !plain(text) {
				return nil, core.Refuse(sdk.ReasonInvalid, b.name+": holds characters that no name has")
			}
			v.Field(b.field).SetString(text)
		}
		return req, nil
	}
}

// plain reports whether a text is UTF-8 without control characters.
func plain(text string) bool {
	for _, c := range text {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return false
		}
	}
	return true
}

// noBody refuses a request without a body, and names what a body needs.
func noBody(t reflect.Type) *wire.DecodeError {
	var names []string
	for f := range t.Fields() {
		if f.Tag.Get("required") == "true" || f.Tag.Get("needed") == "true" {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, strconv.Quote(name)+": …")
		}
	}
	return &wire.DecodeError{
		Code: sdk.ReasonMalformed, Message: "the request has no body: send a JSON object, {" + strings.Join(names, ", ") + "}",
	}
}

// refuseBody words the refusal of a body. Where clients look for a text of its
// own, what is wrong is the detail.
func (r *Route) refuseBody(err error) error {
	bad, ok := errors.AsType[*wire.DecodeError](err)
	switch {
	case !ok:
		return err
	case r.AllWords:
		return core.Refuse(sdk.ReasonMalformed, bad.Message)
	case bad.Missing && r.Missing != "":
		return core.Refuse(sdk.ReasonMalformed, r.Missing).Explain(bad.Message)
	case bad.Code == sdk.ReasonMalformed && r.BadBody != "":
		return core.Refuse(sdk.ReasonMalformed, r.BadBody).Explain(bad.Message)
	default:
		return core.Refuse(bad.Code, bad.Message)
	}
}

// source is where a value comes from that is not in the body.
type source int

const (
	inPath source = iota
	inQuery
	inHeader
)

// binding is a field that is filled from the path, the query or the header.
type binding struct {
	field int
	name  string
	in    source
}

// bindingsOf reads the tags path, query and header of a request's fields. The
// fields are strings that JSON leaves alone.
func bindingsOf(t reflect.Type) []binding {
	var bindings []binding
	for f := range t.Fields() {
		b := binding{field: f.Index[0]}
		found := false
		for in, tag := range [...]string{inPath: "path", inQuery: "query", inHeader: "header"} {
			if name, ok := f.Tag.Lookup(tag); ok {
				b.name, b.in, found = name, source(in), true
			}
		}
		if !found {
			continue
		}
		if f.Type.Kind() != reflect.String || f.Tag.Get("json") != "-" {
			panic(t.Name() + "." + f.Name + ": a value of the path, the query or the header is a string with the tag json:\"-\"")
		}
		bindings = append(bindings, b)
	}
	return bindings
}
