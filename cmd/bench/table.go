package main

import (
	"fmt"
	"slices"
	"strings"
)

// column is one column of a scenario's table.
type column struct {
	head string
	cell func(row) string
}

// writeTable writes the rows of one scenario.
func writeTable(b *strings.Builder, rows []row) {
	fmt.Fprintf(b, "\n### %s: %s\n\n", rows[0].Scenario, describeLoad(rows[0]))
	columns := append(columnsOf(rows[0].Scenario), sharedColumns(rows)...)
	var heads, lines []string
	for i, c := range columns {
		heads = append(heads, c.head)
		line := "---:"
		if i == 0 {
			line = "---"
		}
		lines = append(lines, line)
	}
	writeLine(b, heads)
	writeLine(b, lines)
	for _, r := range rows {
		var cells []string
		for _, c := range columns {
			cells = append(cells, c.cell(r))
		}
		writeLine(b, cells)
	}
	for _, r := range rows {
		if r.Median.Denial != "" {
			fmt.Fprintf(b, "\n%s refused: %s\n", r.Subject, r.Median.Denial)
		}
	}
}

func writeLine(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func describeLoad(r row) string {
	l := r.Load
	switch r.Scenario {
	case "topic":
		return fmt.Sprintf("one of %d peers posts to all others, window %d, %d-byte bodies, %g s; each copy counts", l.Count, l.Window, l.Body, l.Seconds)
	case "http":
		return fmt.Sprintf("%d posts at a time to %d peers, %d-byte bodies, %g s", l.Window, l.Count, l.Body, l.Seconds)
	case "direct", "audit":
		return fmt.Sprintf("%d peers, window %d, %d-byte bodies, %g s", l.Count, l.Window, l.Body, l.Seconds)
	case "open":
		return fmt.Sprintf("%d peers, %d messages/s in all, %d-byte bodies, %g s", l.Count, l.Rate, l.Body, l.Seconds)
	case "connect":
		return fmt.Sprintf("%d dialers, each in its own mesh, %g s", l.Count, l.Seconds)
	case "storm":
		return fmt.Sprintf("%d dialers in one mesh, %g s", l.Count, l.Seconds)
	case "idle":
		return fmt.Sprintf("%d connections", l.Count)
	default:
		return fmt.Sprintf("%d active peers, window %d, %d-byte bodies, %g s each", l.Count, l.Window, l.Body, l.Seconds)
	}
}

// columnsOf returns what a scenario is about.
func columnsOf(scenario string) []column {
	name := column{"server", func(r row) string { return r.Subject.String() }}
	rate := column{"per second", func(r row) string { return fmt.Sprintf("%.0f", r.Median.Rate) }}
	cpu := column{"CPU µs each", func(r row) string { return fmt.Sprintf("%.1f", r.Median.ServerCPU) }}
	toRelay := func(value func(ratios) float64) column {
		return column{"× relay", func(r row) string { return times(value(r.ToRelay)) }}
	}
	latency := []column{
		{"p50 ms", func(r row) string { return millis(r.Median.P50) }},
		{"p95 ms", func(r row) string { return millis(r.Median.P95) }},
		{"p99 ms", func(r row) string { return millis(r.Median.P99) }},
		{"p99 × relay", func(r row) string { return times(r.ToRelay.P99) }},
	}
	health := []column{
		{"faults", func(r row) string { return faultText(r.Median.Faults) }},
		{"busy server / generator / others", func(r row) string {
			return fmt.Sprintf("%.0f / %.0f / %.0f %%", 100*r.Median.ServerBusy, 100*r.Median.LoadBusy, 100*r.Median.OthersBusy)
		}},
	}
	byRate := toRelay(func(r ratios) float64 { return r.Rate })
	byCPU := toRelay(func(r ratios) float64 { return r.CPU })
	switch scenario {
	case "idle":
		return []column{
			name,
			{"KiB each", func(r row) string { return fmt.Sprintf("%.1f", r.Median.Resident) }},
			toRelay(func(r ratios) float64 { return r.Resident }),
			{"KiB each, garbage collected", func(r row) string { return fmt.Sprintf("%.1f", r.Median.Collected) }},
			toRelay(func(r ratios) float64 { return r.Collected }),
		}
	case "growth":
		grown := column{"CPU × smallest", func(r row) string { return times(r.ToFirst.CPU) }}
		idle := column{"idle connections", func(r row) string { return fmt.Sprint(r.Median.Idle) }}
		return append([]column{name, idle, rate, cpu, grown, latency[0], latency[2]}, health...)
	case "connect", "storm":
		return append([]column{name, rate, byRate, cpu, byCPU}, latency[0], latency[2], health[1])
	case "open":
		p50 := column{"p50 × relay", func(r row) string { return times(r.ToRelay.P50) }}
		return append(append([]column{name, rate, cpu, byCPU}, append(latency, p50)...), health...)
	case "topic", "http":
		direct := column{"rate, CPU, p50 × direct", func(r row) string {
			return strings.Join([]string{times(r.ToDirect.Rate), times(r.ToDirect.CPU), times(r.ToDirect.P50)}, ", ")
		}}
		return append(append([]column{name, rate, byRate, cpu, byCPU, direct}, latency...), health...)
	default:
		return append(append([]column{name, rate, byRate, cpu, byCPU}, latency...), health...)
	}
}

// sharedColumns returns what is about PostgreSQL and about several replicas,
// where there are such rows.
func sharedColumns(rows []row) (list []column) {
	if slices.ContainsFunc(rows, func(r row) bool { return r.Subject.Store == postgresStore }) {
		list = append(list,
			column{"CPU µs of PostgreSQL / NATS", func(r row) string {
				return fmt.Sprintf("%.1f / %.1f", r.Median.DatabaseCPU, r.Median.BusCPU)
			}},
			column{"PostgreSQL busy", func(r row) string { return fmt.Sprintf("%.0f %%", 100*r.Median.DatabaseBusy) }},
			column{"commits each", func(r row) string { return fmt.Sprintf("%.3f", r.Median.Commits) }},
			column{"without a row / read back", func(r row) string {
				return fmt.Sprintf("%.0f / %.0f %%", 100*r.Median.Rowless, 100*r.Median.Drained)
			}},
			column{"audit entries verified / acknowledged", func(r row) string {
				return fmt.Sprintf("%d / %d", r.Median.Audited, r.Median.Acked)
			}})
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r.Subject.Replicas > 1 }) {
		list = append(list, column{"rate, p50, p95, p99 × same node, or a single broker", func(r row) string {
			to := r.ToSimpler
			return strings.Join([]string{times(to.Rate), times(to.P50), times(to.P95), times(to.P99)}, ", ")
		}})
	}
	return list
}

func times(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", ratio)
}

func millis(micros float64) string { return fmt.Sprintf("%.2f", micros/1000) }

// faultText names the faults that occurred.
func faultText(f faults) string {
	if f.total() == 0 {
		return "0"
	}
	var parts []string
	for _, part := range []struct {
		name  string
		count int64
	}{
		{"lost", f.Lost}, {"duplicated", f.Duplicated}, {"reordered", f.Reordered},
		{"corrupt", f.Corrupt}, {"refused", f.Refused},
	} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.name))
		}
	}
	return strings.Join(parts, ", ")
}
