package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// walk is one envelope's way through the chain.
type walk struct {
	kind   sdk.Kind
	target string
	steps  []walkStep
	over   bool // a stage decided
}

type walkStep struct {
	link     string
	decision sdk.Decision
	err      error
	took     time.Duration
}

// walks collects the ways of all envelopes.
type walks struct {
	mu    sync.Mutex
	list  []*walk       // not printed yet
	moved chan struct{} // holds one signal: a walk is over
}

func newWalks() *walks { return &walks{moved: make(chan struct{}, 1)} }

// watch gives every envelope a probe.
func (ws *walks) watch(_ context.Context, env *sdk.Envelope) chain.Probe {
	w := &walk{kind: env.Kind, target: env.Target.Spec}
	ws.mu.Lock()
	ws.list = append(ws.list, w)
	ws.mu.Unlock()
	return probe{ws, w}
}

type probe struct {
	walks *walks
	walk  *walk
}

// Enter implements [chain.Probe].
func (probe) Enter(ctx context.Context, _ *chain.Link) context.Context { return ctx }

// Leave implements [chain.Probe].
func (p probe) Leave(_ context.Context, l *chain.Link, d sdk.Decision, err error, took time.Duration) {
	p.walks.mu.Lock()
	defer p.walks.mu.Unlock()
	p.walk.steps = append(p.walk.steps, walkStep{l.Name(), d, err, took})
	if d.Verdict == sdk.Continue {
		return
	}
	p.walk.over = true
	select {
	case p.walks.moved <- struct{}{}:
	default:
	}
}

// print waits for the next envelope of a kind to be decided, and prints its way.
func (ws *walks) print(ctx context.Context, out io.Writer, kind sdk.Kind) error {
	for {
		if w := ws.take(kind); w != nil {
			w.print(out)
			return nil
		}
		select {
		case <-ws.moved:
		case <-ctx.Done():
			return fmt.Errorf("no %s was decided: %w", kind, ctx.Err())
		}
	}
}

// take removes the oldest envelope of a kind that is decided, nil for none.
func (ws *walks) take(kind sdk.Kind) *walk {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i, w := range ws.list {
		if w.kind == kind && w.over {
			ws.list = append(ws.list[:i], ws.list[i+1:]...)
			return w
		}
	}
	return nil
}

func (w *walk) print(out io.Writer) {
	head := string(w.kind)
	if len(w.target) > 16 {
		head += " to " + w.target[:16] + "…"
	} else if w.target != "" {
		head += " to " + w.target
	}
	fmt.Fprintf(out, "  %s\n", head)
	for _, s := range w.steps {
		word := s.decision.Verdict.String()
		if s.decision.Reason != "" {
			word += " (" + string(s.decision.Reason) + ")"
		}
		if s.err != nil {
			word = "failed: " + s.err.Error()
		}
		fmt.Fprintf(out, "    %-12s %-10s %8v\n", s.link, word, s.took.Round(100*time.Nanosecond))
	}
	fmt.Fprintln(out)
}
