package main

import (
	"fmt"
	"strings"

	"github.com/claudemesh/broker/core/adopt"
)

// printImport prints one line for each mesh, and then what is to be said.
func (p *program) printImport(r *adopt.Report, asJSON bool) error {
	if asJSON {
		return p.json(r)
	}
	if r.DryRun {
		fmt.Fprintln(p.out, "dry run: nothing was written")
	}
	var rows [][]string
	for _, m := range r.Meshes {
		rows = append(rows, []string{
			printable(m.Slug), printable(m.ID), counted(m.Members), counted(m.Invites), counted(m.States), counted(m.Messages),
			counted(m.Audit), verdict(m.Chain),
		})
	}
	if err := table(p.out, "MESH ID MEMBERS INVITES STATES MESSAGES AUDIT CHAIN", rows); err != nil {
		return err
	}
	for _, m := range r.Meshes {
		if line := others(m); line != "" {
			fmt.Fprintf(p.out, "%s: %s\n", printable(m.Slug), line)
		}
	}
	for _, text := range r.Missing {
		fmt.Fprintln(p.out, "the original's database has no", text)
	}
	for _, text := range r.Warnings {
		fmt.Fprintln(p.out, text)
	}
	for _, m := range r.Meshes {
		for _, n := range m.Notes {
			fmt.Fprintln(p.out, noted(m.Slug, n))
		}
		if c := m.Chain; c.Known > 0 {
			fmt.Fprintf(p.out, "%s: the original hashed %d audit entries wrongly itself, sends that named no priority%s\n",
				printable(m.Slug), c.Known, map[bool]string{true: "; nothing else is wrong with the chain"}[c.Explained])
		}
	}
	return nil
}

// others says what became of the rows that have no column.
func others(m adopt.MeshReport) string {
	var parts []string
	for _, x := range []struct {
		what string
		n    adopt.Count
	}{
		{"accounts", m.Accounts}, {"values", m.Values}, {"memories", m.Memories}, {"contexts", m.Contexts}, {"tasks", m.Tasks},
		{"schedules", m.Schedules}, {"topics", m.Topics}, {"seats in topics", m.Seats}, {"copies of topic keys", m.TopicKeys},
		{"topic messages", m.History}, {"notifications", m.Notifications}, {"streams", m.Streams}, {"skills", m.Skills},
		{"secrets", m.Vault}, {"API keys", m.APIKeys}, {"webhooks", m.Webhooks},
	} {
		if x.n != (adopt.Count{}) {
			parts = append(parts, x.what+" "+counted(x.n))
		}
	}
	return strings.Join(parts, "; ")
}

// counted is one cell: what was imported, was here, and was skipped.
func counted(c adopt.Count) string {
	var parts []string
	for _, x := range []struct {
		n    int64
		what string
	}{{c.Added, "new"}, {c.Present, "here"}, {c.Skipped, "skipped"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

func verdict(c adopt.Chain) string {
	if c.Valid {
		return "intact"
	}
	return fmt.Sprintf("BROKEN at entry %d: %s", c.BrokenAt, c.Why)
}

// noted is one line on rows of a mesh that were skipped or changed.
func noted(slug string, n adopt.Note) string {
	line := fmt.Sprintf("%s: %d %s", printable(slug), n.Rows, n.Kind)
	if n.Rows != 1 {
		line += " rows"
	}
	if n.Skipped {
		line += " skipped"
	}
	line += ": " + printable(n.Why)
	if len(n.IDs) == 0 {
		return line
	}
	line += " (" + printable(strings.Join(n.IDs, ", "))
	if n.Rows > int64(len(n.IDs)) {
		line += ", …"
	}
	return line + ")"
}
