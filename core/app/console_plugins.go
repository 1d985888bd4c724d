package app

import (
	"time"

	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

// plugins says how the links' programs are.
func (s *consoleSource) plugins() []console.Plugin {
	if s.app.options.Plugins == nil {
		return nil
	}
	list := newest(s.app.options.Plugins.Status())
	plugins := make([]console.Plugin, 0, len(list))
	for _, p := range list {
		plugins = append(plugins, console.Plugin{
			Link: p.Link, Program: p.Path, SHA256: p.SHA256, Pinned: p.Pinned,
			Name: p.Name, Version: p.Version, Language: p.Language, PID: p.PID,
			Phase: p.Phase, Since: p.Since, Next: p.Next, Down: p.Down, Breaker: p.Hop.Breaker,
			Memory: uint64(max(p.Usage.RSSBytes, 0)), CPU: time.Duration(p.Usage.CPUSeconds * float64(time.Second)),
			InHand: p.Hop.InHand, Waiting: p.Hop.Waiting, Restarts: p.Restarts, Ends: ends(p.Ends),
		})
	}
	return plugins
}

// ends are how a link's processes ended, as the page has it.
func ends(list []supervise.End) []console.End {
	var shown []console.End
	for _, e := range list {
		shown = append(shown, console.End(e))
	}
	return shown
}
