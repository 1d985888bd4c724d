package reload

import (
	"reflect"

	"github.com/claudemesh/broker/core/config"
)

// needRestart returns the keys outside the pipeline that differ.
func needRestart(before, after config.Config) []string {
	before.Pipeline, after.Pipeline = nil, nil
	var keys []string
	collectDifferences(reflect.ValueOf(before), reflect.ValueOf(after), "", &keys)
	return keys
}

// collectDifferences compares two structs by the names of their fields in the
// file.
func collectDifferences(a, b reflect.Value, prefix string, keys *[]string) {
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("koanf")
		if name == "" {
			continue
		}
		x, y := a.Field(i), b.Field(i)
		switch {
		case x.Kind() == reflect.Struct:
			collectDifferences(x, y, prefix+name+".", keys)
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			*keys = append(*keys, prefix+name)
		}
	}
}
