package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// plan is what bench run was asked for.
type plan struct {
	host
	scenarios    []string
	server       string
	durabilities []string
	generations  []string
	stores       []string
	buses        []string
	replicas     []int
	pairs        []string
	runs         int
	load         load    // zero fields take the scenario's own
	others       float64 // cores that others may have during a trial; 0 takes what comes
	json         bool
}

const runExample = `  bench run                                                  # 100 peers, window 16, relay and broker
  bench run --peers 1000 --window 4 --durability power,process
  bench run --scenario open,connect,idle,growth --runs 1
  bench run --server broker --runs 1 --cpuprofile cpu.out
  bench run --store sqlite,postgres --database-url postgres://postgres@127.0.0.1:5499/postgres
  bench run --store postgres --replicas 1,2 --bus postgres,nats --pairs same,cross --scenario open --database-url …`

func newRunCommand() *cobra.Command {
	var p plan
	c := &cobra.Command{
		Use:     "run",
		Short:   "Starts servers, puts load on them, and reports ratios",
		Long:    "Starts servers, puts load on them, and reports ratios. Scenarios:\n\n" + scenarioList(),
		Example: runExample,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			p.errs = &oneAtATime{to: c.ErrOrStderr()}
			if p.self, err = os.Executable(); err != nil {
				return err
			}
			return p.run(c.Context(), c.OutOrStdout())
		},
	}
	p.flags(c)
	return c
}

func scenarioList() string {
	var b strings.Builder
	for _, s := range scenarios() {
		fmt.Fprintf(&b, "  %-8s %s\n", s.name, s.doc)
	}
	return b.String()
}

func (p *plan) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&p.scenarios, "scenario", []string{"direct"}, "what to measure, with commas between, or all")
	f.StringVar(&p.server, "server", "both", "relay, broker or both; without the relay there are no ratios")
	f.StringSliceVar(&p.durabilities, "durability", []string{"power"}, "of the broker: power, process")
	f.StringSliceVar(&p.generations, "clients", nil, "peers of the broker: old (hello with session key, pongs), new (session_hello, client_ack, ids), member (hello alone); default old, for connections member")
	f.StringSliceVar(&p.stores, "store", []string{sqliteStore}, "of the broker: sqlite, postgres")
	f.StringVar(&p.databaseURL, "database-url", "", "URL of a role that may create databases on a PostgreSQL on this machine, for --store postgres; each trial has a database of its own")
	f.IntSliceVar(&p.replicas, "replicas", []int{1}, "brokers that share a PostgreSQL; peers take turns with them")
	f.StringSliceVar(&p.buses, "bus", []string{postgresBus}, "between several replicas: postgres, nats")
	f.StringSliceVar(&p.pairs, "pairs", []string{samePairs}, "sender and recipient on the same replica, or across two: same, cross")
	f.IntVar(&p.runs, "runs", 3, "how often to measure; the report has medians")
	f.Float64Var(&p.load.Seconds, "seconds", 0, "how long to measure, after a fifth more to warm up")
	f.IntVar(&p.load.Count, "peers", 0, "peers; dialers for connections, connections for idle, active peers for growth")
	f.IntVar(&p.load.Window, "window", 0, "messages of one peer that are under way at a time")
	f.IntVar(&p.load.Body, "body", 0, "bytes of a body, 32 at least")
	f.IntVar(&p.load.Rate, "rate", 0, "messages a second in the open loop")
	f.IntSliceVar(&p.load.Sizes, "sizes", nil, "idle connections beside the active ones in growth")
	f.StringVar(&p.broker, "broker", "", "the broker's program; default: the broker inside bench serve")
	f.StringVar(&p.codec, "relay-codec", "own", "JSON library of the relay: own is the broker's, std the standard one")
	f.StringVar(&p.dir, "dir", "", "directory for stores; its disk counts. Default: the system's for temporary files")
	f.IntVar(&p.cpu, "server-cpu", 0, "core of the server, -1 for any")
	f.IntVar(&p.loadCPU, "load-cpu", 1, "core of the generator, -1 for any")
	f.StringVar(&p.extra, "pipeline", "", "file with entries of a pipeline, such as a plugin, to put before the route; needs --broker where they have plugins")
	f.IntVar(&p.databaseCPU, "database-cpu", anyCPU, "core of PostgreSQL, which is moved there and stays; -1 leaves it where it is")
	f.StringVar(&p.cpuProfile, "cpuprofile", "", "file for a CPU profile of the broker, of several the first, of the last run")
	f.StringVar(&p.memProfile, "memprofile", "", "file for a profile of what the broker allocated, of several the first, of the last run")
	f.Float64Var(&p.others, "max-others", 0, "repeat what was measured while others had more cores than this, such as 0.2; 0 takes what comes")
	f.BoolVar(&p.json, "json", false, "print JSON instead of a Markdown table")
}

