package pluginhost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Diagnostic is one thing that is wrong with a link's options.
type Diagnostic struct {
	Path    string `json:"path"` // dotted, below `with`; empty for the whole
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"`
}

// OptionsError lists what is wrong with the options of a link.
type OptionsError struct {
	Link        string
	Diagnostics []Diagnostic
}

func (e *OptionsError) Error() string {
	lines := make([]string, 0, len(e.Diagnostics))
	for _, d := range e.Diagnostics {
		key := "with"
		if d.Path != "" {
			key += "." + d.Path
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", e.Link, key, d.Message))
	}
	return strings.Join(lines, "\n")
}

// fit returns what keeps a link from being a stage of a program: its name, its
// role, its grants, or a variable that it needs and does not get.
func fit(link config.Link, p *Program) (*Info, error) {
	info, err := p.stage(stageName(link))
	if err != nil {
		return nil, err
	}
	gate := link.Plugin.Role != config.Observer && link.Plugin.Role != config.Owner
	switch {
	case link.Plugin.Role == config.Observer && !info.Observes:
		return nil, fmt.Errorf("the stage %s does not observe; say role: gate", info.Name)
	case link.Plugin.Role == config.Owner && (len(info.Kinds) == 0 || !p.has(featureKinds)):
		return nil, fmt.Errorf("the stage %s owns no kinds; say role: gate", info.Name)
	case gate && !info.Judges && len(info.Kinds) > 0:
		return nil, fmt.Errorf("the stage %s judges nothing and answers requests; say role: owner, and kinds: [%s]", info.Name, strings.Join(info.kindNames(), ", "))
	case gate && !info.Judges:
		return nil, fmt.Errorf("the stage %s only observes; say role: observer", info.Name)
	}
	wrong := append(info.granted(link.Plugin.Grants), info.supplied(link.Plugin.Env)...)
	if wrong = append(wrong, info.owned(link, p.taken)...); len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return info, nil
}

// granted says what is wrong with the grants of a link: what the stage needs and
// does not have, and what it has and does not ask for.
func (i *Info) granted(grants []string) (wrong []string) {
	var asked, unasked []string
	for _, c := range grants {
		if slices.Contains(i.Capabilities, c) || slices.Contains(i.Optional, c) {
			asked = append(asked, c)
		} else {
			unasked = append(unasked, c)
		}
	}
	if missing := without(i.Capabilities, grants); len(missing) > 0 {
		wrong = append(wrong, fmt.Sprintf("the stage %s needs %s; docs/plugins.md says what each shows. To allow it, write in the link's plugin: grants: [%s]",
			i.Name, strings.Join(missing, " and "), strings.Join(append(asked, missing...), ", ")))
	}
	if len(unasked) > 0 {
		wrong = append(wrong, fmt.Sprintf("the stage %s does not ask for %s: take it out of the link's plugin.grants",
			i.Name, strings.Join(unasked, " and ")))
	}
	return wrong
}

// supplied says which variables the stage needs and will not see: those that the
// link does not list, and those that are not set here.
func (i *Info) supplied(listed []string) (wrong []string) {
	if missing := without(i.Environment, listed); len(missing) > 0 {
		wrong = append(wrong, fmt.Sprintf("the stage %s needs %s in its environment; write in the link's plugin: env: [%s]",
			i.Name, strings.Join(missing, " and "), strings.Join(append(slices.Clone(listed), missing...), ", ")))
	}
	var unset []string
	for _, name := range i.Environment {
		if _, ok := os.LookupEnv(name); !ok {
			unset = append(unset, name)
		}
	}
	if len(unset) > 0 {
		wrong = append(wrong, fmt.Sprintf("the stage %s needs %s, and the broker's environment does not have it set",
			i.Name, strings.Join(unset, " and ")))
	}
	return wrong
}

// without returns what of a list is not in another.
func without(list, other []string) (rest []string) {
	for _, s := range list {
		if !slices.Contains(other, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// optionsOf returns a link's options as the plugin gets them.
func optionsOf(link config.Link) ([]byte, error) {
	if link.With == nil {
		return []byte("{}"), nil
	}
	b, err := json.Marshal(link.With)
	if err != nil {
		return nil, fmt.Errorf("with: not expressible as JSON: %w", err)
	}
	return b, nil
}

// checkSchema holds options to the schema that the plugin describes.
func checkSchema(link string, schema, options []byte) error {
	if len(schema) == 0 {
		if !bytes.Equal(options, []byte("{}")) {
			return &OptionsError{link, []Diagnostic{{Message: "the stage takes no options"}}}
		}
		return nil
	}
	compiled, err := CompileSchema(schema)
	if err != nil {
		return fmt.Errorf("the plugin's own schema of its options does not compile: %w; tell its author", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(options))
	if err != nil {
		return err
	}
	wrong, ok := errors.AsType[*jsonschema.ValidationError](compiled.Validate(value))
	if !ok {
		return nil
	}
	e := &OptionsError{Link: link}
	e.collect(wrong)
	return e
}

// collect takes the errors that have no further cause: they say what is wrong,
// the others only where.
func (e *OptionsError) collect(v *jsonschema.ValidationError) {
	for _, cause := range v.Causes {
		e.collect(cause)
	}
	if len(v.Causes) == 0 {
		e.Diagnostics = append(e.Diagnostics, Diagnostic{
			Path:    strings.Join(v.InstanceLocation, "."),
			Message: v.ErrorKind.LocalizedString(message.NewPrinter(language.English)),
		})
	}
}

// validate asks the plugin itself, which knows more than a schema can say.
func validate(ctx context.Context, client pluginpb.PluginClient, link config.Link, stage string, options []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	v, err := client.Validate(ctx, &pluginpb.ValidateRequest{
		Stage: stage, Options: options, Granted: link.Plugin.Grants, HasGranted: true,
	})
	if err != nil {
		return called("the plugin could not judge its options", err)
	}
	if err := diagnosed(link.Name, v.GetDiagnostics()); err != nil {
		return refusal{err}
	}
	return nil
}

// diagnosed makes an error of diagnostics, nil when none but warnings are there.
func diagnosed(link string, list []*pluginpb.Diagnostic) error {
	e := &OptionsError{Link: link}
	for _, d := range list {
		if !d.GetWarning() {
			e.Diagnostics = append(e.Diagnostics, Diagnostic{Path: d.GetPath(), Message: d.GetMessage()})
		}
	}
	if len(e.Diagnostics) == 0 {
		return nil
	}
	return e
}

// stageName returns which of the program's stages a link wants.
func stageName(link config.Link) string { return cmp.Or(link.Plugin.Stage, link.Stage) }
