package pluginhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/sdk"
)

// Options of a host.
type Options struct {
	// RunDir is where plugins get their private socket directories. Leftovers of
	// hosts that are gone are removed from it.
	RunDir string

	// Version of the broker, for the plugins' logs.
	Version string

	// Tracer makes a span batch/LINK, a root, for each batch with an envelope
	// whose stage is called within a sampled span. It has to record all that it is
	// asked for: who began the envelope's trace has decided. Nil: there are none.
	Tracer trace.Tracer

	// Spans gets, by OnEnd, the spans of the plugins' own work for such envelopes,
	// each with a resource that names the program and the link. They were checked.
	// It must not wait, and outlives the host. Nil: plugins are told to make none.
	Spans sdktrace.SpanProcessor

	// Taken reports whether peers that get an answer of a type to a kind take it for
	// the broker's own: no plugin may give it. Nil: of types that are always pushed
	// alone.
	Taken func(kind, typ string) bool

	Log *slog.Logger
}

// Host starts plugins and keeps them running. All methods may be called
// concurrently.
type Host struct {
	o Options

	mu        sync.Mutex
	workers   map[string]*worker // by what they were started from
	stages    map[*Stage]bool    // started and not stopped
	tallies   map[string]*tally  // by the name of the link; those of links that are gone too
	instances uint64             // configured so far; names the next one
	closed    bool
}

// errHostClosed is returned by starts after Close.
var errHostClosed = errors.New("the broker stops: no plugin is started any more")

// New returns a host without plugins. It marks what this process has inherited
// open, so that no plugin gets it.
func New(o Options) (*Host, error) {
	process.KeepDescriptors()
	if err := process.Sweep(o.RunDir); err != nil {
		return nil, fmt.Errorf("leftovers of plugins: %w", err)
	}
	return &Host{o: o, workers: make(map[string]*worker), stages: make(map[*Stage]bool), tallies: make(map[string]*tally)}, nil
}

// Factory returns what makes the stage of a link with a plugin section. The
// program is opened, and compared with its pin, when the stage is made; it is
// started when the stage is.
func (h *Host) Factory(link config.Link) (*chain.Factory, error) {
	f := &chain.Factory{
		Role:     chain.RoleGate,
		Plugin:   link.Plugin.Path,
		Timed:    true,
		Policies: []chain.Policy{chain.Hold, chain.FailClosed, chain.FailOpen, chain.Fallback},
		New:      func(chain.LinkSpec) (sdk.Stage, error) { return h.newStage(link) },
	}
	if link.Plugin.Role == config.Owner {
		f.Role, f.Policies = chain.RoleOwner, []chain.Policy{chain.FailClosed}
		for _, kind := range link.Plugin.Kinds {
			f.Owns = append(f.Owns, sdk.Kind(kind))
		}
		f.New = func(chain.LinkSpec) (sdk.Stage, error) {
			s, err := h.newStage(link)
			if err != nil {
				return nil, err
			}
			return newOwner(s), nil
		}
	}
	if link.Plugin.Role == config.Observer {
		f.Role = chain.RoleObserver
		f.Policies = []chain.Policy{chain.FailOpen}
		f.New = func(chain.LinkSpec) (sdk.Stage, error) {
			s, err := h.newStage(link)
			if err != nil {
				return nil, err
			}
			return watcher{s}, nil
		}
	}
	return f, nil
}

// worker returns the worker that runs a stage's program, with one more user.
func (h *Host) worker(s *Stage) (*worker, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errHostClosed
	}
	key := s.programKey()
	w := h.workers[key]
	if w == nil {
		w = newWorker(h, key, s)
		h.workers[key] = w
	}
	w.users++
	h.stages[s] = true
	h.tally(s.link.Name).join(w, w.look(s))
	return w, nil
}

// leave ends a stage's use of its worker, and reports whether it was the last.
func (h *Host) leave(s *Stage, w *worker) (last bool) {
	seen := w.look(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(s, w, seen)
	delete(h.stages, s)
	if w.users--; w.users > 0 {
		return false
	}
	for _, t := range h.tallies {
		delete(t.workers, w)
	}
	if h.workers[w.key] == w {
		delete(h.workers, w.key)
	}
	return true
}

// nextInstance names an instance; no two have one name.
func (h *Host) nextInstance(link string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.instances++
	return fmt.Sprintf("%s-%d", link, h.instances)
}

// Close stops every plugin that a chain has left behind, and starts none any
// more. Chains are closed before.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	stages := h.sorted()
	h.mu.Unlock()
	var errs []error
	for _, s := range stages {
		errs = append(errs, s.Stop(ctx))
	}
	return errors.Join(errs...)
}

// sorted returns the stages by the names of their links.
func (h *Host) sorted() []*Stage {
	stages := make([]*Stage, 0, len(h.stages))
	for s := range h.stages {
		stages = append(stages, s)
	}
	slices.SortFunc(stages, func(a, b *Stage) int { return cmp.Compare(a.link.Name, b.link.Name) })
	return stages
}
