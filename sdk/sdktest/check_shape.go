package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

var (
	semver       = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)
	variable     = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	capabilities = []plugin.Capability{
		plugin.IdentityRead, plugin.AudienceRead, plugin.AttributesRead, plugin.PayloadHash, plugin.PayloadBytes,
		plugin.CredentialRead, plugin.PriorityWrite, plugin.VerdictDrop, plugin.DeliveryHold,
	}
)

func (h *host) hello() {
	hello := h.greeted
	if hello.Name == "" || hello.Sdk == "" || hello.Language == "" {
		h.add("name, sdk or language is missing in %v", hello)
	}
	if !semver.MatchString(hello.Version) {
		h.add("%q is no semantic version; write it as 1.2.3", hello.Version)
	}
	if !slices.Contains(hello.Features, "stream/1") && !slices.Contains(hello.Features, "batch/1") {
		h.add("neither stream/1 nor batch/1 is among its features %v", hello.Features)
	}
}

func (h *host) shape() {
	if len(h.stages) == 0 {
		h.add("it has no stage")
	}
	for _, s := range h.stages {
		if !s.Judges && !s.Observes && len(s.Kinds) == 0 {
			h.add("%s neither judges nor observes, and owns no kinds", s.Name)
		}
		if s.Summary == "" {
			h.add("%s has no summary; operators see it in lists", s.Name)
		}
		for _, c := range s.Capabilities {
			if !slices.Contains(capabilities, plugin.Capability(c)) {
				h.add("%s needs %q, which is no capability", s.Name, c)
			}
		}
		for _, c := range s.OptionalCapabilities {
			if !slices.Contains(capabilities, plugin.Capability(c)) {
				h.add("%s wants %q, which is no capability", s.Name, c)
			}
			if slices.Contains(s.Capabilities, c) {
				h.add("%s wants %s, and needs it anyway", s.Name, c)
			}
		}
		for _, name := range s.Environment {
			if !variable.MatchString(name) {
				h.add("%s needs %q in its environment, which is no name that a config can list", s.Name, name)
			}
		}
	}
}

func (h *host) schemas() {
	for _, s := range h.stages {
		if len(s.OptionsSchema) > 0 {
			h.addErr(s.Name, accepts(s.OptionsSchema, s.OptionsExample, []byte("{}")))
		}
		h.addErr(s.Name+": its example", h.valid(s, s.OptionsExample))
		h.addErr(s.Name+": the options of this test", h.valid(s, h.optionsOf(s)))
	}
}

// accepts compiles a schema and shows it documents.
func accepts(schema []byte, documents ...[]byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return fmt.Errorf("its schema is no JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("options.json", doc); err != nil {
		return err
	}
	compiled, err := c.Compile("options.json")
	if err != nil {
		return fmt.Errorf("its schema: %w", err)
	}
	for _, d := range documents {
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(d))
		if err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
		if err := compiled.Validate(instance); err != nil {
			return fmt.Errorf("its schema refuses %s: %w", d, err)
		}
	}
	return nil
}

// valid asks the plugin about options.
func (h *host) valid(s *pluginpb.Stage, options []byte) error {
	resp, err := h.Validate(h.ctx, &pluginpb.ValidateRequest{Stage: s.Name, Options: options})
	if err != nil {
		return err
	}
	for _, d := range resp.Diagnostics {
		if !d.Warning {
			return fmt.Errorf("%s refused at %q: %s", options, d.Path, d.Message)
		}
	}
	return nil
}

func (h *host) unknownOptions() {
	const unknown = "no_such_option_of_sdktest"
	for _, s := range h.stages {
		options := make(map[string]any)
		if given := h.optionsOf(s); len(given) > 0 {
			if err := json.Unmarshal(given, &options); err != nil {
				h.addErr(s.Name, err)
				continue
			}
		}
		options[unknown] = 1
		text, err := json.Marshal(options)
		if err != nil {
			h.addErr(s.Name, err)
			continue
		}
		resp, err := h.Validate(h.ctx, &pluginpb.ValidateRequest{Stage: s.Name, Options: text})
		if err != nil {
			h.addErr(s.Name, err)
			continue
		}
		if !slices.ContainsFunc(resp.Diagnostics, func(d *pluginpb.Diagnostic) bool { return !d.Warning && d.Path == unknown }) {
			h.add("%s: an option that does not exist is accepted: a typo would go unseen", s.Name)
		}
	}
	if _, err := h.Validate(h.ctx, &pluginpb.ValidateRequest{Stage: "no-such-stage"}); err == nil {
		h.add("options of a stage that does not exist are accepted")
	}
}

func (h *host) ungranted() {
	for _, s := range h.stages {
		if len(s.Capabilities) == 0 {
			continue
		}
		resp, err := h.Configure(h.ctx, &pluginpb.ConfigureRequest{Instance: s.Name + "/ungranted", Stage: s.Name, Options: h.optionsOf(s)})
		h.addErr(s.Name, err)
		if err == nil && len(resp.Diagnostics) == 0 {
			h.add("%s starts without its capabilities", s.Name)
		}
	}
}
