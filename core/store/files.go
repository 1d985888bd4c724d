package store

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// File is a file that a member shares. Its bytes are in its pieces, each an object
// of the store for objects: the database has none of them.
//
// A file is open while bytes are missing, and then ready, until it is gone. The row
// of one that is gone stays until nothing is left of its objects.
type File struct {
	ID         string
	MeshID     string
	Name       string
	Size       int64 // bytes that there are, or will be
	Received   int64 // bytes that have arrived
	MediaType  string
	Tags       []string
	Persistent bool   // kept until somebody deletes it
	Encrypted  bool   // by its uploader; a reader needs a [FileKey]
	Target     string // "" or "*" for the mesh, the key of a member or a session in hex, or "@" and a group
	MemberID   string // who uploads it, and owns it
	Author     string // its name at that time
	CreatedAt  time.Time
	ReadyAt    time.Time // zero while it is open
	ExpiresAt  time.Time // zero for never
	GoneAt     time.Time

	// Hash is the SHA-256 of what has arrived, as that marshals itself, and Digest
	// the one of all bytes. The first is nil when the file is ready, and the second
	// zero until then.
	Hash   []byte
	Digest [32]byte

	// Request is a hash of the request that made the file, zero for none. It is
	// written once.
	Request [32]byte
}

// Ready reports whether all bytes are there.
func (f *File) Ready() bool { return !f.ReadyAt.IsZero() }

// FilePiece is a run of a file's bytes.
type FilePiece struct {
	Start, Size int64
	Object      string // under which the store for objects has it
}

// FileKey is the key of an encrypted file, sealed to a peer.
type FileKey struct {
	FileID    string
	Peer      sdk.Key // of a member or a session
	Sealed    string
	GrantedAt time.Time
}

// FileAccess says that a peer got a file.
type FileAccess struct {
	FileID string
	Peer   sdk.Key // of the session, else of the member
	Name   string  // the member's at that time
	At     time.Time
}

// FileRoom is how much a mesh may have, and one of its members, files that are open
// among it.
type FileRoom struct {
	Files, Bytes Most
	Open         int64 // files of one member
}

// Most is how much there may be of something in a mesh, and of one of its members.
type Most struct{ Mesh, Member int64 }

// FileFullError is an [ErrExhausted] that says whose room is full, and of what.
type FileFullError struct {
	What   string // bytes, files or uploads
	Member bool   // the member's; else the mesh's
	Most   int64
}

// Error implements error.
func (e *FileFullError) Error() string {
	of := "mesh"
	if e.Member {
		of = "member"
	}
	return fmt.Sprintf("no room is left: the %s may have %d %s", of, e.Most, e.What)
}

// Unwrap returns ErrExhausted.
func (e *FileFullError) Unwrap() error { return ErrExhausted }

// FileUse is what there is of files, open ones among it. The rows of a member's files
// that are gone and not erased count among its files, and not those of the others in
// its mesh. A file that is gone while somebody holds it counts as open, with the bytes
// that were missing: they may be written yet.
type FileUse struct{ Files, Bytes, Open int64 }

// And returns both uses together.
func (u FileUse) And(v FileUse) FileUse {
	return FileUse{Files: u.Files + v.Files, Bytes: u.Bytes + v.Bytes, Open: u.Open + v.Open}
}

// Fits returns a [*FileFullError] when a file of so many bytes does not fit beside
// what a mesh and one of its members have.
func (r FileRoom) Fits(mesh, member FileUse, bytes int64) error {
	switch {
	case member.Open >= r.Open:
		return &FileFullError{What: "uploads", Member: true, Most: r.Open}
	case member.Files >= r.Files.Member:
		return &FileFullError{What: "files", Member: true, Most: r.Files.Member}
	case mesh.Files >= r.Files.Mesh:
		return &FileFullError{What: "files", Most: r.Files.Mesh}
	case member.Bytes+bytes > r.Bytes.Member:
		return &FileFullError{What: "bytes", Member: true, Most: r.Bytes.Member}
	case mesh.Bytes+bytes > r.Bytes.Mesh:
		return &FileFullError{What: "bytes", Most: r.Bytes.Mesh}
	}
	return nil
}