// run measures everything and writes the report.
func (p *plan) run(ctx context.Context, out io.Writer) error {
	trials, err := p.trials()
	if err != nil {
		return err
	}
	if err := needFiles(p.files(trials)); err != nil {
		return err
	}
	report := report{Machine: describeMachine(), Began: time.Now().UTC().Truncate(time.Second), Runs: p.runs}
	for run := range p.runs { // of all scenarios, so that those of one run are close to each other
		for _, same := range trials {
			if err := p.compare(ctx, &report, same, run); err != nil {
				return err
			}
		}
	}
	report.summarize()
	if p.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	return report.markdown(out)
}

// compare measures all subjects of a scenario once. Every second run goes the
// other way round, so that a machine that becomes slower favours nobody.
func (p *plan) compare(ctx context.Context, r *report, trials []trial, run int) error {
	if run%2 == 1 {
		trials = slices.Clone(trials)
		slices.Reverse(trials)
	}
	for _, t := range trials {
		fmt.Fprintf(p.errs, "%s, run %d of %d: %s\n", t.scenario.name, run+1, p.runs, t.subject)
		results, err := p.undisturbed(ctx, t)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", t.scenario.name, t.subject, err)
		}
		for _, result := range results {
			r.Measured = append(r.Measured, measured{Scenario: t.scenario.name, Run: run, Subject: t.subject, Load: t.load, Result: result})
		}
	}
	return nil
}

// timeout is more than a trial can take.
func (t trial) timeout() time.Duration {
	steps := float64(max(1, len(t.load.Sizes)))
	return 5*time.Minute + time.Duration(steps*t.load.Seconds*(1+warmth)*float64(time.Second))
}

// trials returns, for each scenario, what to compare.
func (p *plan) trials() ([][]trial, error) {
	if len(p.scenarios) == 1 && p.scenarios[0] == "all" {
		p.scenarios = nil
		for _, s := range scenarios() {
			p.scenarios = append(p.scenarios, s.name)
		}
	}
	var all [][]trial
	for _, name := range p.scenarios {
		i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--scenario %s: there are\n%s", name, scenarioList())
		}
		s := scenarios()[i]
		subjects, err := p.subjects(s)
		if err != nil {
			return nil, err
		}
		load, err := p.load.over(s.defaults)
		if err != nil {
			return nil, err
		}
		if most := slices.Max(append([]int{1}, p.replicas...)); load.Count < 2*most {
			return nil, fmt.Errorf("--peers must be %d at least, two for each replica", 2*most)
		}
		var trials []trial
		for _, subject := range subjects {
			trials = append(trials, trial{subject: subject, scenario: s, load: load})
		}
		all = append(all, trials)
	}
	return all, nil
}

