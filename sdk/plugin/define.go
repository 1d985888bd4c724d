package plugin

import (
	"fmt"
	"reflect"
	"regexp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// parts is a stage that was made, by what it can do. judge or observer may be
// nil, whole is either.
type parts struct {
	judge    sdk.Stage
	observer sdk.Observer
	whole    any
}

// Define makes a kind of stage whose options are a struct O. Names of options
// are the json tags of its fields, their descriptions the doc tags.
//
// What the operator leaves out keeps its value of defaults. A Validate() error
// method of O is called, and then newStage. That also happens to judge a config
// that may never run, so newStage checks and keeps; what has to be opened is
// opened in Start.
//
// Define panics when O is no struct or the name is none: a mistake in the code,
// which the first run shows.
func Define[O any, S sdk.Stage](name string, defaults O, newStage func(O) (S, error), more ...Option) Stage {
	build := func(o O) (parts, error) {
		s, err := newStage(o)
		if err != nil {
			return parts{}, err
		}
		observer, _ := any(s).(sdk.Observer)
		return parts{judge: s, observer: observer, whole: s}, nil
	}
	s := Stage{name: name, judges: true, observes: reflect.TypeFor[S]().Implements(reflect.TypeFor[sdk.Observer]())}
	return define(s, defaults, build, more)
}

// DefineObserver makes a kind of stage that judges nothing and is told how
// envelopes ended. The rest is as with [Define].
func DefineObserver[O any, S sdk.Observer](name string, defaults O, newObserver func(O) (S, error), more ...Option) Stage {
	build := func(o O) (parts, error) {
		s, err := newObserver(o)
		if err != nil {
			return parts{}, err
		}
		return parts{observer: s, whole: s}, nil
	}
	return define(Stage{name: name, observes: true}, defaults, build, more)
}

var names = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func define[O any](s Stage, defaults O, build func(O) (parts, error), more []Option) Stage {
	if !names.MatchString(s.name) {
		panic(fmt.Sprintf("plugin: %q is no name of a stage; write words with hyphens, as in office-hours", s.name))
	}
	if reflect.TypeFor[O]().Kind() != reflect.Struct {
		panic(fmt.Sprintf("plugin: the options of %s are a %v; they have to be a struct", s.name, reflect.TypeFor[O]()))
	}
	s.parallel = 1
	for _, option := range more {
		option(&s)
	}
	example := defaults
	if s.exampleFrom != nil {
		given, ok := s.exampleFrom.(O)
		if !ok {
			panic(fmt.Sprintf("plugin: the example of %s is a %T; its options are a %T", s.name, s.exampleFrom, defaults))
		}
		example = given
	}
	s.schema, s.example = schemaOf(defaults), encode(example)
	observes := s.observes
	s.build = func(options []byte) (parts, []*pluginpb.Diagnostic) {
		o, wrong := decode(options, defaults)
		if len(wrong) > 0 {
			return parts{}, wrong
		}
		p, err := contained(func() (parts, error) { return build(o) })
		if err != nil {
			return parts{}, append(wrong, diagnosticsOf(err)...)
		}
		if p.observer != nil && !observes {
			p.observer = nil
			wrong = append(wrong, &pluginpb.Diagnostic{
				Warning: true,
				Message: "the stage has Done, but its type did not say so: its author should add plugin.Observes()",
			})
		}
		return p, wrong
	}
	return s
}

// contained turns a panic of the author's code into an error.
func contained[T any](do func() (T, error)) (result T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return do()
}
