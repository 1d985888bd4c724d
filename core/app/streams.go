package app

import "github.com/claudemesh/broker/core/sse"

// newStreams makes the set of streams over HTTP.
func (a *App) newStreams() *sse.Streams {
	o := sse.DefaultOptions()
	o.Directory, o.Left = a.dir, a.left
	return sse.New(o)
}
