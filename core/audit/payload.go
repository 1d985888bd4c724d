package audit

// Field is one member of an entry's payload. Fields are made by [String],
// [Int], [Bool], [Strings] and [Raw]; the zero Field is a null without a name.
type Field struct {
	name  string
	kind  kind
	whole int64    // of kindInt; 1 for a true kindBool
	text  string   // of kindString
	list  []string // of kindStrings
	raw   []byte   // of kindRaw
}

// kind says which part of a Field holds its value.
type kind uint8

const (
	kindNull kind = iota
	kindString
	kindInt
	kindBool
	kindStrings
	kindRaw
)

// String is a text; bytes that are not UTF-8 become U+FFFD.
func String(name, value string) Field { return Field{name: name, kind: kindString, text: value} }

// Int is a whole number; beyond 2^53 it is rounded to a double, as readers of
// JSON would.
func Int(name string, value int64) Field { return Field{name: name, kind: kindInt, whole: value} }

// Bool is true or false.
func Bool(name string, value bool) Field {
	f := Field{name: name, kind: kindBool}
	if value {
		f.whole = 1
	}
	return f
}

// Strings is a list of texts, in the order given; nil is an empty list.
func Strings(name string, value []string) Field {
	return Field{name: name, kind: kindStrings, list: value}
}

// Raw is a value that is canonical text already, from [Canonicalize] or
// [Object]; it is copied unread. No text at all stands for null.
func Raw(name string, canonical []byte) Field {
	return Field{name: name, kind: kindRaw, raw: canonical}
}

// Object returns the canonical text of an object with these fields, in a slice
// of its own. It sorts fields where they are. Of several fields with one name
// the last one counts.
func Object(fields ...Field) []byte {
	return AppendObject(make([]byte, 0, roomFor(fields)), fields...)
}

// AppendObject is [Object] into a buffer of the caller.
func AppendObject(dst []byte, fields ...Field) []byte {
	sortFields(fields)
	start := len(dst)
	dst = append(dst, '{')
	ascii := true
	for i := range fields {
		if i+1 < len(fields) && fields[i].name == fields[i+1].name {
			continue
		}
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
		ascii = ascii && isASCII(fields[i].name)
		dst = append(appendText(dst, fields[i].name), ':')
		dst = fields[i].appendValue(dst)
	}
	dst = append(dst, '}')
	if ascii {
		return dst
	}
	// Sorted by bytes, which is not always the order of UTF-16. On an error,
	// which names that are not UTF-8 can cause, the text stays as it is.
	if text, err := Canonicalize(dst[start:]); err == nil {
		dst = append(dst[:start], text...)
	}
	return dst
}

// sortFields sorts by name and keeps the order of equal names. Payloads have a
// handful of fields, for which insertion is fastest and needs no memory.
func sortFields(fields []Field) {
	for i := 1; i < len(fields); i++ {
		for j := i; j > 0 && fields[j].name < fields[j-1].name; j-- {
			fields[j], fields[j-1] = fields[j-1], fields[j]
		}
	}
}

// appendValue appends the part after the colon.
func (f *Field) appendValue(dst []byte) []byte {
	switch f.kind {
	case kindString:
		return appendText(dst, f.text)
	case kindInt:
		return appendInt(dst, f.whole)
	case kindBool:
		if f.whole == 1 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case kindStrings:
		dst = append(dst, '[')
		for i, s := range f.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, s)
		}
		return append(dst, ']')
	case kindRaw:
		if len(f.raw) > 0 {
			return append(dst, f.raw...)
		}
	case kindNull:
	}
	return append(dst, "null"...)
}

// roomFor guesses the length of the object: right for text without escapes, and
// never more than 20 bytes too much for each number.
func roomFor(fields []Field) int {
	n := len("{}")
	for i := range fields {
		f := &fields[i]
		n += len(f.name) + len(`"":null,`) + len(f.text) + len(f.raw)
		if f.kind == kindInt {
			n += 20
		}
		for _, s := range f.list {
			n += len(s) + len(`"",`)
		}
	}
	return n
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
