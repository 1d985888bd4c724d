package console

import (
	"sync"
	"time"
)

// frame is one answer of the source, with what the console made of it. It is
// shared by all who watch, and never changed, but for the parts that it
// remembers.
type frame struct {
	asked    time.Time
	snapshot *Snapshot // nil as long as the source has never answered
	err      error     // the source did not answer; the snapshot is an older one
	rates    rates
	verdicts map[string]verdict // by mesh id

	mu    sync.Mutex
	parts map[choice][]part
}

// choice is what one watcher wants to see of the long lists.
type choice struct {
	Mesh    string // part of a slug or an id
	Sort    string // peers, queue or name
	Refusal string // part of any text of a refusal
}

// render returns the page's parts for a choice, made once for all who share it.
// The caller must not change them.
func (f *frame) render(p *page, c choice) ([]part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if list, ok := f.parts[c]; ok {
		return list, nil
	}
	list, err := p.parts(newView(f, c))
	if err != nil {
		return nil, err
	}
	if f.parts == nil {
		f.parts = map[choice][]part{}
	}
	if len(f.parts) < maxWatchers {
		f.parts[c] = list
	}
	return list, nil
}
