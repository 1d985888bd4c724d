package config

import (
	"slices"
	"strings"
)

// PlaceOnly returns options that read nothing of the file but its data_dir, for
// whoever looks for the broker that runs there while the file is broken. It is
// false when what the file says of data_dir cannot be told for sure, unless an
// override says it anyway.
func PlaceOnly(o Options) (Options, bool) {
	o.Path = pathOf(o)
	if _, told := o.Overrides["data_dir"]; told {
		o.File = []byte{}
		return o, true
	}
	data := o.File
	if data == nil && o.Path != "" {
		var err error
		if data, err = readFile(o.Path); err != nil {
			return o, false
		}
	}
	o.File = []byte{}
	const key = "data_dir"
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSpace(line)
		if !strings.Contains(text, key) || strings.HasPrefix(text, "#") {
			continue
		}
		value, plain := strings.CutPrefix(line, key+":")
		value = strings.TrimSpace(value)
		if !plain || len(o.File) > 0 || value == "" || strings.ContainsRune("|>&*!#", rune(value[0])) {
			return o, false
		}
		o.File = slices.Concat([]byte(strings.TrimRight(line, "\r\n")), []byte("\n"))
	}
	return o, true
}

// pathOf returns the path of the file, as Load finds it; empty for none.
func pathOf(o Options) string {
	if o.Path != "" || o.File != nil {
		return o.Path
	}
	return environment(o.Environ)[ConfigVariable]
}
