package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/nearest"
	"github.com/claudemesh/broker/core/pluginhost"
)

func (p *program) pluginStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status LINK",
		Short: "Show how a link's plugin is doing, and why",
		Long: `Shows the process of a link's plugin, why it is down when it is, how it ended last and
what it printed before, and the figures of the hop to it. Of two chains that run at the
same time during a reload, both are shown.`,
		Example: "  broker plugin status office-hours\n  broker plugin status office-hours --json",
		Args:    takes("LINK"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				list, err := s.ListPlugins(c.Context())
				if err != nil {
					return err
				}
				found, err := ofLink(list, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(found)
				}
				for _, each := range found {
					printPluginStatus(p.out, each)
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list, with one element but during a reload")
	return c
}

func (p *program) pluginResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume LINK",
		Short: "Start a plugin again that was given up after too many crashes",
		Long: `A plugin that crashes again and again is quarantined: the broker starts it no more, and
its link's on_failure decides. When the cause is gone, this starts it again; broker plugin
status shows how that went.`,
		Example: "  broker plugin resume office-hours",
		Args:    takes("LINK"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				if err := s.ResumePlugin(c.Context(), args[0]); err != nil {
					return err
				}
				fmt.Fprintf(p.out, "%s is started again; broker plugin status %s shows how it goes\n", args[0], args[0])
				return nil
			})
		},
	}
}

// ofLink returns the plugins of a link: two during a reload.
func ofLink(list []pluginhost.Status, link string) (found []pluginhost.Status, err error) {
	var names []string
	for _, s := range list {
		names = append(names, s.Link)
		if s.Link == link {
			found = append(found, s)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	text := "no link " + quoted(link) + " has a plugin: broker plugin list shows those that do"
	if near := nearest.Of(link, names); near != "" {
		text += "; did you mean " + near + "?"
	}
	return nil, core.Refuse("not_found", text)
}

// printPluginStatus prints what is known, and leaves out what is not.
func printPluginStatus(w io.Writer, s pluginhost.Status) {
	fmt.Fprintf(w, "%s: %s", s.Link, s.Phase)
	if !s.Since.IsZero() {
		fmt.Fprintf(w, " since %s", at(s.Since))
	}
	if s.PID != 0 {
		fmt.Fprintf(w, ", process %d", s.PID)
	}
	fmt.Fprintln(w)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s.Down != "" {
		line("down", "%s", printable(s.Down))
	}
	if !s.Next.IsZero() {
		line("next start", "%s", at(s.Next))
	}
	if s.Phase == "quarantined" {
		line("what to do", "mend it, then broker plugin resume %s", s.Link)
	}
	printPluginProgram(line, s)
	if s.PID != 0 {
		line("uses", "%.1f MiB, %.2f s of CPU since its start", float64(s.Usage.RSSBytes)/(1<<20), s.Usage.CPUSeconds)
	}
	printPluginEnds(line, s)
	printHop(line, s)
}

// printPluginProgram says what was started, as what, and with which rights.
func printPluginProgram(line func(string, string, ...any), s pluginhost.Status) {
	line("program", "%s", s.Path)
	switch {
	case s.Pinned:
		line("sha256", "%s, pinned", s.SHA256)
	case s.SHA256 != "":
		line("sha256", "%s, not pinned (broker plugin pin %s)", s.SHA256, s.Link)
	default:
		line("sha256", "not pinned (broker plugin pin %s)", s.Link)
	}
	if s.Name != "" {
		line("plugin", "%s %s, %s, %s", printable(s.Name), printable(s.Version), printable(s.SDK), printable(s.Language))
	}
	grants := "nothing"
	if len(s.Grants) > 0 {
		grants = strings.Join(s.Grants, ", ")
	}
	line("stage", "%s, %s, granted: %s", s.Stage, s.Role, grants)
	if len(s.Kinds) > 0 {
		line("kinds", "%s", strings.Join(s.Kinds, ", "))
	}
}

// printPluginEnds says how the process ended that was there before.
func printPluginEnds(line func(string, string, ...any), s pluginhost.Status) {
	if n := restarts(s); n > 0 {
		line("restarts", "%d: %s", n, byName(s.Restarts))
	}
	if s.LastExit == "" {
		return
	}
	line("last end", "%s, %s", at(s.ExitedAt), printable(s.LastExit))
	const most = 20 // lines
	stderr := strings.Split(strings.TrimRight(s.Stderr, "\n"), "\n")
	if left := len(stderr) - most; left > 0 {
		line("stderr", "(%d lines before are in --json)", left)
		stderr = stderr[left:]
	}
	for _, text := range stderr {
		if text != "" {
			line("stderr", "%s", printable(text))
		}
	}
}

// printHop prints the figures of the hop, once it was used.
func printHop(line func(string, string, ...any), s pluginhost.Status) {
	h := s.Hop
	if h.Window == 0 && h.Batches == 0 {
		return
	}
	line("breaker", "%s", h.Breaker)
	line("window", "%d, %d in hand, %d waiting", h.Window, h.InHand, h.Waiting)
	if h.Batches > 0 {
		line("batches", "%d, of %.1f envelopes; an envelope waited %v for its batch", h.Batches,
			float64(h.Sent)/float64(h.Batches), mean(h.Queued, h.Sent))
	}
	if h.Answered > 0 {
		line("crossing", "%v for a batch and back", mean(h.Crossing, h.Answered))
	}
	if len(h.Failures) > 0 {
		line("failures", "%s", byName(h.Failures))
	}
	for _, each := range []struct {
		n    uint64
		name string
		what string
	}{
		{h.Late, "late", "answers after the deadline"},
		{h.Replayed, "replayed", "envelopes asked again after a crash"},
		{h.Breaches, "breaches", "answers against the protocol"},
		{h.Missed, "missed", "outcomes not told, because the plugin was behind"},
	} {
		if each.n > 0 {
			line(each.name, "%d %s", each.n, each.what)
		}
	}
}

// mean is rounded to what a person reads.
func mean(sum time.Duration, n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return (sum / time.Duration(n)).Round(100 * time.Nanosecond)
}

// byName prints numbers by name, in the order of the names.
func byName[N int | uint64](m map[string]N) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(parts, ", ")
}
