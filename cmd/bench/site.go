package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/claudemesh/broker/core/admin"
)

// site is all that runs for one trial, but for the generator. It is for one
// goroutine.
type site struct {
	*host
	trial  trial
	dir    string // for stores and configs; removed after the trial
	config string // the brokers' config file

	servers  []*server
	bus      *server   // NATS; nil without
	database *database // nil without
	meshes   []*admin.NewMesh
}

// open starts everything. It is to be closed also when it fails.
func (s *site) open(ctx context.Context) error {
	if s.trial.Server == bareRelay {
		return s.start(ctx, []string{s.self, "relay", "--listen", "127.0.0.1:0", "--codec", s.codec})
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if s.broker != "" {
		return s.openProgram(ctx)
	}
	for n := range s.trial.Replicas {
		if err := s.openReplica(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes what the brokers need: a database, a bus, a config.
func (s *site) prepare(ctx context.Context) (err error) {
	var store, bus string
	if s.trial.Store == postgresStore {
		if s.database, err = createDatabase(ctx, s.databaseURL); err != nil {
			return err
		}
		if s.databaseCPU != anyCPU {
			if err := confine(s.database.postmaster, s.databaseCPU); err != nil {
				return fmt.Errorf("--database-cpu: %w", err)
			}
		}
		store = ", url: " + strconv.Quote(s.database.url)
	}
	if s.trial.Bus == natsBus {
		if s.bus, err = startServer(ctx, pinned(s.self, s.cpu, []string{s.self, "nats"}), s.errs); err != nil {
			return err
		}
		bus = "bus: {type: nats, nats: {urls: [" + strconv.Quote(s.bus.url) + "]}}\n"
	}
	s.config = filepath.Join(s.dir, "bench.yaml")
	extra, err := s.extraEntries()
	if err != nil {
		return err
	}
	text := "store: {durability: " + s.trial.Durability + store + "}\n" + bus + configText + extra + configEnd
	return os.WriteFile(s.config, []byte(text), 0o600)
}

// configText is the broker's default config without the limits that the load
// would meet.
const configText = `log: {level: warn}
limits: {connections_per_mesh: 1000000}
http: {per_address: "off", per_token: "off"}
pipeline:
  - stage: auth
  - stage: grants
  - stage: rate-limit
    with: {send: "off"}
`

const configEnd = `  - stage: route
  - stage: audit
`

// extraEntries returns what the caller wants before the route.
func (s *site) extraEntries() (string, error) {
	if s.extra == "" {
		return "", nil
	}
	b, err := os.ReadFile(s.extra)
	return string(b) + "\n", err
}

// common are the flags of all commands of the broker.
func (s *site) common() []string {
	return []string{"--config", s.config, "--data-dir", filepath.Join(s.dir, "data")}
}

// openProgram starts the broker's own program on a store that it has filled.
func (s *site) openProgram(ctx context.Context) (err error) {
	count, members := s.trial.scenario.members(s.trial.load)
	if s.meshes, err = s.createMeshes(ctx, count, members); err != nil {
		return err
	}
	return s.start(ctx, append([]string{s.broker, "serve", "--listen", "127.0.0.1:0"}, s.common()...))
}

// createMeshes makes meshes with the broker's own command line.
func (s *site) createMeshes(ctx context.Context, count, members int) ([]*admin.NewMesh, error) {
	var made []*admin.NewMesh
	for range count {
		args := append([]string{"mesh", "create", "bench", "--json", "--members", strconv.Itoa(members)}, s.common()...)
		cmd := exec.CommandContext(ctx, s.broker, args...)
		cmd.Stderr = s.errs
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("mesh create: %w", err)
		}
		m := new(admin.NewMesh)
		if err := json.Unmarshal(out, m); err != nil {
			return nil, fmt.Errorf("mesh create: %w", err)
		}
		made = append(made, m)
	}
	return made, nil
}

// openReplica starts the nth broker. The first one makes the meshes, and is the
// one that is profiled.
func (s *site) openReplica(ctx context.Context, n int) error {
	argv := append([]string{s.self, "serve", "--listen", "127.0.0.1:0"}, s.common()...)
	if n > 0 {
		return s.start(ctx, argv)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "data"), 0o700); err != nil {
		return err
	}
	meshFile := filepath.Join(s.dir, "meshes.json")
	count, members := s.trial.scenario.members(s.trial.load)
	argv = append(argv, "--meshes", strconv.Itoa(count), "--members", strconv.Itoa(members),
		"--mesh-file", meshFile, "--cpuprofile", s.cpuProfile, "--memprofile", s.memProfile)
	if err := s.start(ctx, argv); err != nil {
		return err
	}
	b, err := os.ReadFile(meshFile)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, &s.meshes)
}

// start starts one server.
func (s *site) start(ctx context.Context, argv []string) error {
	started, err := startServer(ctx, pinned(s.self, s.cpu, argv), s.errs)
	if err == nil {
		s.servers = append(s.servers, started)
	}
	return err
}

// task returns what the generator has to do here.
func (s *site) task() *task {
	t := &task{
		Scenario: s.trial.scenario.name, Server: s.trial.Server, Peers: s.trial.Peers, Pairs: s.trial.Pairs,
		Meshes: s.meshes, load: s.trial.load, Collects: s.trial.Server == bareRelay || s.broker == "",
	}
	for _, one := range s.servers {
		t.URLs = append(t.URLs, one.url)
		t.Processes.Servers = append(t.Processes.Servers, one.pid())
	}
	if s.bus != nil {
		t.Processes.Bus = s.bus.pid()
	}
	if s.database != nil {
		t.Processes.Postmaster = s.database.postmaster
	}
	return t
}

// stop ends the servers, whatever runs of them.
func (s *site) stop() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.stop())
	}
	s.servers = nil
	if s.bus != nil {
		errs = append(errs, s.bus.stop())
		s.bus = nil
	}
	return errors.Join(errs...)
}

// close ends everything, and removes the database.
func (s *site) close(ctx context.Context) error {
	err := s.stop()
	if s.database != nil {
		err = errors.Join(err, s.database.drop(context.WithoutCancel(ctx)))
	}
	return err
}

// audit verifies what the brokers have written to a shared store, and notes how
// much that is.
func (s *site) audit(ctx context.Context, results []*result) error {
	if s.database == nil {
		return nil
	}
	last := results[len(results)-1]
	entries, err := s.database.verify(ctx, s.meshes)
	if err != nil {
		return fmt.Errorf("after the load: %w", err)
	}
	if last.Audited = entries; entries < last.Acked {
		return fmt.Errorf("%d messages are acknowledged, and the audit chain has %d entries", last.Acked, entries)
	}
	return nil
}
