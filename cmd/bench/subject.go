package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/claudemesh/broker/core/admin"
)

// subject is a server with its settings, and the peers that it gets.
type subject struct {
	Server     string `json:"server"`
	Durability string `json:"durability,omitempty"`
	Peers      string `json:"peers,omitempty"`
}

// String names the subject in reports.
func (s subject) String() string {
	if s.Server == bareRelay {
		return "relay"
	}
	return "broker, " + s.Durability + ", " + s.Peers + " peers"
}

// host starts subjects on this machine.
type host struct {
	self       string // this program
	broker     string // the broker's own program; empty: bench serve
	dir        string // for stores
	cpu        int    // core of the server
	loadCPU    int    // core of the generator
	codec      string // the relay's JSON library
	cpuProfile string
	memProfile string
	errs       io.Writer
}

// trial is one subject under one load.
type trial struct {
	subject
	scenario scenario
	load     load
}

// measure starts the trial's server on a fresh store, puts the load on it, and
// stops it.
func (h *host) measure(ctx context.Context, t trial) (_ []*result, err error) {
	dir, err := os.MkdirTemp(h.dir, "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing hangs on it
	argv := []string{h.self, "relay", "--listen", "127.0.0.1:0", "--codec", h.codec}
	meshes := func() ([]*admin.NewMesh, error) { return nil, nil }
	if t.Server == fullBroker {
		if argv, meshes, err = h.prepare(ctx, t, dir); err != nil {
			return nil, err
		}
	}
	s, err := startServer(ctx, pinned(h.self, h.cpu, argv), h.errs)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := s.stop(); err == nil {
			err = stopped
		}
	}()
	work := &task{
		Scenario: t.scenario.name, Server: t.Server, URL: s.url, PID: s.pid(), Peers: t.Peers, load: t.load,
		Collects: t.Server == bareRelay || h.broker == "",
	}
	if work.Meshes, err = meshes(); err != nil {
		return nil, err
	}
	return runLoad(ctx, pinned(h.self, h.loadCPU, []string{h.self, "load"}), work, h.errs)
}

// prepare writes the broker's config and makes its meshes. It returns the
// command line of the server and, once that is ready, the meshes.
func (h *host) prepare(ctx context.Context, t trial, dir string) (argv []string, meshes func() ([]*admin.NewMesh, error), err error) {
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte(configText(t.Durability)), 0o600); err != nil {
		return nil, nil, err
	}
	count, members := t.scenario.members(t.load)
	common := []string{"--config", file, "--data-dir", filepath.Join(dir, "data")}
	serve := append([]string{"serve", "--listen", "127.0.0.1:0"}, common...)
	if h.broker != "" {
		made, err := h.createMeshes(ctx, count, members, common)
		return append([]string{h.broker}, serve...), func() ([]*admin.NewMesh, error) { return made, nil }, err
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, nil, err
	}
	meshFile := filepath.Join(dir, "meshes.json")
	argv = append([]string{h.self}, append(serve, "--meshes", strconv.Itoa(count), "--members", strconv.Itoa(members),
		"--mesh-file", meshFile, "--cpuprofile", h.cpuProfile, "--memprofile", h.memProfile)...)
	return argv, func() (made []*admin.NewMesh, err error) {
		b, err := os.ReadFile(meshFile)
		if err != nil {
			return nil, err
		}
		return made, json.Unmarshal(b, &made)
	}, nil
}

// createMeshes makes meshes with the broker's own command line.
func (h *host) createMeshes(ctx context.Context, count, members int, common []string) ([]*admin.NewMesh, error) {
	var made []*admin.NewMesh
	for range count {
		args := append([]string{"mesh", "create", "bench", "--json", "--members", strconv.Itoa(members)}, common...)
		cmd := exec.CommandContext(ctx, h.broker, args...)
		cmd.Stderr = h.errs
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

// configText is the broker's default config without the limits that the load
// would meet.
func configText(durability string) string {
	return `store: {durability: ` + durability + `}
log: {level: warn}
limits: {connections_per_mesh: 1000000}
pipeline:
  - stage: auth
  - stage: grants
  - stage: rate-limit
    with: {send: "off"}
  - stage: route
  - stage: audit
`
}
