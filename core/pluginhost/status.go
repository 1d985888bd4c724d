package pluginhost

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

// Status is what an operator wants to know of one link's plugin.
type Status struct {
	Link     string    `json:"link"`
	Path     string    `json:"path"`
	SHA256   string    `json:"sha256"`
	Pinned   bool      `json:"pinned"`
	Name     string    `json:"name,omitempty"` // what the program calls itself; empty while it is down
	Version  string    `json:"version,omitempty"`
	SDK      string    `json:"sdk,omitempty"`
	Language string    `json:"language,omitempty"`
	Stage    string    `json:"stage"`
	Role     string    `json:"role"`
	Grants   []string  `json:"grants"`
	Kinds    []string  `json:"kinds,omitempty"` // that it owns
	Instance string    `json:"instance,omitempty"`
	PID      int       `json:"pid,omitempty"`
	Phase    string    `json:"phase"` // starting, up, waiting, quarantined or stopped
	Since    time.Time `json:"since"`
	Down     string    `json:"down,omitempty"` // why envelopes do not reach it

	Restarts map[string]uint64 `json:"restarts,omitempty"` // by reason, since the link first came
	Ends     []supervise.End   `json:"ends,omitempty"`     // the latest of them, newest first, at most 16
	LastExit string            `json:"lastExit,omitempty"`
	ExitedAt time.Time         `json:"exitedAt,omitzero"`
	Stderr   string            `json:"stderr,omitempty"` // the last it printed before that
	Next     time.Time         `json:"next,omitzero"`    // when it is started again

	Usage process.Usage `json:"usage"`
	Hop   hop.Stats     `json:"hop"` // counters are since the link first came
}

// RestartReasons returns the words that [Status.Restarts] counts by.
func RestartReasons() []string {
	return []string{
		supervise.ReasonCrash, supervise.ReasonStart, supervise.ReasonUp,
		hop.BrokenStream, hop.BrokenHang, hop.BrokenStuck, hop.BrokenProtocol,
	}
}

// Status returns the plugins of all chains that run, by link.
func (h *Host) Status() []Status {
	h.mu.Lock()
	stages := h.sorted()
	h.mu.Unlock()
	list := make([]Status, 0, len(stages))
	for _, s := range stages {
		list = append(list, h.statusOf(s))
	}
	return list
}

func (h *Host) statusOf(s *Stage) Status {
	p := s.link.Plugin
	st := Status{
		Link: s.link.Name, Path: s.path, SHA256: s.hash, Pinned: p.SHA256 != "",
		Stage: stageName(s.link), Role: string(p.Role), Grants: p.Grants, Kinds: p.Kinds,
	}
	if h := s.hop.Load(); h != nil {
		st.Hop = h.Stats()
	}
	if err := s.Health(); err != nil {
		st.Down = err.Error()
	}
	if w := s.worker.Load(); w != nil {
		seen := w.look(s)
		seen.describe(&st)
		h.mu.Lock()
		defer h.mu.Unlock()
		t := h.count(s, w, seen)
		st.Restarts, st.Ends = maps.Clone(t.restarts), slices.Clone(t.ends)
	}
	return st
}

// look is what a worker knows at one moment.
type look struct {
	instance string // of the stage that is asked for
	life     *life  // nil while there is no process
	usage    process.Usage
	state    supervise.State
}

func (w *worker) look(s *Stage) look {
	w.mu.Lock()
	at := look{instance: s.instance, life: w.life}
	w.mu.Unlock()
	if at.life != nil {
		at.usage = at.life.process.Usage()
	}
	at.state = w.sup.State()
	return at
}

// describe adds what the worker knew.
func (at look) describe(st *Status) {
	st.Instance, st.Usage = at.instance, at.usage
	if l := at.life; l != nil {
		st.Name, st.Version, st.SDK, st.Language = l.program.Name, l.program.Version, l.program.SDK, l.program.Language
		st.PID = l.process.PID()
	}
	st.Phase, st.Since, st.Next = string(at.state.Phase), at.state.Since, at.state.NextStart
	st.LastExit, st.ExitedAt, st.Stderr = at.state.LastExit.Text, at.state.LastExit.At, at.state.LastExit.Stderr
}

// Resume starts a plugin again that was given up after too many crashes. One
// that runs, and could not be configured with the link's stage, is tried again.
func (h *Host) Resume(link string) error {
	h.mu.Lock()
	stages := h.sorted()
	h.mu.Unlock()
	for _, s := range stages {
		if s.link.Name != link {
			continue
		}
		w := s.worker.Load()
		if w == nil {
			break
		}
		switch phase := w.sup.State().Phase; {
		case phase == supervise.Quarantined:
			w.sup.Resume()
		case phase == supervise.Up && s.Health() != nil:
			s.tryNow()
		default:
			return fmt.Errorf("plugin %s is %s, not quarantined: there is nothing to resume", link, phase)
		}
		return nil
	}
	return fmt.Errorf("no link %q of the running chain has a plugin", link)
}
