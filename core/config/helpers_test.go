package config

import (
	"maps"
	"reflect"
	"strings"
)

// leavesOf returns every key of a Config, of a link and of a plugin.
func leavesOf() map[string]field {
	all := maps.Collect(leaves(reflect.TypeFor[Config]()))
	for k, f := range leaves(reflect.TypeFor[Link]()) {
		all["link."+k] = f
	}
	for k, f := range leaves(reflect.TypeFor[Plugin]()) {
		all["plugin."+k] = f
	}
	return all
}

// valueOf returns a value as the printer writes it.
func valueOf(c Config, key string) string {
	v := reflect.ValueOf(c)
	for name := range strings.SplitSeq(key, ".") {
		for _, f := range fieldsOf(v.Type()) {
			if f.name == name {
				v = v.Field(f.index)
				break
			}
		}
	}
	return text(v)
}

// hidden reports whether an option of some link is masked when it is printed.
func hidden(c Config) bool {
	for _, link := range c.Pipeline {
		if strings.Contains(text(reflect.ValueOf(link.With)), masked) {
			return true
		}
	}
	return false
}
