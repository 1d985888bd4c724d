package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/conform"
)

func (p *program) pluginValidateCommand() *cobra.Command {
	var t trial
	var asJSON bool
	c := &cobra.Command{
		Use:   "validate PATH [ARG...]",
		Short: "Start a program and check that a broker can rely on it",
		Long: `Starts a program as the broker does, prints what it is, what its stages take and need, and
the link to paste into the config, and then checks what the broker relies on: that it
describes itself, judges options, answers every batch and ends when it is told to, or when
the broker dies. One line for each check; exit code 1 when one fails.

Arguments of the program that begin with a dash come after --.`,
		Example: "  broker plugin validate ./bin/office-hours\n" +
			"  broker plugin validate ./bin/guard --env PATH --options '{\"max_bytes\": 4096}' --json",
		Args: takes("PATH..."),
		RunE: func(c *cobra.Command, args []string) error {
			if err := t.program(args); err != nil {
				return err
			}
			return p.validate(c.Context(), &t, asJSON)
		},
	}
	t.addTo(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// validation is what validate found. Its JSON is a contract with other tools.
type validation struct {
	Program *pluginhost.Program `json:"program"`
	Path    string              `json:"path"`
	SHA256  string              `json:"sha256"`
	OK      bool                `json:"ok"`
	Stages  []stageValidation   `json:"stages"`
}

type stageValidation struct {
	Stage  string           `json:"stage"`
	Link   string           `json:"link"` // YAML, for the config
	OK     bool             `json:"ok"`
	Checks []conform.Result `json:"checks"`
}

func (p *program) validate(ctx context.Context, t *trial, asJSON bool) error {
	h, err := newPluginHost()
	if err != nil {
		return err
	}
	v := validation{Path: t.path, OK: true}
	if v.SHA256, err = hashOf(t.path); err != nil {
		return err
	}
	probed, err := t.launch(ctx, h)
	if err != nil {
		return err
	}
	v.Program = probed.Program
	if err := probed.Close(ctx); err != nil && ctx.Err() != nil {
		return err // how it ends otherwise is one of the checks
	}
	stages, err := t.stages(v.Program)
	if err != nil {
		return err
	}
	if !asJSON {
		p.printProgram(v)
	}
	for _, info := range stages {
		s, err := p.validateStage(ctx, h, t, info, asJSON)
		if err != nil {
			return err
		}
		v.Stages, v.OK = append(v.Stages, s), v.OK && s.OK
	}
	return p.concludeValidation(v, asJSON)
}

func (p *program) concludeValidation(v validation, asJSON bool) error {
	if asJSON {
		if err := p.json(v); err != nil {
			return err
		}
	}
	if !v.OK {
		return errors.New("the program fails checks: mend what is marked FAIL, and validate it again")
	}
	return nil
}

func (p *program) printProgram(v validation) {
	a := v.Program
	fmt.Fprintf(p.out, "%s %s, written with %s (%s)\n", printable(a.Name), printable(a.Version), printable(a.SDK), printable(a.Language))
	fmt.Fprintf(p.out, "speaks %s\nsha256 %s\n", printable(strings.Join(a.Features, ", ")), v.SHA256)
}

// validateStage prints one stage and checks it.
func (p *program) validateStage(ctx context.Context, h *pluginhost.Host, t *trial, info pluginhost.Info, asJSON bool) (s stageValidation, err error) {
	options := t.optionsFor(info)
	text, err := t.snippet(t.path, info.Name, info, options)
	if err != nil {
		return s, err
	}
	s = stageValidation{Stage: info.Name, Link: string(text)}
	link, err := t.load(info.Name, info, options)
	if err != nil {
		return s, fmt.Errorf("stage %s: %w", printable(info.Name), err)
	}
	report := func(r conform.Result) {
		s.Checks = append(s.Checks, r)
		if !asJSON {
			p.printCheck(r)
		}
	}
	if !asJSON {
		p.printStage(info, s.Link)
	}
	s.OK = conform.Run(ctx, conform.Subject{Host: h, Link: link, Options: options}, report)
	return s, nil
}

func (p *program) printStage(info pluginhost.Info, link string) {
	fmt.Fprintf(p.out, "\nstage %s: %s\n", printable(info.Name), printable(info.Summary))
	needs := "no capability"
	if len(info.Capabilities) > 0 {
		needs = strings.Join(info.Capabilities, ", ")
	}
	fmt.Fprintf(p.out, "needs %s\n", printable(needs))
	if len(info.Optional) > 0 {
		fmt.Fprintf(p.out, "does more with %s\n", printable(strings.Join(info.Optional, ", ")))
	}
	if len(info.Environment) > 0 {
		fmt.Fprintf(p.out, "needs the variables %s\n", printable(strings.Join(info.Environment, ", ")))
	}
	for _, k := range info.Kinds {
		fmt.Fprintf(p.out, "owns %s, answered by %s\n", printable(k.Name), printable(strings.Join(k.Replies, " or ")))
	}
	rows := optionRows(info.Schema)
	if len(rows) == 0 {
		fmt.Fprintln(p.out, "takes no options")
	}
	for _, row := range rows {
		fmt.Fprintf(p.out, "  %-20s %s\n", row.name, row.text)
	}
	fmt.Fprint(p.out, "\nfor the pipeline of the config, from whose directory the path counts:\n")
	fmt.Fprintln(p.out, link)
}

func (p *program) printCheck(r conform.Result) {
	word := "ok   "
	if !r.OK {
		word = "FAIL "
	}
	fmt.Fprint(p.out, word, r.Case)
	if r.Text != "" {
		fmt.Fprint(p.out, ": ", printable(strings.Join(strings.Fields(r.Text), " ")))
	}
	fmt.Fprintln(p.out)
}
