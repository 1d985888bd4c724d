package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Stores of a broker, and buses of several.
const (
	sqliteStore   = "sqlite"
	postgresStore = "postgres"
	postgresBus   = "postgres"
	natsBus       = "nats"
)

// subject is a server with its settings, and the peers that it gets.
type subject struct {
	Server     string `json:"server"`
	Durability string `json:"durability,omitempty"`
	Peers      string `json:"peers,omitempty"`
	Store      string `json:"store,omitempty"`
	Replicas   int    `json:"replicas,omitempty"`
	Bus        string `json:"bus,omitempty"`   // between several replicas
	Pairs      string `json:"pairs,omitempty"` // of several replicas: samePairs or crossPairs
}

// String names the subject in reports.
func (s subject) String() string {
	if s.Server == bareRelay {
		return "relay"
	}
	parts := []string{"broker", s.Durability, s.Peers + " peers"}
	if s.Replicas > 1 {
		parts[0] = fmt.Sprintf("%d brokers", s.Replicas)
		parts = append(parts, s.Bus+" bus", s.Pairs+" node")
	}
	if s.Store == postgresStore {
		parts[0] += " on PostgreSQL"
	}
	return strings.Join(parts, ", ")
}

// simpler returns the subject that this one is to be compared with: for messages
// across nodes those on the same node, for those a single broker. ok is false
// for the simplest.
func (s subject) simpler() (_ subject, ok bool) {
	switch {
	case s.Pairs == crossPairs:
		s.Pairs = samePairs
	case s.Replicas > 1:
		s.Replicas, s.Bus, s.Pairs = 1, "", ""
	default:
		return s, false
	}
	return s, true
}

// host starts subjects on this machine.
type host struct {
	self    string // this program
	broker  string // the broker's own program; empty: bench serve
	dir     string // for stores
	cpu     int    // core of the server
	loadCPU int    // core of the generator
	codec   string // the relay's JSON library

	databaseURL string // of a role of PostgreSQL that may create databases
	databaseCPU int    // core of PostgreSQL
	extra       string // file with entries to put before the route; may be empty
	cpuProfile  string
	memProfile  string

	errs io.Writer
}

// trial is one subject under one load.
type trial struct {
	subject
	scenario scenario
	load     load
}

// measure starts the trial's servers on a fresh store, puts the load on them,
// and stops them.
func (h *host) measure(ctx context.Context, t trial) (results []*result, err error) {
	dir, err := os.MkdirTemp(h.dir, "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing hangs on it
	s := &site{host: h, trial: t, dir: dir}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	results, err = runLoad(ctx, pinned(h.self, h.loadCPU, []string{h.self, "load"}), s.task(), h.errs)
	if err != nil {
		return nil, err
	}
	if err := s.stop(); err != nil {
		return nil, err
	}
	return results, s.audit(ctx, results)
}
