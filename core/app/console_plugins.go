package app

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/pluginhost"
)

const (
	// pluginLook is how often it is looked whether a plugin has ended. Of ends that
	// lie closer together only the last has a text.
	pluginLook = time.Second

	// pluginEndsKept is how many ends of one link are remembered, and stderrKept how
	// many bytes of what it printed before each.
	pluginEndsKept = 20
	stderrKept     = 2 << 10
)

// pluginEnds remembers how the processes of plugins ended, by link, also while
// nobody watches. A link that is taken out is forgotten.
type pluginEnds struct {
	mu    sync.Mutex
	links map[string]*linkEnds
}

// linkEnds are the ends of one link's processes.
type linkEnds struct {
	restarts map[string]uint64 // at the last look, by reason
	list     []console.End     // newest first
}

// look takes the newest status and notes what ended since the last look. It asks
// for the status itself, one caller after the other: counters that go back would
// be those of a new supervisor, and no status may be noted after a newer one.
func (e *pluginEnds) look(status func() []pluginhost.Status) []pluginhost.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := newest(status())
	before := e.links
	e.links = make(map[string]*linkEnds, len(list))
	for _, s := range list {
		l := before[s.Link]
		if l == nil {
			l = new(linkEnds)
		}
		l.note(s)
		e.links[s.Link] = l
	}
	return list
}

// note adds the ends that a status counts and the one before did not. Counters
// that are lower than before are another supervisor's, which began at none.
func (l *linkEnds) note(s pluginhost.Status) {
	text, stderr := s.LastExit, s.Stderr
	for _, reason := range slices.Sorted(maps.Keys(s.Restarts)) {
		n := s.Restarts[reason]
		if old := l.restarts[reason]; n >= old {
			n -= old
		}
		for range min(n, pluginEndsKept) {
			end := console.End{At: s.ExitedAt, Reason: reason, Text: text, Stderr: tail(stderr, stderrKept)}
			text, stderr = "", "" // they are about one end alone
			l.list = slices.Insert(l.list, 0, end)
		}
	}
	l.list = l.list[:min(len(l.list), pluginEndsKept)]
	l.restarts = s.Restarts
}

// of returns a link's ends, newest first.
func (e *pluginEnds) of(link string) []console.End {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[link]; l != nil {
		return slices.Clone(l.list)
	}
	return nil
}

// tail returns the last n bytes of a text, from the beginning of a line where
// there is one.
func tail(text string, n int) string {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	for i := range len(text) - 1 {
		if text[i] == '\n' {
			return text[i+1:]
		}
	}
	return text
}

// watchPlugins looks at the plugins until ctx ends.
func (s *consoleSource) watchPlugins(ctx context.Context) {
	if s.app.options.Plugins == nil {
		return
	}
	tick := time.NewTicker(pluginLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.ends.look(s.app.options.Plugins.Status)
		}
	}
}

// plugins says how the links' programs are.
func (s *consoleSource) plugins() []console.Plugin {
	if s.app.options.Plugins == nil {
		return nil
	}
	list := s.ends.look(s.app.options.Plugins.Status)
	plugins := make([]console.Plugin, 0, len(list))
	for _, p := range list {
		plugins = append(plugins, console.Plugin{
			Link: p.Link, Program: p.Path, SHA256: p.SHA256, Pinned: p.Pinned,
			Name: p.Name, Version: p.Version, Language: p.Language, PID: p.PID,
			Phase: p.Phase, Since: p.Since, Next: p.Next, Down: p.Down, Breaker: p.Hop.Breaker,
			Memory: uint64(max(p.Usage.RSSBytes, 0)), CPU: time.Duration(p.Usage.CPUSeconds * float64(time.Second)),
			InHand: p.Hop.InHand, Waiting: p.Hop.Waiting, Restarts: p.Restarts, Ends: s.ends.of(p.Link),
		})
	}
	return plugins
}
