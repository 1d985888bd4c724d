package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/pluginhost/measure"
)

// benchRounds is how often every stage has its turn under every load.
const benchRounds = 3

func (p *program) pluginBenchCommand() *cobra.Command {
	var t trial
	b := bench{trial: &t}
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench PATH [ARG...]",
		Short: "Measure what asking a plugin costs, beside stages that do nothing",
		Long: `Measures a program's stage beside a built-in stage that does nothing, a plugin that does
nothing, and one call for each envelope to that plugin, which is what a broker would do
without batches. All four have their turn in each of three rounds, under three loads: one
caller alone, 64 callers, and a window of 1024 kept full. The figures are medians.

Read the ratios, and the CPU before the throughput: figures of one run can be compared with
each other and with nothing else. CPU is that of the broker and the plugin together.`,
		Example: "  broker plugin bench ./bin/office-hours\n" +
			"  broker plugin bench ./bin/guard --env PATH --options @guard.json --duration 10s --json",
		Args: takes("PATH..."),
		RunE: func(c *cobra.Command, args []string) error {
			if b.duration < benchRounds*10*time.Millisecond {
				return usage(c, "--duration has to be 30ms or more")
			}
			if err := t.program(args); err != nil {
				return err
			}
			return p.bench(c.Context(), &b, asJSON)
		},
	}
	t.addTo(c.Flags())
	c.Flags().DurationVar(&b.duration, "duration", 3*time.Second, "how long each figure is measured, in all rounds together")
	c.Flags().StringVar(&b.noOp, "no-op", "", "program that serves the stage no-op (default: this one)")
	_ = c.Flags().MarkHidden("no-op") // for tests, in which this program is another
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// bench is a comparison to make.
type bench struct {
	*trial
	duration time.Duration
	noOp     string
}

// benchReport is what bench found. Its JSON is a contract with other tools.
type benchReport struct {
	Stage   string           `json:"stage"`
	Rounds  int              `json:"rounds"`
	Results []measure.Result `json:"results"`
	Ratios  []benchRatio     `json:"ratios"`
}

// benchRatio compares the stage with another target under one load.
type benchRatio struct {
	Load    string  `json:"load"`
	Against string  `json:"against"`
	Rate    float64 `json:"rate"` // of envelopes a second
	CPU     float64 `json:"cpu"`  // of CPU time an envelope; 0 when it was too little to be measured
}

// Targets of a comparison, beside the stage itself.
const (
	builtInNoOp = "built-in no-op"
	pluginNoOp  = "no-op plugin"
	callNoOp    = "call an envelope"
)

func (p *program) bench(ctx context.Context, b *bench, asJSON bool) (err error) {
	info, err := b.stageToMeasure(ctx)
	if err != nil {
		return err
	}
	targets, closeAll, err := b.targets(ctx, info)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	results, err := measure.Compare(ctx, measure.Series{
		Targets: targets, Loads: measure.Loads(b.duration / benchRounds), Rounds: benchRounds, Env: benchEnvelope,
	}, func(round int) { fmt.Fprintf(p.err, "round %d of %d\n", round, benchRounds) })
	if err != nil {
		return err
	}
	report := benchReport{Stage: info.Name, Rounds: benchRounds, Results: results, Ratios: ratios(results, info.Name)}
	if asJSON {
		err = p.json(report)
	} else {
		err = printBench(p.out, report)
	}
	return errors.Join(err, notAllDecided(report))
}

// stageToMeasure is the one that is named, or the only one.
func (b *bench) stageToMeasure(ctx context.Context) (info pluginhost.Info, err error) {
	h, err := newPluginHost()
	if err != nil {
		return info, err
	}
	probed, err := b.launch(ctx, h)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, probed.Close(ctx)) }()
	stages, err := b.stages(probed.Program)
	switch {
	case err != nil:
		return info, err
	case len(stages) > 1:
		return info, usageError{"bench measures one stage: name it with --stage; the program has " + stageNames(probed.Program)}
	case !stages[0].Judges:
		return info, fmt.Errorf("the stage %s only observes: nothing waits for it, so there is nothing to measure", stages[0].Name)
	}
	return stages[0], nil
}

// notAllDecided fails a comparison whose figures are those of failures.
func notAllDecided(r benchReport) error {
	for _, each := range r.Results {
		if each.Failed > 0 {
			return fmt.Errorf("%s: %d of %d envelopes got no decision, so the figures say little: broker plugin validate shows why",
				each.Target, each.Failed, each.Envelopes)
		}
	}
	return nil
}

// ratios compares the stage with each other target, load by load.
func ratios(results []measure.Result, stage string) (list []benchRatio) {
	for _, own := range results {
		if own.Target != stage {
			continue
		}
		for _, other := range results {
			if other.Load != own.Load || other.Target == stage {
				continue
			}
			r := benchRatio{Load: own.Load, Against: other.Target, Rate: own.PerSecond / other.PerSecond}
			if other.CPU > 0 {
				r.CPU = float64(own.CPU) / float64(other.CPU)
			}
			list = append(list, r)
		}
	}
	return list
}

func printBench(w io.Writer, r benchReport) error {
	var rows [][]string
	for _, m := range r.Results {
		p50, p99 := "-", "-"
		if m.P99 > 0 {
			p50, p99 = figure(m.P50), figure(m.P99)
		}
		rows = append(rows, []string{
			m.Load, m.Target, strconv.FormatFloat(m.PerSecond, 'f', 0, 64), p50, p99, figure(m.CPU), strconv.FormatFloat(m.Allocs, 'f', 1, 64),
		})
	}
	if err := table(w, "LOAD STAGE ENVELOPES/S P50 P99 CPU/ENVELOPE HOST-ALLOCS", rows); err != nil {
		return err
	}
	rows = nil
	for _, ratio := range r.Ratios {
		cpu := "-"
		if ratio.CPU > 0 {
			cpu = times(ratio.CPU)
		}
		rows = append(rows, []string{ratio.Load, ratio.Against, times(ratio.Rate), cpu})
	}
	fmt.Fprintf(w, "\n%s, as so many times the\n", r.Stage)
	return table(w, "LOAD OF ENVELOPES/S CPU/ENVELOPE", rows)
}

// figure is a duration with three digits.
func figure(d time.Duration) string {
	for _, step := range []time.Duration{time.Millisecond, time.Microsecond} {
		if d >= 10*step {
			return d.Round(step / 10).String()
		}
	}
	return d.String()
}

func times(ratio float64) string {
	if ratio >= 100 {
		return strconv.FormatFloat(ratio, 'f', 0, 64) + "x"
	}
	return strconv.FormatFloat(ratio, 'g', 3, 64) + "x"
}

// closeInTurn closes what was opened, last first.
func closeInTurn(closers []func() error) error {
	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
