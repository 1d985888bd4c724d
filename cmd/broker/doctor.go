package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/doctor"
	"github.com/claudemesh/broker/core/identity"
)

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that a broker needs, and say what to mend",
		Long: `Looks at the configuration, the data directory and its disk, the store and its migrations,
the key, the clock, the bus, the plugins, the addresses, the receivers of traces and metrics,
and the limits of the process: one line each, with what to do where something is wrong. Run
it as the user and with the settings of the broker, while that runs or not. It changes
nothing; plugins are started beside those that run, and ended.

Exit code 1 when something does not work; warnings are none.`,
		Example: "  broker doctor --config /etc/broker/broker.yaml\n  broker doctor --json",
		Args:    takes(),
		RunE:    func(c *cobra.Command, _ []string) error { return p.doctor(c.Context(), asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// examination is what doctor found. Its JSON is a contract with other tools.
type examination struct {
	OK      bool             `json:"ok"` // nothing failed
	Version string           `json:"version"`
	Checks  []doctor.Finding `json:"checks"`

	print func(doctor.Finding)
}

func (e *examination) add(f doctor.Finding) {
	e.Checks = append(e.Checks, f)
	e.OK = e.OK && f.State != doctor.Fail
	e.print(f)
}

func (p *program) doctor(ctx context.Context, asJSON bool) error {
	e := &examination{OK: true, Version: programVersion()}
	loaded, err := p.loadForCommand()
	if asJSON {
		e.print = func(doctor.Finding) {}
	} else {
		e.print = p.findings(loaded)
	}
	machine := doctor.ThisMachine(p.lookup)
	if err != nil {
		misconfigured(err, e.add)
		doctor.ExamineMachine(machine, e.add)
	} else if err := p.examine(ctx, loaded, machine, e.add); err != nil {
		return err
	}
	return p.concludeExamination(e, asJSON)
}

// misconfigured tells of a config that cannot be loaded, a finding for each
// problem.
func misconfigured(err error, report func(doctor.Finding)) {
	const fix = "mend it; configs/reference.md and broker config reference say what each key takes"
	var problems config.Problems
	if !errors.As(err, &problems) {
		report(doctor.Finding{Check: doctor.CheckConfig, State: doctor.Fail, Found: oneLine(err), Fix: fix})
	}
	for _, problem := range problems {
		report(doctor.Finding{Check: doctor.CheckConfig, State: doctor.Fail, Found: printable(problem.Error()), Fix: fix})
	}
}

func (p *program) examine(ctx context.Context, loaded *config.Loaded, machine doctor.Machine, report func(doctor.Finding)) error {
	host, err := newPluginHost()
	if err != nil {
		return err
	}
	c := loaded.Config
	what := "the defaults and the environment"
	if loaded.File != "" {
		what = loaded.File
	}
	report(doctor.Finding{Check: doctor.CheckConfig, State: doctor.OK, Found: what})
	for _, w := range loaded.Warnings {
		report(doctor.Finding{Check: doctor.CheckConfig, State: doctor.Warn, Found: printable(w), Fix: "broker config check shows it too; change the key, or leave it if it is meant"})
	}
	plugins := true // are good
	doctor.Examine(ctx, doctor.Subject{
		Config: c, Version: programVersion(), Plugins: host, Machine: machine,
		Keys: func() (*identity.AtRest, error) { return keysToLookAt(c) },
	}, func(f doctor.Finding) {
		plugins = plugins && (f.State != doctor.Fail || !strings.HasPrefix(f.Check, doctor.CheckPlugin+":"))
		f.Found = printable(strings.Join(strings.Fields(f.Found), " "))
		f.Fix = printable(f.Fix)
		report(f)
	})
	if _, err := describe(c); err != nil && plugins { // else it is the plugin that was told of
		report(doctor.Finding{Check: doctor.CheckConfig, State: doctor.Fail, Found: "the chain cannot be built: " + oneLine(err), Fix: "mend the pipeline, then broker config check"})
	}
	return nil
}

// keysToLookAt is loadKeys for who only looks: nil where there is none.
func keysToLookAt(c config.Config) (*identity.AtRest, error) {
	if text := c.EncryptionKey.Reveal(); text != "" {
		return identity.ParseAtRest(text)
	}
	if c.Mode == config.Production && !c.Insecure {
		return nil, nil
	}
	keys, err := keyFile(c.DataDir, false)
	if errors.Is(err, errKeyMissing) {
		return nil, nil
	}
	return keys, err
}

// findings prints a finding as it comes, in columns.
func (p *program) findings(loaded *config.Loaded) func(doctor.Finding) {
	width := len(doctor.CheckKey)
	if loaded != nil {
		for _, link := range loaded.Config.Pipeline {
			if link.Plugin != nil {
				width = max(width, len(doctor.CheckPlugin+":"+link.Name))
			}
		}
	}
	words := map[doctor.State]string{doctor.OK: "ok", doctor.Warn: "warn", doctor.Fail: "FAIL"}
	return func(f doctor.Finding) {
		fmt.Fprintf(p.out, "%-4s  %-*s  %s\n", words[f.State], width, f.Check, f.Found)
		if f.Fix != "" {
			fmt.Fprintf(p.out, "%*s  fix: %s\n", 4+2+width, "", f.Fix)
		}
	}
}

func (p *program) concludeExamination(e *examination, asJSON bool) error {
	if asJSON {
		if err := p.json(e); err != nil {
			return err
		}
	} else {
		n := map[doctor.State]int{}
		for _, f := range e.Checks {
			n[f.State]++
		}
		fmt.Fprintf(p.out, "\n%d ok, %d to look at, %d failed\n", n[doctor.OK], n[doctor.Warn], n[doctor.Fail])
	}
	if !e.OK {
		return errSaid
	}
	return nil
}