// FileMatch says which files are meant. Zero fields match everything.
type FileMatch struct {
	Query   string   // part of the name, in any case
	From    string   // name of the uploader, exactly
	Targets []string // those for anybody else are left out, unless MemberID uploaded them
	Member  string   // id of the member whose own files are always meant
	Except  []string // members whose files are left out
}

// Files keeps what is known of files.
type Files interface {
	// CreateFile writes an open file with its keys, and returns its id. Where an open
	// file of the mesh has the same request, that one's id is returned, nothing is
	// written and fresh is false. A [*FileFullError] when there is no room.
	CreateFile(ctx context.Context, f *File, keys []FileKey, room FileRoom) (id string, fresh bool, err error)

	// File returns one file of a mesh, open or ready. ErrNotFound, also for one that
	// is gone.
	File(ctx context.Context, mesh, id string) (*File, error)

	// HoldUpload lets nobody but a request, the holder, write the bytes of an open
	// file until a time. ErrConflict: another one does so now. ErrNotFound: the file
	// is not open, or has received something else.
	HoldUpload(ctx context.Context, id string, received int64, holder string, now, until time.Time) error

	// KeepUpload has a holder hold a file until another time, also one that is gone
	// meanwhile; with the zero time it holds it no more. Who does not hold the file
	// changes nothing.
	KeepUpload(ctx context.Context, id, holder string, until time.Time) error

	// AddPiece writes the next piece of an open file that the holder holds, and what
	// follows from it: Received, Hash, Digest, ReadyAt and ExpiresAt of f. One that is
	// ready now is unrecorded. ErrConflict when the file is not as it was before the
	// piece: another request was faster, or it is gone.
	AddPiece(ctx context.Context, f *File, p FilePiece, holder string) error

	// UnrecordedFiles returns files that were ready before a time and are unrecorded,
	// those that are gone among them.
	UnrecordedFiles(ctx context.Context, before time.Time, limit int) ([]*File, error)

	// FileRecorded notes that the audit log knows of a file.
	FileRecorded(ctx context.Context, id string) error

	// FilePieces returns the pieces of a file, in order.
	FilePieces(ctx context.Context, id string) ([]FilePiece, error)

	// ListFiles returns the newest files of a mesh that are ready and match, so many
	// at most, the newest first.
	ListFiles(ctx context.Context, mesh string, match FileMatch, limit int) ([]*File, error)

	// CountFiles returns how many files of a mesh are ready.
	CountFiles(ctx context.Context, mesh string) (int64, error)

	// DropFile makes a file gone, and deletes its keys and accesses. ErrNotFound, also
	// for one that is gone.
	DropFile(ctx context.Context, mesh, id string, at time.Time) error

	// ExpiredFiles returns files that are not gone and should be, since their time is
	// over or their mesh archived.
	ExpiredFiles(ctx context.Context, now time.Time, limit int) ([]*File, error)

	// GoneFiles returns files that were gone before a time, those first that went
	// first.
	GoneFiles(ctx context.Context, before time.Time, limit int) ([]*File, error)

	// EraseFile deletes the row of a file that is gone, with all that belongs to it.
	EraseFile(ctx context.Context, id string) error

	// SetFileKey writes the key of a file for a peer, in the place of an earlier one.
	// A [*FullError] when there are so many already. ErrNotFound for a file that is
	// gone.
	SetFileKey(ctx context.Context, k *FileKey, most int) error

	// SealedKey returns the sealed key of the first of these peers that has one.
	// ErrNotFound.
	SealedKey(ctx context.Context, fileID string, peers ...sdk.Key) (string, error)

	// FileAccessed writes that a peer got a file, in the place of what was written of
	// the peer before. So many are kept, the newest. A file that is not there is no
	// error.
	FileAccessed(ctx context.Context, a *FileAccess, keep int) error

	// FileAccesses returns who got a file, so many at most, the newest first.
	FileAccesses(ctx context.Context, fileID string, limit int) ([]*FileAccess, error)
}
