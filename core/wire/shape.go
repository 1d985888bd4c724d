package wire

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/claudemesh/broker/sdk"
)

// shape is what the tags of a struct say about its fields.
type shape struct {
	fields   []field
	required uint64 // bits of the fields that must be there
}

// field is one field of a shape.
type field struct {
	index int // in the struct
	typ   reflect.Type
	name  string   // on the wire
	max   int      // bytes or entries; 0 says nothing
	each  int      // bytes of each entry; 0 says nothing
	enum  []string // nil allows every text
	group bool     // the text is a group name
	bit   uint64   // one bit, different for each required field
	patch bool     // the type is a Patch
}

var shapes sync.Map // reflect.Type → *shape

// shapeOf returns the shape of a struct type. It panics on tags that make no
// sense, which is a mistake in this package that its tests see.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := new(shape)
	for sf := range t.Fields() {
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := fieldOf(sf, name)
		if sf.Tag.Get("required") == "true" {
			f.bit = 1 << len(s.fields)
			s.required |= f.bit
		}
		s.fields = append(s.fields, f)
	}
	kept, _ := shapes.LoadOrStore(t, s)
	return kept.(*shape)
}

func fieldOf(sf reflect.StructField, name string) field {
	f := field{
		index: sf.Index[0],
		typ:   sf.Type,
		name:  name,
		max:   tagNumber(sf, "max"),
		each:  tagNumber(sf, "each"),
		group: sf.Tag.Get("rule") == "group",
		patch: sf.Type.Implements(reflect.TypeFor[patch]()),
	}
	if enum := sf.Tag.Get("enum"); enum != "" {
		f.enum = strings.Split(enum, ",")
	}
	return f
}

func tagNumber(sf reflect.StructField, key string) int {
	text := sf.Tag.Get(key)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic("wire: tag " + key + " of " + sf.Name + ": " + text)
	}
	return n
}

// missing walks over the frame's top level, which also checks its structure and
// depth, and returns the first required field that is not there.
func (s *shape) missing(frame []byte) (*field, *DecodeError) {
	absent := s.required
	m := members{frame: frame}
	for m.next() {
		if absent == 0 || string(m.value) == "null" {
			continue
		}
		if f := s.field(string(m.name)); f != nil {
			absent &^= f.bit
		}
	}
	if m.err != nil {
		return nil, m.err
	}
	for i := range s.fields {
		if f := &s.fields[i]; absent&f.bit != 0 {
			return f, nil
		}
	}
	return nil, nil
}

// field returns the field with a name on the wire, or nil.
func (s *shape) field(name string) *field {
	for i := range s.fields {
		if s.fields[i].name == name {
			return &s.fields[i]
		}
	}
	return nil
}

// check holds the fields of v, a struct, to their tags. Fields that are absent
// pass. Path is the field that v is in, with a dot, or empty.
func (s *shape) check(v reflect.Value, path string) *DecodeError {
	for i := range s.fields {
		f := &s.fields[i]
		if err := f.check(v.Field(f.index), path+f.name); err != nil {
			return err
		}
	}
	return nil
}

func (f *field) check(v reflect.Value, path string) *DecodeError {
	if f.patch {
		v = v.Interface().(patch).value()
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return f.checkText(v.String(), path)
	case reflect.Slice:
		return f.checkList(v, path)
	case reflect.Struct:
		if isFrame(v.Type()) {
			return shapeOf(v.Type()).check(v, path+".")
		}
		return nil
	default:
		return nil
	}
}

func (f *field) checkText(text, path string) *DecodeError {
	if f.max > 0 && len(text) > f.max {
		return invalid(path, "at most "+strconv.Itoa(f.max)+" bytes")
	}
	if f.group {
		if err := sdk.CheckGroup(text); err != nil {
			return invalid(path, err.Error())
		}
	}
	if f.enum == nil || text == "" && f.bit == 0 {
		return nil
	}
	if !slices.Contains(f.enum, text) {
		return invalid(path, f.want())
	}
	return nil
}

func (f *field) checkList(v reflect.Value, path string) *DecodeError {
	entry := v.Type().Elem()
	if f.max > 0 && v.Len() > f.max {
		unit := " entries"
		if entry.Kind() == reflect.Uint8 {
			unit = " bytes of JSON"
		}
		return invalid(path, "at most "+strconv.Itoa(f.max)+unit)
	}
	switch {
	case entry.Kind() == reflect.String && f.each > 0:
		for i := range v.Len() {
			if v.Index(i).Len() > f.each {
				return invalid(entryPath(path, i), "at most "+strconv.Itoa(f.each)+" bytes")
			}
		}
	case isFrame(entry):
		for i := range v.Len() {
			if err := shapeOf(entry).check(v.Index(i), entryPath(path, i)+"."); err != nil {
				return err
			}
		}
	}
	return nil
}

func entryPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// here is the path of this package, whose structs have tags.
var here = reflect.TypeFor[Head]().PkgPath()

// isFrame reports whether t is a struct with tags to look at.
func isFrame(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.PkgPath() == here }
