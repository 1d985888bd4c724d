package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// description is what --describe prints.
type description struct {
	Name    string             `json:"name"`
	Version string             `json:"version"`
	SDK     string             `json:"sdk"`
	Stages  []stageDescription `json:"stages"`
}

type stageDescription struct {
	Name           string          `json:"name"`
	Summary        string          `json:"summary,omitempty"`
	Judges         bool            `json:"judges"`
	Observes       bool            `json:"observes"`
	Idempotent     bool            `json:"idempotent"`
	Capabilities   []Capability    `json:"capabilities,omitempty"`
	Optional       []Capability    `json:"optional_capabilities,omitempty"`
	Environment    []string        `json:"environment,omitempty"`
	Kinds          []string        `json:"kinds,omitempty"`
	OptionsSchema  json.RawMessage `json:"options_schema,omitempty"`
	OptionsExample json.RawMessage `json:"options_example,omitempty"`
}

func describe(p Plugin) description {
	d := description{Name: p.Name, Version: p.Version, SDK: sdkID}
	for _, s := range p.Stages {
		d.Stages = append(d.Stages, stageDescription{
			Name: s.name, Summary: s.summary, Judges: s.judges, Observes: s.observes, Idempotent: s.idempotent,
			Capabilities: s.needs, Optional: s.wants, Environment: s.environment, Kinds: s.kindNames(), OptionsSchema: s.schema, OptionsExample: s.example,
		})
	}
	return d
}

func printDescription(w io.Writer, p Plugin) {
	to := json.NewEncoder(w)
	to.SetEscapeHTML(false)
	to.SetIndent("", "  ")
	_ = to.Encode(describe(p)) // only bytes that were JSON before
}

// introduce is for somebody who starts the program by hand.
func introduce(w io.Writer, p Plugin) {
	fmt.Fprintf(w, "%s %s is a plugin: the broker starts it when its config names it.\n", p.Name, p.Version)
	for _, s := range describe(p).Stages {
		fmt.Fprintf(w, "\nStage %s", s.Name)
		if s.Summary != "" {
			fmt.Fprintf(w, ": %s", s.Summary)
		}
		fmt.Fprintln(w)
		if len(s.Capabilities) > 0 {
			fmt.Fprintf(w, "  needs %s\n", strings.Join(texts(s.Capabilities), ", "))
		}
		if len(s.Optional) > 0 {
			fmt.Fprintf(w, "  does more with %s\n", strings.Join(texts(s.Optional), ", "))
		}
		if len(s.Environment) > 0 {
			fmt.Fprintf(w, "  needs in its environment %s\n", strings.Join(s.Environment, ", "))
		}
		if len(s.Kinds) > 0 {
			fmt.Fprintf(w, "  owns %s\n", strings.Join(s.Kinds, ", "))
		}
		if len(s.OptionsSchema) == 0 {
			fmt.Fprintln(w, "  takes no options")
			continue
		}
		fmt.Fprintf(w, "  options, for example: %s\n  schema: %s\n", s.OptionsExample, s.OptionsSchema)
	}
	program := "./plugin"
	if len(os.Args) > 0 {
		program = strings.Join(append([]string{"./" + filepath.Base(os.Args[0])}, os.Args[1:]...), " ")
	}
	fmt.Fprintf(w, "\nTo try it:          broker plugin validate %s\n", program)
	if len(os.Args) < 2 { // a program with commands of its own may not pass the flag on
		fmt.Fprintf(w, "To read it as JSON: %s --describe\n", program)
	}
}
