package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
)

// DecodeWith reads a link's own options into a stage's option struct. into
// points to it and holds the defaults; what the link does not mention keeps
// them.
//
// It is as strict as [Load], by the same tags, and its error is a [Problems]
// with the places in the file. Fields may have any type that Config has, and
// every type that reads itself from text, such as [Rate]. When into has a
// method Validate() error, it is called at the end; what a limit tag can say
// belongs in the tag, where the reference shows it.
func DecodeWith(link Link, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: options of stage %s are read into a pointer to a struct, not %T", link.Stage, into)
	}
	key := link.withAt()
	n := &node{kind: section}
	if link.With != nil {
		n = nodeOf(link.With, key, link.places)
	}
	c := checker{report: newReport()}
	values, _ := c.section(n, v.Elem().Type(), key)
	if err := c.err(); err != nil {
		return err
	}
	config := strict()
	config.Result = into
	decoder, err := mapstructure.NewDecoder(config)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := decoder.Decode(values); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if own, ok := into.(interface{ Validate() error }); ok {
		if err := own.Validate(); err != nil {
			at := link.places[key].value
			if at.Source == FromDefault {
				at = link.places[link.key].value
			}
			return Problems{{At: at, Key: key, Text: err.Error()}}
		}
	}
	return nil
}

// Problem returns what is wrong with a key of the link, such as plugin.path or
// with.groups.0.from, in the form of what [Load] finds: with its place in the
// file, or that of the nearest section around it that stands there.
func (l Link) Problem(path, text string) Problem {
	key := l.key
	at := l.places[key].value
	for step := range strings.SplitSeq(path, ".") {
		next := join(key, step)
		if i, err := strconv.Atoi(step); err == nil {
			if _, item := l.places[index(key, i)]; item {
				next = index(key, i)
			}
		}
		key = next
		if there := l.places[key].value; there.Source != FromDefault {
			at = there
		}
	}
	return Problem{At: at, Key: key, Text: text}
}

// withAt returns the key of the link's options.
func (l Link) withAt() string {
	if l.withKey != "" {
		return join(l.key, l.withKey)
	}
	return join(l.key, "with")
}
