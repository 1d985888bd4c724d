package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

// Limits of time, and of looks side by side.
const (
	roundEvery  = 2 * time.Second
	roundTime   = 10 * time.Second // no look begins after it
	atOnce      = 16
	longestWait = time.Hour // after failures
)

// lock is what a node holds while it looks.
const lock = "url watches"

// Store is what a watcher reads and writes.
type Store interface {
	DueWatches(ctx context.Context, t time.Time, skip, limit int) ([]*store.Watch, error)
	SetWatchState(ctx context.Context, id string, st *store.WatchState) error
	UntoldWatches(ctx context.Context, after string, limit int) ([]*store.Watch, error)
	WatchTold(ctx context.Context, id string, at time.Time) error
}

// Roster knows who belongs to a mesh.
type Roster interface {
	Mesh(ctx context.Context, id string) (*store.Mesh, error)
	MemberByID(ctx context.Context, id string) (*store.Member, error)
}

// Options are what a watcher works with.
type Options struct {
	Store  Store
	Roster Roster
	Client *Client
	Keys   *identity.AtRest // opens headers; nil where nothing is sealed
	Log    *slog.Logger

	// Alone runs f unless another node runs what has the same name.
	Alone func(ctx context.Context, name string, f func(context.Context) error) error

	// Tell tells the sessions of a watch's member of what is untold. It returns
	// false when none is connected.
	Tell func(ctx context.Context, w *store.Watch) bool

	// Looks counts looks by what came of them; nil counts nothing. See [NewLooks].
	Looks *telemetry.Tally

	Now func() time.Time
}

// Watcher looks at what is due.
type Watcher struct {
	o Options

	// Held by who takes a value out of a body: a megabyte of JSON takes some fifty
	// while it is read.
	reading chan struct{}

	retold string // the last watch that was tried again; owned by Round
}

// New returns a watcher. It looks at nothing before [Watcher.Run].
func New(o Options) *Watcher { return &Watcher{o: o, reading: make(chan struct{}, 1)} }

// Run looks at what is due until ctx ends. Looks that have begun then end too.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.o.Alone(ctx, lock, w.Round); err != nil && ctx.Err() == nil {
			w.o.Log.WarnContext(ctx, "watches not looked after", slog.Any("err", err))
		}
	}
}

// Round tells what members were not there to hear, looks once at what is due, and
// returns when that is written.
func (w *Watcher) Round(ctx context.Context) error {
	begun := w.o.Now()
	if err := w.retell(ctx); err != nil {
		return err
	}
	rows, err := w.choose(ctx, begun)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	turn := make(chan struct{}, atOnce)
	for _, row := range rows {
		turn <- struct{}{}
		if ctx.Err() != nil || w.o.Now().Sub(begun) > roundTime {
			break
		}
		all.Go(func() {
			defer func() { <-turn }()
			if e := w.look(ctx, row); e != nil {
				mu.Lock()
				defer mu.Unlock()
				err = errors.Join(err, e)
			}
		})
	}
	all.Wait()
	return err
}

// look asks for a URL and writes what came of it.
func (w *Watcher) look(ctx context.Context, row *store.Watch) error {
	value, failure := w.value(ctx, row)
	if ctx.Err() != nil {
		return nil // who stops says nothing about the URL
	}
	w.o.Looks.Add(outcomeOf(row.Value, value, failure))
	old, now := row.Value, w.o.Now().Truncate(time.Millisecond)
	row.CheckedAt = now
	if failure != nil {
		row.Failures, row.Failure = row.Failures+1, failure.Error()
	} else {
		row.Value, row.Failures, row.Failure = value, 0, ""
	}
	seen := failure == nil && old != "" && triggers(row.NotifyOn, old, value)
	if seen {
		row.Untold = store.Sight{Old: old, New: value, At: now}
	}
	row.NextAt = now.Add(wait(row))
	err := w.o.Store.SetWatchState(ctx, row.ID, &row.WatchState)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // deleted meanwhile
	case err != nil:
		return err
	case seen:
		return w.tell(ctx, row)
	default:
		return nil
	}
}

// wait is how long it is to the next look: the interval, twice as much after each
// failure in a row, and up to a tenth more, so that watches do not fall due
// together for ever.
func wait(row *store.Watch) time.Duration {
	d := row.Every
	for range row.Failures {
		if d = 2 * d; d >= longestWait {
			d = max(longestWait, row.Every)
			break
		}
	}
	return d + rand.N(d/10+1)
}

var (
	errRights  = errors.New("who made the watch may not any more: it needs the permission canManageWatches")
	errHeaders = errors.New("the broker cannot open the headers any more: make the watch again")
	errStore   = errors.New("the broker could not look who made the watch")
)

// value returns what is to be compared.
func (w *Watcher) value(ctx context.Context, row *store.Watch) (string, error) {
	if err := w.mayLook(ctx, row); err != nil {
		return "", err
	}
	headers, err := OpenHeaders(w.o.Keys, row)
	if err != nil {
		return "", errHeaders
	}
	answer, err := w.o.Client.Get(ctx, row.URL, headers)
	if err != nil {
		return "", err
	}
	return w.read(row, answer)
}

// read takes what is to be compared out of an answer, of one at a time.
func (w *Watcher) read(row *store.Watch, answer *Answer) (string, error) {
	w.reading <- struct{}{}
	defer func() { <-w.reading }()
	return valueOf(cmp.Or(row.Mode, Hash), row.Extract, answer)
}

// mayLook reports why nothing is looked at for a member.
func (w *Watcher) mayLook(ctx context.Context, row *store.Watch) error {
	by, err := w.o.Roster.MemberByID(ctx, row.MemberID)
	if err != nil {
		return errStore
	}
	mesh, err := w.o.Roster.Mesh(ctx, row.MeshID)
	if err != nil {
		return errStore
	}
	if !by.Live() || !mesh.ArchivedAt.IsZero() || !mesh.May(by, store.CanManageWatches) {
		return errRights
	}
	return nil
}

// SealHeaders sets the headers of a watch; they are plain where there is no key.
func SealHeaders(keys *identity.AtRest, row *store.Watch, headers map[string]string) {
	if len(headers) == 0 {
		return
	}
	text, _ := json.Marshal(headers) // texts are always JSON
	if row.Headers = string(text); keys != nil {
		row.Headers = keys.SealFor(identity.WatchAtRest, row.ID, text)
	}
}

// OpenHeaders returns the headers of a watch.
func OpenHeaders(keys *identity.AtRest, row *store.Watch) (headers map[string]string, err error) {
	text := []byte(row.Headers)
	switch {
	case len(text) == 0:
		return nil, nil
	case keys != nil && identity.IsBound(row.Headers):
		if text, err = keys.OpenFor(identity.WatchAtRest, row.ID, row.Headers); err != nil {
			return nil, err
		}
	}
	return headers, json.Unmarshal(text, &headers)
}
