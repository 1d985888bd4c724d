package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is everything that bench run found out.
type report struct {
	Machine  machine    `json:"machine"`
	Began    time.Time  `json:"began"`
	Runs     int        `json:"runs"`
	Measured []measured `json:"measured"`
	Summary  []row      `json:"summary"`
}

// machine says where it was measured.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// measured is one result with its circumstances.
type measured struct {
	Scenario string  `json:"scenario"`
	Run      int     `json:"run"`
	Subject  subject `json:"subject"`
	Load     load    `json:"load"`
	Result   *result `json:"result"`
}

// row is the medians of one subject in one scenario.
type row struct {
	Scenario string  `json:"scenario"`
	Subject  subject `json:"subject"`
	Load     load    `json:"load"`
	Median   result  `json:"median"`
	ToRelay  ratios  `json:"to_relay"` // zero where there was no relay
	ToFirst  ratios  `json:"to_first"` // of growth: to the smallest mesh

	ToDirect  ratios `json:"to_direct"`  // to direct messages of the same run, where they were measured
	ToSimpler ratios `json:"to_simpler"` // of several replicas: across nodes to the same node, same node to a single broker
}

// ratios are medians of the ratios within one run.
type ratios struct {
	Rate      float64 `json:"per_second,omitempty"`
	CPU       float64 `json:"server_cpu,omitempty"`
	P50       float64 `json:"p50,omitempty"`
	P95       float64 `json:"p95,omitempty"`
	P99       float64 `json:"p99,omitempty"`
	Resident  float64 `json:"resident,omitempty"`
	Collected float64 `json:"resident_collected,omitempty"`
}

func describeMachine() machine {
	m := machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: runtime.GOOS, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(b))
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "model name"); ok {
			m.CPU = strings.TrimLeft(name, "\t :")
			break
		}
	}
	return m
}

// summarize makes the rows of what was measured, in the order of the first run.
func (r *report) summarize() {
	r.Summary = nil
	for _, m := range r.Measured {
		if m.Run == 0 {
			r.Summary = append(r.Summary, r.row(m))
		}
	}
}

// row makes the row of a result of the first run.
func (r *report) row(first measured) row {
	same := r.like(first.Scenario, first.Subject, first.Result.Idle)
	out := row{Scenario: first.Scenario, Subject: first.Subject, Load: first.Load, Median: medians(same)}
	out.Median.Idle = first.Result.Idle
	out.ToRelay = compare(same, r.like(first.Scenario, subject{Server: bareRelay}, first.Result.Idle))
	if first.Scenario != "direct" {
		out.ToDirect = compare(same, r.like("direct", first.Subject, 0))
	}
	if simpler, ok := first.Subject.simpler(); ok {
		out.ToSimpler = compare(same, r.like(first.Scenario, simpler, first.Result.Idle))
	}
	if sizes := first.Load.Sizes; len(sizes) > 0 {
		out.ToFirst = compare(same, r.like(first.Scenario, first.Subject, sizes[0]))
	}
	return out
}

// like returns the results of one subject, by run.
func (r *report) like(scenario string, s subject, idle int) (list []*result) {
	list = make([]*result, r.Runs)
	for _, m := range r.Measured {
		if m.Scenario == scenario && m.Subject == s && m.Result.Idle == idle {
			list[m.Run] = m.Result
		}
	}
	return list
}

// medians returns the median of each number, and the sum of all faults.
func medians(list []*result) (out result) {
	fields := func(r *result) []*float64 {
		return []*float64{
			&r.Seconds, &r.Rate, &r.ServerCPU, &r.LoadCPU, &r.ServerBusy, &r.LoadBusy, &r.OthersBusy,
			&r.P50, &r.P95, &r.P99, &r.Worst, &r.Resident, &r.Collected,
			&r.DatabaseCPU, &r.DatabaseBusy, &r.BusCPU, &r.Commits, &r.Rowless, &r.Drained,
		}
	}
	for i, to := range fields(&out) {
		var values []float64
		for _, r := range list {
			values = append(values, *fields(r)[i])
		}
		*to = median(values)
	}
	for _, r := range list {
		out.Count += r.Count
		out.Audited += r.Audited
		out.Acked += r.Acked
		out.Faults.add(r.Faults)
		if out.Denial == "" {
			out.Denial = r.Denial
		}
	}
	return out
}

// compare returns the medians of the ratios of results to others of the same
// run.
func compare(list, others []*result) ratios {
	ratio := func(value func(*result) float64) float64 {
		var values []float64
		for run, r := range list {
			if o := others[run]; o != nil && value(o) != 0 {
				values = append(values, value(r)/value(o))
			}
		}
		return median(values)
	}
	return ratios{
		Rate:      ratio(func(r *result) float64 { return r.Rate }),
		CPU:       ratio(func(r *result) float64 { return r.ServerCPU }),
		P50:       ratio(func(r *result) float64 { return r.P50 }),
		P95:       ratio(func(r *result) float64 { return r.P95 }),
		P99:       ratio(func(r *result) float64 { return r.P99 }),
		Resident:  ratio(func(r *result) float64 { return r.Resident }),
		Collected: ratio(func(r *result) float64 { return r.Collected }),
	}
}

// median returns the middle of values, the mean of both middles of an even
// number, and 0 of none.
func median(values []float64) float64 {
	slices.Sort(values)
	switch n := len(values); {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	default:
		return (values[n/2-1] + values[n/2]) / 2
	}
}

// markdown writes a table for each scenario.
func (r *report) markdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, %s; medians of %d runs, × is the median of the ratios within a run.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Runs)
	for i := 0; i < len(r.Summary); {
		end := i
		for end < len(r.Summary) && r.Summary[end].Scenario == r.Summary[i].Scenario {
			end++
		}
		writeTable(&b, r.Summary[i:end])
		i = end
	}
	_, err := io.WriteString(out, b.String())
	return err
}
