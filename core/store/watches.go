package store

import (
	"context"
	"time"
)

// Watch is a URL that the broker looks at for a member.
type Watch struct {
	ID        string
	MeshID    string
	MemberID  string
	Request   [32]byte // SHA-256 of what was asked for
	URL       string
	Mode      string // hash, json or status
	Extract   string
	NotifyOn  string
	Headers   string // JSON, sealed where the broker has a key
	Label     string
	Every     time.Duration // whole seconds
	CreatedAt time.Time

	WatchState
}

// WatchState is what the looks at a URL have brought.
type WatchState struct {
	Value     string    // "" before the first look that went well
	CheckedAt time.Time // the last look; zero before the first
	Failures  int       // in a row
	Failure   string    // of the last look; "" when it went well
	NextAt    time.Time
	Untold    Sight // zero when the member knows all that it waits for
}

// Sight is a new value that a watch's member wants to know of.
type Sight struct {
	Old, New string
	At       time.Time // whole milliseconds
}

// Watches keeps watches.
type Watches interface {
	// CreateWatch writes a watch, and returns its id. Where its member has asked
	// for the same already, that one's id is returned, nothing is written and fresh
	// is false. A [*FullError] when there is no room.
	CreateWatch(ctx context.Context, w *Watch, room Room) (id string, fresh bool, err error)

	// ListWatches returns all watches of a member, in the order in which they were
	// made.
	ListWatches(ctx context.Context, mesh, member string) ([]*Watch, error)

	// DeleteWatch deletes a watch of a member, and returns it. ErrNotFound.
	DeleteWatch(ctx context.Context, mesh, member, id string) (*Watch, error)

	// DueWatches returns at most limit watches whose next look is not after t, the
	// one that has waited longest first, without the first skip of them.
	DueWatches(ctx context.Context, t time.Time, skip, limit int) ([]*Watch, error)

	// SetWatchState writes what a look has brought. ErrNotFound when the watch was
	// deleted meanwhile.
	SetWatchState(ctx context.Context, id string, st *WatchState) error

	// UntoldWatches returns at most limit watches with something untold whose id is
	// after the one given, by id.
	UntoldWatches(ctx context.Context, after string, limit int) ([]*Watch, error)

	// WatchTold notes that the member was told of what was seen at a time. What was
	// seen since stays untold.
	WatchTold(ctx context.Context, id string, at time.Time) error
}
