package main

import (
	"cmp"
	"context"
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
claimed; in the place of a name is then the number of its connection, as in the log. HTTP
requests have their status behind the reason.`,
		Example: "  broker refusals --mesh home -n 5\n" +
			"  broker refusals --reason rate_limit --follow -n 0\n" +
			"  broker refusals --stage grants --json",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case q.Most < 0:
				return usage(c, "-n must not be below 0")
			case q.Most == 0 && !q.follow:
				return usage(c, "-n must be above 0, unless --follow is there")
			}
			q.Reason = sdk.Reason(q.reason)
			return p.withBroker(c.Context(), func(s *control.Session) error { return p.refusals(c.Context(), s, q) })
		},
	}
	f := c.Flags()
	f.StringVar(&q.Mesh, "mesh", "", "only of this mesh: its id or slug")
	f.StringVar(&q.reason, "reason", "", "only with this reason, as docs/errors.md has it")
	f.StringVar(&q.Stage, "stage", "", "only of this link of the pipeline; "+admin.NoStage+" for what no stage refused")
	f.IntVarP(&q.Most, "number", "n", 50, "at most so many, the newest; with --follow of those before it, and 0 for none")
	f.BoolVar(&q.follow, "follow", false, "and go on with what is refused from now on")
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
		fmt.Fprintln(p.out, q.nothing(answer))
		return nil
	}
	w := p.refusalWriter(q)
	if q.Most == 0 {
		answer.Refusals = nil
	}
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

// nothing says that nothing is there, and what is instead.
func (q *refusalQuestion) nothing(answer *admin.Refusals) string {
	var filters, there []string
	if q.Mesh != "" {
		filters = append(filters, "--mesh "+q.Mesh)
	}
	if q.reason != "" {
		filters, there = append(filters, "--reason "+q.reason), append(there, answer.Reasons...)
	}
	if q.Stage != "" {
		filters, there = append(filters, "--stage "+q.Stage), append(there, answer.Stages...)
	}
	if len(filters) == 0 || answer.Held == 0 {
		return "nothing was refused"
	}
	text := fmt.Sprintf("none of the %d that are remembered is %s", answer.Held, strings.Join(filters, " "))
	if len(there) > 0 {
		text += "; there are: " + strings.Join(there, ", ")
	}
	return printable(text)
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
		for i := range list {
			if err := writeJSON(w.out, &list[i], ""); err != nil {
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
	who := cmp.Or(r.Name, r.MemberID)
	if who == "" && r.Conn != 0 {
		who = fmt.Sprint("conn ", r.Conn)
	}
	row := []string{r.At.Local().Format("2006-01-02 15:04:05 MST"), string(r.Kind), cmp.Or(r.Slug, r.Mesh), who, r.Stage, reason, r.Text, r.TraceID}
	for i := range row {
		row[i] = printable(cmp.Or(row[i], "-"))
	}
	return row
}