// subjects returns the servers to compare.
func (p *plan) subjects(s scenario) (list []subject, err error) {
	if !slices.Contains([]string{bareRelay, fullBroker, "both"}, p.server) {
		return nil, fmt.Errorf("--server %s: want relay, broker or both", p.server)
	}
	if p.server != fullBroker && !s.brokerOnly {
		list = append(list, subject{Server: bareRelay})
	}
	if p.server == bareRelay {
		return list, nil
	}
	generations := p.generations
	if len(generations) == 0 {
		generations = []string{s.peers}
	}
	if err := p.check(generations); err != nil {
		return nil, err
	}
	for _, stored := range p.stored() {
		for _, d := range p.durabilities {
			for _, g := range generations {
				stored.Server, stored.Durability, stored.Peers = fullBroker, d, g
				list = append(list, stored)
			}
		}
	}
	return list, nil
}

// stored returns the combinations of stores, replicas, buses and pairs. A single
// broker has no bus and no pairs.
func (p *plan) stored() (list []subject) {
	for _, st := range p.stores {
		for _, n := range p.replicas {
			if n == 1 {
				list = append(list, subject{Store: st, Replicas: 1})
				continue
			}
			if st == sqliteStore {
				continue
			}
			for _, b := range p.buses {
				for _, pairs := range p.pairs {
					list = append(list, subject{Store: st, Replicas: n, Bus: b, Pairs: pairs})
				}
			}
		}
	}
	return list
}

// check refuses settings that there are not.
func (p *plan) check(generations []string) error {
	for _, list := range []struct {
		flag          string
		given, allows []string
	}{
		{"durability", p.durabilities, []string{"power", "process"}},
		{"clients", generations, []string{oldPeers, newPeers, memberPeers}},
		{"store", p.stores, []string{sqliteStore, postgresStore}},
		{"bus", p.buses, []string{postgresBus, natsBus}},
		{"pairs", p.pairs, []string{samePairs, crossPairs}},
	} {
		for _, given := range list.given {
			if !slices.Contains(list.allows, given) {
				last := len(list.allows) - 1
				return fmt.Errorf("--%s %s: want %s or %s", list.flag, given, strings.Join(list.allows[:last], ", "), list.allows[last])
			}
		}
	}
	shared := slices.Contains(p.stores, postgresStore)
	most := slices.Max(append([]int{1}, p.replicas...))
	switch {
	case slices.Min(append([]int{1}, p.replicas...)) < 1:
		return errors.New("--replicas must be 1 at least")
	case shared && p.databaseURL == "":
		return errors.New("--store postgres needs --database-url, the URL of a role that may create databases")
	case shared && p.broker != "":
		return errors.New("--broker is for --store sqlite")
	case !shared && most > 1:
		return errors.New("several --replicas need --store postgres")
	}
	return nil
}

// over returns the load with what it leaves open taken from the defaults.
func (l load) over(defaults load) (load, error) {
	pick := func(own, other int) int {
		if own == 0 {
			return other
		}
		return own
	}
	l.Count, l.Window = pick(l.Count, defaults.Count), pick(l.Window, defaults.Window)
	l.Body, l.Rate = pick(l.Body, defaults.Body), pick(l.Rate, defaults.Rate)
	if l.Seconds == 0 {
		l.Seconds = defaults.Seconds
	}
	if l.Sizes == nil {
		l.Sizes = defaults.Sizes
	}
	switch {
	case defaults.Body > 0 && l.Body < stampSize:
		return l, fmt.Errorf("--body %d: a body has %d bytes at least", l.Body, stampSize)
	case l.Count < 2 || l.Seconds < 0 || l.Window < 0 || l.Rate < 0:
		return l, fmt.Errorf("--peers must be 2 at least, and no number may be below 0")
	}
	return l, nil
}

// files returns how many files and sockets one process of the trials needs.
func (p *plan) files(trials [][]trial) uint64 {
	most := 0
	for _, same := range trials {
		for _, t := range same {
			meshes, members := t.scenario.members(t.load)
			most = max(most, meshes*members)
		}
	}
	const others = 200 // the store's, the program's, connections that are closing
	return uint64(most + others)
}
