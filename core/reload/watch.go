package reload

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/claudemesh/broker/core/admin"
)

const (
	// pollEvery is how often files are looked at although nothing was heard: for
	// network disks, and for whatever the system does not tell of.
	pollEvery = 10 * time.Second

	// missingFor is how long a file may be gone before that counts as a change.
	// An operator who removes it and then copies another one is not that slow.
	missingFor = 5 * time.Second
)

// Watch asks for a load each time that the content of the config file, or of a
// plugin's program, has changed and then stayed the same for the debounce time.
// It returns when ctx ends; at once when there is nothing to watch.
func (r *Reloader) Watch(ctx context.Context) { r.watch(ctx, pollEvery, missingFor) }

func (r *Reloader) watch(ctx context.Context, every, patience time.Duration) {
	if !r.settings.Watch || len(r.lastTried()) == 0 {
		return
	}
	w := &watcher{r: r, patience: patience, again: time.NewTimer(0), armed: true, programs: map[string]program{}}
	defer w.again.Stop()
	var events chan fsnotify.Event
	var failures chan error
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("the system tells of no changes of files; they are looked at now and then", slog.Duration("every", every), slog.Any("err", err))
	} else {
		defer notify.Close() //nolint:errcheck // nothing is written through it
		w.notify, events, failures = notify, notify.Events, notify.Errors
	}
	poll := time.NewTicker(every)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if !w.places[e.Name] {
				continue
			}
		case err := <-failures: // events may be lost
			r.log.Debug("watch of files", slog.Any("err", err))
		case <-r.news: // there may be other files to watch
		case <-poll.C:
		case <-w.again.C:
			w.armed = false
		}
		if !w.armed { // else it is looked at once more anyway, and not too soon
			w.look()
		}
	}
}

// watcher finds changes. Owned by watch.
type watcher struct {
	r        *Reloader
	notify   *fsnotify.Watcher // nil when the system tells nothing
	patience time.Duration

	places   map[string]bool // where an event means a look
	programs map[string]program

	seen      sums      // at the last look, when it was a change
	goneSince time.Time // a file is missing; zero when none is
	again     *time.Timer
	armed     bool // again will fire: until then events mean nothing
}

// program is the sum of a large file, for as long as the system says that the
// file is the same.
type program struct {
	info os.FileInfo
	sum  string
}

// look compares the files with what the last load read. A change asks for a load
// when two looks in a row find the same.
func (w *watcher) look() {
	tried := w.r.lastTried()
	w.arm(tried)
	found := w.sums(tried)
	if found.equal(tried) {
		w.seen, w.goneSince = nil, time.Time{}
		return
	}
	if !found.missing(tried) {
		w.goneSince = time.Time{}
	} else if w.goneSince.IsZero() {
		w.goneSince = time.Now()
	}
	settled := found.equal(w.seen) && (w.goneSince.IsZero() || time.Since(w.goneSince) >= w.patience)
	if settled {
		w.seen, w.goneSince = nil, time.Time{}
		w.r.Trigger(admin.ByFile)
		return
	}
	w.seen, w.armed = found, true
	w.again.Reset(w.r.settings.Debounce)
}

// sums reads the files that the last load read.
func (w *watcher) sums(tried sums) sums {
	found, programs := sums{}, map[string]program{}
	for path := range tried {
		if path == w.r.options.First.File { // small, and a change must never be missed
			found[path] = sumOf(path)
			continue
		}
		p, info := w.programs[path], stat(path)
		if info == nil || p.info == nil || !os.SameFile(info, p.info) || info.Size() != p.info.Size() || !info.ModTime().Equal(p.info.ModTime()) {
			p = program{info, sumOf(path)}
		}
		found[path], programs[path] = p.sum, p
	}
	w.programs = programs
	return found
}

func stat(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// arm watches the directories of all places that matter now. Directories, and
// not files: a file that is replaced would take its watch along.
func (w *watcher) arm(files sums) {
	w.places = map[string]bool{}
	folders := map[string]bool{}
	for path := range files {
		for _, place := range trail(path) {
			w.places[place] = true
			folders[filepath.Dir(place)] = true
		}
	}
	if w.notify == nil {
		return
	}
	for _, folder := range w.notify.WatchList() {
		if !folders[folder] {
			_ = w.notify.Remove(folder) // it may be gone
		}
	}
	for folder := range folders {
		_ = w.notify.Add(folder) // one that is not there is tried again at the next look
	}
}
