package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Features of the protocol.
const (
	featureStream  = "stream/1"
	featureBatch   = "batch/1"
	featureObserve = "observe/1"
	featureTrace   = "trace/1"
	featureKinds   = "kinds/1"
)

var (
	names    = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	versions = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)
)

func has(list []string, what string) bool { return slices.Contains(list, what) }

// hello checks what the program says of itself.
func (t *talk) hello() error {
	p := t.probed.Program
	switch {
	case !names.MatchString(p.Name):
		return fmt.Errorf("its name is %q: Hello has to give words with hyphens, as in office-hours", p.Name)
	case !versions.MatchString(p.Version):
		return fmt.Errorf("its version is %q: Hello has to give a semantic version without a v, as in 1.0.0", p.Version)
	case p.SDK == "" || p.Language == "":
		return errors.New("it does not say what it is written with: Hello has to give sdk and language, which help whoever looks for a fault")
	}
	return nil
}

// describes checks the list of stages.
func (t *talk) describes() error {
	seen := map[string]bool{}
	for _, s := range t.probed.Program.Stages {
		switch {
		case !names.MatchString(s.Name):
			return fmt.Errorf("a stage is called %q: names are words with hyphens, as in office-hours", s.Name)
		case seen[s.Name]:
			return fmt.Errorf("the stage %s is described twice: give each a name of its own", s.Name)
		case s.Summary == "" || strings.Contains(s.Summary, "\n"):
			return fmt.Errorf("the stage %s has no summary of one line, which lists show", s.Name)
		case !s.Judges && !s.Observes && len(s.Kinds) == 0:
			return fmt.Errorf("the stage %s neither judges nor observes, and owns no kinds: Describe has to say what it is for", s.Name)
		case len(s.Kinds) > 0 && !has(t.probed.Program.Features, featureKinds):
			return fmt.Errorf("the stage %s owns kinds, and Hello lacks the feature %s", s.Name, featureKinds)
		case s.Observes && !has(t.probed.Program.Features, featureObserve):
			return fmt.Errorf("the stage %s observes, and Hello lacks the feature %s", s.Name, featureObserve)
		}
		seen[s.Name] = true
	}
	return nil
}

// example checks the schema, and that schema and stage take the options that the
// stage is checked with, and the example.
func (t *talk) example() error {
	if len(t.info.Schema) == 0 {
		if len(t.info.Example) > 0 && string(t.info.Example) != "{}" {
			return errors.New("it has an example of options and no schema: a stage without a schema takes none")
		}
		return nil
	}
	schema, err := pluginhost.CompileSchema(t.info.Schema)
	if err != nil {
		return fmt.Errorf("its schema is not one of JSON Schema 2020-12: %w", err)
	}
	if err := t.accepts(schema, t.s.Options); err != nil {
		t.unusable = true
		if len(t.info.Example) == 0 && string(t.s.Options) == "{}" {
			return fmt.Errorf("%w; it needs options and has no example of them: Describe has to give one", err)
		}
		return err
	}
	if len(t.info.Example) == 0 || bytes.Equal(t.info.Example, t.s.Options) {
		return nil
	}
	if err := t.accepts(schema, t.info.Example); err != nil {
		return fmt.Errorf("its example is wrong: %w", err)
	}
	return nil
}

// accepts returns what schema or stage have against options.
func (t *talk) accepts(schema *jsonschema.Schema, options []byte) error {
	if wrong := against(schema, options); wrong != nil {
		return fmt.Errorf("its schema refuses %s: %w", options, wrong)
	}
	found, err := t.validate(options)
	if err != nil {
		return err
	}
	if wrong := errorsOf(found); len(wrong) > 0 {
		return fmt.Errorf("it refuses %s: %s", options, wrong[0])
	}
	return nil
}

func against(schema *jsonschema.Schema, options []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(options))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// validate has the plugin judge options: those of the link, which has its
// grants, or others, which are judged as if all were granted.
func (t *talk) validate(options []byte) ([]*pluginpb.Diagnostic, error) {
	ctx, cancel := t.within()
	defer cancel()
	q := &pluginpb.ValidateRequest{Stage: t.info.Name, Options: options}
	if bytes.Equal(options, t.s.Options) {
		q.Granted, q.HasGranted = t.s.Link.Plugin.Grants, true
	}
	v, err := t.client.Validate(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("its Validate of %s fails with %q: wrong options are diagnostics, not an error of the call", options, message(err))
	}
	for _, d := range v.GetDiagnostics() {
		if strings.TrimSpace(d.GetMessage()) == "" {
			return nil, fmt.Errorf("its Validate of %s has a diagnostic without a message (path %q): say what is wrong and what to write", options, d.GetPath())
		}
	}
	return v.GetDiagnostics(), nil
}

// errorsOf returns the diagnostics that are no warnings, as texts.
func errorsOf(list []*pluginpb.Diagnostic) (texts []string) {
	for _, d := range list {
		if !d.GetWarning() {
			texts = append(texts, strings.TrimPrefix(d.GetPath()+": "+d.GetMessage(), ": "))
		}
	}
	return texts
}

// empty checks that a link without options is told clearly what it lacks, or is
// fine.
func (t *talk) empty() error {
	_, err := t.validate([]byte("{}"))
	return err
}

// unknownOption checks that a misspelt option does not pass in silence.
func (t *talk) unknownOption() error {
	const name = "no_such_option"
	var options map[string]any
	if err := json.Unmarshal(t.s.Options, &options); err != nil {
		return fmt.Errorf("the options given are no JSON object: %w", err)
	}
	options = maps.Clone(options)
	if options == nil {
		options = map[string]any{}
	}
	options[name] = 1
	text, err := json.Marshal(options)
	if err != nil {
		return err
	}
	if len(t.info.Schema) == 0 {
		return nil // the broker refuses every option then
	}
	if schema, err := pluginhost.CompileSchema(t.info.Schema); err == nil && against(schema, text) != nil {
		return nil
	}
	found, err := t.validate(text)
	if err == nil && len(errorsOf(found)) == 0 {
		err = fmt.Errorf("it accepts %s, so a misspelt option would be ignored: say additionalProperties: false in the schema, or refuse it in Validate", text)
	}
	return err
}

// unknownStage checks that a stage is looked for by its name.
func (t *talk) unknownStage() error {
	ctx, cancel := t.within()
	defer cancel()
	const name = "no-such-stage"
	v, err := t.client.Validate(ctx, &pluginpb.ValidateRequest{Stage: name, Options: []byte("{}")})
	if err == nil && len(errorsOf(v.GetDiagnostics())) == 0 {
		return errors.New("its Validate accepts options for a stage that there is not: answer with the status NotFound")
	}
	c, err := t.client.Configure(ctx, &pluginpb.ConfigureRequest{Instance: "unknown-stage", Stage: name, Link: "x", Options: []byte("{}"), InFlight: 1})
	if err == nil && len(errorsOf(c.GetDiagnostics())) == 0 {
		return errors.New("its Configure makes a stage that there is not: answer with the status NotFound")
	}
	return nil
}

// message is an error of a call in the plugin's words.
func message(err error) string { return status.Convert(err).Message() }
