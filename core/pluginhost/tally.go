package pluginhost

import (
	"maps"
	"slices"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

// Counts are what was counted for a link since it first came, by all of its
// instances and their processes. None ever falls: a reload that changes the link,
// takes it away, or brings it back changes nothing.
type Counts struct {
	Link     string
	Restarts map[string]uint64 // by reason
	CPU      float64           // seconds, of processes that others may share
	Hop      hop.Stats         // its counters; it has no state
}

// tally is what a host counts for a link. It stays when the link goes: links are
// those of configs, so that there are few.
type tally struct {
	hops hop.Counters

	// Guarded by host.mu.
	served   bool // some instance began to serve: a config that was refused shows nothing
	restarts map[string]uint64
	ends     []supervise.End // newest first
	cpu      float64
	workers  map[*worker]*taken // those that run and had an instance
}

// taken is how far a tally has a worker's numbers. What is older than that adds
// nothing.
type taken struct {
	by   map[string]uint64 // ends, by reason
	life int               // whose CPU time it is
	cpu  float64
}

// restarts takes the ends that a state counts and the one before did not.
func (n *taken) restarts(state supervise.State) (more map[string]uint64) {
	more = make(map[string]uint64)
	for reason, all := range state.Restarts {
		if before := n.by[reason]; all > before {
			more[reason], n.by[reason] = all-before, all
		}
	}
	return more
}

// time takes the CPU time since, in seconds. What a process used between the last
// look at it and its end is lost.
func (n *taken) time(at look) (more float64) {
	l := at.life
	if l == nil || l.number < n.life {
		return 0
	}
	if l.number > n.life {
		n.life, n.cpu = l.number, 0
	}
	more = max(at.usage.CPUSeconds-n.cpu, 0)
	n.cpu += more
	return more
}

// tally returns a link's. The caller holds h.mu.
func (h *Host) tally(link string) *tally {
	t := h.tallies[link]
	if t == nil {
		t = &tally{restarts: make(map[string]uint64), workers: make(map[*worker]*taken)}
		h.tallies[link] = t
	}
	return t
}

// hopCounters returns what the hops of a link count with.
func (h *Host) hopCounters(link string) *hop.Counters {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &h.tally(link).hops
}

// serves notes that a stage has started.
func (h *Host) serves(s *Stage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally(s.link.Name).served = true
}

// count brings the tally of a stage's link up to what its worker knew. What a
// stage that has left saw is not counted: it was, when it left. The caller holds
// h.mu.
func (h *Host) count(s *Stage, w *worker, at look) *tally {
	t := h.tally(s.link.Name)
	if n := t.workers[w]; n != nil && h.stages[s] {
		t.cpu += n.time(at)
		ended := 0
		for reason, more := range n.restarts(at.state) {
			t.restarts[reason] += more
			ended += int(more) //nolint:gosec // a count
		}
		t.ends = slices.Concat(at.state.Ends[:min(ended, len(at.state.Ends))], t.ends)
		t.ends = t.ends[:min(len(t.ends), supervise.EndsKept)]
	}
	return t
}

// join has a tally count what a worker's processes do from now on.
func (t *tally) join(w *worker, at look) {
	if t.workers[w] == nil {
		n := &taken{by: make(map[string]uint64)}
		n.restarts(at.state)
		n.time(at)
		t.workers[w] = n
	}
}

// Counts returns what was counted for each link that has ever been served, by
// link.
func (h *Host) Counts() []Counts {
	h.Status() // which takes what is new
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Counts, 0, len(h.tallies))
	for _, link := range slices.Sorted(maps.Keys(h.tallies)) {
		if t := h.tallies[link]; t.served {
			list = append(list, Counts{Link: link, Restarts: maps.Clone(t.restarts), CPU: t.cpu, Hop: t.hops.Stats()})
		}
	}
	return list
}
