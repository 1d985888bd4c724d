package files

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/store"
)

// Sizes of pieces. What breaks off in the middle of a piece is lost with it.
const (
	PieceBytes = 8 << 20

	// LeastBytes is how much a request has to bring that does not bring the end of
	// its file, so that no file is a heap of crumbs.
	LeastBytes = 64 << 10
)

// UnfinishedKept is how long an upload waits for its next bytes.
const UnfinishedKept = 24 * time.Hour

// recordedIn is how long whoever took in the last bytes has for the audit log; then a
// sweep writes the entry.
const recordedIn = time.Minute

// goneKept is how long the row of a file that is gone is kept. A request that was on
// its way when the file went may write one more object, and cannot take so long.
const goneKept = 2 * time.Hour

// Store keeps what is known of files.
type Store interface {
	HoldUpload(ctx context.Context, id string, received int64, holder string, now, until time.Time) error
	KeepUpload(ctx context.Context, id, holder string, until time.Time) error
	AddPiece(ctx context.Context, f *store.File, p store.FilePiece, holder string) error
	UnrecordedFiles(ctx context.Context, before time.Time, limit int) ([]*store.File, error)
	FileRecorded(ctx context.Context, id string) error
	FilePieces(ctx context.Context, id string) ([]store.FilePiece, error)
	DropFile(ctx context.Context, mesh, id string, at time.Time) error
	ExpiredFiles(ctx context.Context, now time.Time, limit int) ([]*store.File, error)
	GoneFiles(ctx context.Context, before time.Time, limit int) ([]*store.File, error)
	EraseFile(ctx context.Context, id string) error
}

// Options are what Files are made of.
type Options struct {
	Store   Store
	Objects object.Store
	Keep    time.Duration // how long ephemeral files are kept

	// Record writes to the audit log that a file is there. It is called again where
	// nobody knows whether it was written: after a crash there may be two entries.
	Record func(ctx context.Context, f *store.File) error

	Now func() time.Time
	Log *slog.Logger
}

// Files moves bytes. Methods may be called concurrently, also by other brokers with
// the same store.
type Files struct {
	Options
	Counters Counters
}

// New returns what moves the bytes of a broker's files.
func New(o Options) *Files { return &Files{Options: o, Counters: newCounters()} }

// folder returns the key under which all objects of a file are. Ids end at random, so
// that no folder gets too many.
func folder(id string) string {
	if len(id) < 2 {
		return "00/" + id
	}
	return id[len(id)-2:] + "/" + id
}
