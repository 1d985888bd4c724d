package celpolicy

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Options are the options of the stage.
type Options struct {
	File       string          `json:"file,omitempty" doc:"YAML file with default and rules; an absolute path. It is read again when it changes"`
	Rules      []Rule          `json:"rules,omitempty" doc:"the rules themselves, in place of a file"`
	Default    Then            `json:"default" jsonschema:"enum=continue,enum=refuse" doc:"what happens when none of rules applies; a file says its own"`
	Kinds      []sdk.Kind      `json:"kinds" doc:"kinds of envelope that the rules are about, such as send or http.*"`
	CostLimit  uint64          `json:"cost_limit" jsonschema:"minimum=1" doc:"most that evaluating one expression may cost, about one for each step; beyond, the envelope fails"`
	CheckEvery plugin.Duration `json:"check_every" doc:"how often the file is looked at"`
}

// Default returns the options of a stage about which the config says nothing.
// There is no default for the rules.
func Default() Options {
	return Options{
		Default: Continue, Kinds: []sdk.Kind{sdk.KindSend},
		CostLimit: 10_000, CheckEvery: plugin.Duration(time.Second),
	}
}

// Validate says what is wrong with the options, but for the rules.
func (o Options) Validate() error {
	var wrong []error
	bad := func(when bool, path, format string, args ...any) {
		if when {
			wrong = append(wrong, &plugin.OptionError{Path: path, Message: fmt.Sprintf(format, args...)})
		}
	}
	bad(o.File == "" && len(o.Rules) == 0, "file", "is empty, and there are no rules; one of both is needed")
	bad(o.File != "" && len(o.Rules) > 0, "rules", "there is a file too; write all rules in one place")
	bad(o.File != "" && !filepath.IsAbs(o.File), "file", "%q is no absolute path", o.File)
	bad(o.CostLimit == 0, "cost_limit", "has to be above 0")
	bad(o.CheckEvery <= 0, "check_every", "has to be above 0s")
	bad(len(o.Kinds) == 0, "kinds", "is empty; list kinds such as send, or \"*\" for all")
	return errors.Join(wrong...)
}

// optionErrors says what is wrong with the rules of the options.
func optionErrors(wrong []mistake) error {
	var list []error
	for _, m := range wrong {
		e := &plugin.OptionError{Path: m.field, Message: m.message}
		if m.rule >= 0 {
			e.Path = fmt.Sprintf("rules.%d.%s", m.rule, m.field)
		}
		if m.line > 0 {
			e.Message = fmt.Sprintf("%d:%d: %s", m.line, m.col, m.message)
		}
		list = append(list, e)
	}
	return errors.Join(list...)
}

// fileErrors gives each line of a file's error as one of the option.
func fileErrors(err error) error {
	lines := []string{err.Error()}
	if e, ok := errors.AsType[*FileError](err); ok {
		lines = e.Lines
	}
	var list []error
	for _, line := range lines {
		list = append(list, &plugin.OptionError{Path: "file", Message: line})
	}
	return errors.Join(list...)
}
