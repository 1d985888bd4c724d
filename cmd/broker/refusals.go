package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/sdk"
)

// followEvery is how often --follow asks. The broker keeps some hundred
// refusals, so that few are missed at a thousand a second.
const followEvery = 500 * time.Millisecond

// refusalQuestion is what the flags of broker refusals say.
type refusalQuestion struct {
	admin.RefusalOptions

	reason string
	follow bool
	asJSON bool
}

func (p *program) refusalsCommand() *cobra.Command {
	var q refusalQuestion
	c := &cobra.Command{
		Use:   "refusals",
		Short: "Show what a running broker has refused lately, and why",
		Long: `Shows the newest envelopes and requests that the broker refused: when, what they were, in
which mesh, whose, which stage decided, its reason, what the sender was told, and the trace
to look for. It remembers some hundred, and forgets them when it ends; of several replicas
each has its own. What has to be kept is in the audit log.

A sender that has not proved who it is has no name, and the mesh is the one that it
claimed. HTTP requests have their status behind the reason.`,
		Example: "  broker refusals --mesh home -n 5\n" +
			"  broker refusals --reason rate_limited --follow\n" +
			"  broker refusals --stage grants --json",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if q.Most < 1 {
				return usage(c, "-n must be above 0")
			}
			q.Reason = sdk.Reason(q.reason)
			return p.withBroker(c.Context(), func(s *control.Session) error { return p.refusals(c.Context(), s, q) })
		},
	}
	f := c.Flags()
	f.StringVar(&q.Mesh, "mesh", "", "only of this mesh: its id or slug")
	f.StringVar(&q.reason, "reason", "", "only with this reason, as docs/errors.md has it")
	f.StringVar(&q.Stage, "stage", "", "only of this link of the pipeline; "+admin.NoStage+" for what no stage refused")
	f.IntVarP(&q.Most, "number", "n", 50, "at most so many, the newest")
	f.BoolVar(&q.follow, "follow", false, "go on with what is refused from now on")
	f.BoolVar(&q.asJSON, "json", false, "print JSON: a list, or with --follow one object a line")
	return c
}

// refusals prints what there is, and with follow what comes, until ctx ends.
func (p *program) refusals(ctx context.Context, s *control.Session, q refusalQuestion) error {
	answer, err := s.ListRefusals(ctx, q.RefusalOptions)
	switch {
	case err != nil:
		return err
	case q.asJSON && !q.follow:
		return p.json(answer.Refusals)
	case !q.follow && len(answer.Refusals) == 0:
		fmt.Fprintln(p.out, "nothing was refused")
		return nil
	}
	w := p.refusalWriter(q)
	if err := w.print(answer.Refusals); err != nil || !q.follow {
		return err
	}
	q.After, q.Most = answer.Newest, 0
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		answer, err := s.ListRefusals(ctx, q.RefusalOptions)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := w.print(answer.Refusals); err != nil {
			return err
		}
		q.After = answer.Newest // lower than before when the broker was started again
	}
}

// refusalWriter prints refusals as they come.
type refusalWriter struct {
	out    io.Writer
	asJSON bool
	headed bool
}

func (p *program) refusalWriter(q refusalQuestion) *refusalWriter {
	return &refusalWriter{out: p.out, asJSON: q.asJSON}
}

func (w *refusalWriter) print(list []admin.Refusal) error {
	if w.asJSON {
		e := json.NewEncoder(w.out)
		e.SetEscapeHTML(false)
		for i := range list {
			if err := e.Encode(&list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	if !w.headed {
		fmt.Fprintln(t, "TIME\tKIND\tMESH\tWHO\tSTAGE\tREASON\tTEXT\tTRACE")
		w.headed = true
	}
	for i := range list {
		fmt.Fprintln(t, strings.Join(refusalRow(&list[i]), "\t"))
	}
	return t.Flush()
}

func refusalRow(r *admin.Refusal) []string {
	reason := string(r.Reason)
	if r.Status != 0 {
		reason += fmt.Sprintf(" (%d)", r.Status)
	}
	row := []string{at(r.At), string(r.Kind), cmp.Or(r.Slug, r.Mesh), cmp.Or(r.Name, r.MemberID), r.Stage, reason, r.Text, r.TraceID}
	for i := range row {
		row[i] = printable(cmp.Or(row[i], "-"))
	}
	return row
}
