package feature

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// What tickets are good for.
const (
	TicketUpload   = "upload"
	TicketDownload = "download"
)

// downloadFor is how long an address holds from which a file can be had.
const downloadFor = time.Minute

// Limits of files. How many bytes there may be is the operator's to say.
const (
	filesPerMesh   = 20_000
	filesPerMember = 10_000 // those that were just deleted among them
	uploadsAtOnce  = 32     // of one member
	keysPerFile    = 1000
	accessesKept   = 1000 // of one file
)

// FileStore keeps what is known of files.
type FileStore interface {
	CreateFile(ctx context.Context, f *store.File, keys []store.FileKey, room store.FileRoom) (id string, fresh bool, err error)
	File(ctx context.Context, mesh, id string) (*store.File, error)
	ListFiles(ctx context.Context, mesh string, match store.FileMatch, limit int) ([]*store.File, error)
	CountFiles(ctx context.Context, mesh string) (int64, error)
	SetFileKey(ctx context.Context, k *store.FileKey, most int) error
	SealedKey(ctx context.Context, fileID string, peers ...sdk.Key) (string, error)
	FileAccessed(ctx context.Context, a *store.FileAccess, keep int) error
	FileAccesses(ctx context.Context, fileID string, limit int) ([]*store.FileAccess, error)
	SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (memberID string, err error)
}

// FileBytes deletes the bytes of files, and counts uploads.
type FileBytes interface {
	Drop(ctx context.Context, f *store.File) error
	Begun()
	Refused(why sdk.Reason)
}

// FileOptions say what files there may be.
type FileOptions struct {
	Bytes                FileBytes     // nil: there are no files
	Tickets              *token.Keys   // nil: nobody gets tickets
	Base                 func() string // of the broker's own addresses over HTTP, without a slash at the end
	FileBytes, MeshBytes int64
}

// FileBook decides what becomes of files, whichever way somebody asks. Methods may
// be called concurrently.
type FileBook struct {
	FileOptions
	store  FileStore
	roster Roster
	dir    *presence.Directory
}

// NewFileBook returns a book.
func NewFileBook(st FileStore, who Roster, dir *presence.Directory, o FileOptions) *FileBook {
	return &FileBook{FileOptions: o, store: st, roster: who, dir: dir}
}

// on refuses where there are no files.
func (b *FileBook) on() error {
	if b.Bytes == nil {
		return core.Refuse(ReasonNotAvailable, "this broker shares no files: its operator can switch that on with files.storage")
	}
	return nil
}

// NewFile is a file that somebody wants to upload.
type NewFile struct {
	Name, MediaType, Target string
	Size                    int64
	Tags                    []string
	Persistent, Encrypted   bool
	Keys                    []wire.FileKey
	Request                 [32]byte // see [store.File]
}

// Create makes an open file of a member's.
func (b *FileBook) Create(ctx context.Context, by *store.Member, n NewFile) (*store.File, error) {
	if err := b.on(); err != nil {
		return nil, err
	}
	f, fresh, err := b.create(ctx, by, n)
	switch {
	case err != nil && ctx.Err() != nil: // whoever asked is gone
	case err != nil:
		why := sdk.ReasonUnavailable
		if refused, ok := errors.AsType[*core.Error](err); ok {
			why = refused.Code
		}
		b.Bytes.Refused(why)
	case fresh:
		b.Bytes.Begun()
	}
	return f, err
}

func (b *FileBook) create(ctx context.Context, by *store.Member, n NewFile) (_ *store.File, fresh bool, _ error) {
	if err := b.check(&n); err != nil {
		return nil, false, err
	}
	target, err := b.target(ctx, by.MeshID, n.Target)
	if err != nil {
		return nil, false, err
	}
	now := time.Now()
	f := &store.File{
		ID: identity.NewMessageID(now), MeshID: by.MeshID, Name: cleanName(n.Name), Size: n.Size, MediaType: mediaType(n.MediaType),
		Tags: n.Tags, Persistent: n.Persistent, Encrypted: n.Encrypted, Target: target, MemberID: by.ID, Author: by.DisplayName,
		CreatedAt: now, ExpiresAt: now.Add(files.UnfinishedKept), Hash: files.Start(), Request: n.Request,
	}
	keys := make([]store.FileKey, len(n.Keys))
	for i, k := range n.Keys {
		keys[i] = store.FileKey{FileID: f.ID, Peer: k.PeerPubkey, Sealed: k.SealedKey, GrantedAt: now}
	}
	id, fresh, err := b.store.CreateFile(ctx, f, keys, store.FileRoom{
		Files: store.Most{Mesh: filesPerMesh, Member: filesPerMember},
		Bytes: store.Most{Mesh: b.MeshBytes, Member: b.MeshBytes / 2},
		Open:  uploadsAtOnce,
	})
	switch {
	case err != nil:
		return nil, false, noFileRoom(err)
	case fresh:
		return f, true, nil
	}
	f, err = b.store.File(ctx, by.MeshID, id)
	if err != nil {
		return nil, false, core.Unavailable(err)
	}
	return f, false, nil
}

// check refuses a file that nobody can upload.
func (b *FileBook) check(n *NewFile) error {
	switch {
	case n.Size < 1:
		return core.Refuse(sdk.ReasonInvalid, "empty body: a file has at least one byte")
	case n.Size > b.FileBytes:
		return core.Refuse(sdk.ReasonTooLarge, fmt.Sprintf("file too large (max %d bytes): send it in parts, or ask the operator for more", b.FileBytes))
	case len(n.Keys) > 0 && !n.Encrypted:
		return core.Refuse(sdk.ReasonInvalid, "a file that is not encrypted has no keys: leave them out, or say that it is encrypted")
	}
	for i, k := range n.Keys {
		if k.PeerPubkey.IsZero() || k.SealedKey == "" || len(k.SealedKey) > wire.FileKeyMax {
			return core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("file key %d: want peerPubkey, 64 hex digits, and sealedKey, at most %d bytes", i+1, wire.FileKeyMax))
		}
	}
	return nil
}

// noFileRoom makes a refusal of a store's error.
func noFileRoom(err error) error {
	full, ok := errors.AsType[*store.FileFullError](err)
	switch {
	case !ok:
		return core.Unavailable(err)
	case full.What == "uploads":
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("%d uploads of yours are not finished, and that is all a member may have: finish or delete some", full.Most))
	case full.Member && full.What == "files":
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("a member may have %d files, those that were deleted in the last hours among them: delete some, and wait", full.Most))
	case full.Member:
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("a member may have %d %s: delete some of your files", full.Most, full.What))
	default:
		return core.Refuse(sdk.ReasonCapacity, fmt.Sprintf("the files of a mesh may be %d %s, and there is no room for this one: delete some", full.Most, full.What))
	}
}

var errNoFile = core.Refuse(sdk.ReasonNotFound, "file not found")

// Find returns a file of a mesh that is ready.
func (b *FileBook) Find(ctx context.Context, mesh, id string) (*store.File, error) {
	f, err := b.any(ctx, mesh, id)
	if err == nil && !f.Ready() {
		return nil, errNoFile
	}
	return f, err
}

// any is Find for open files too.
func (b *FileBook) any(ctx context.Context, mesh, id string) (*store.File, error) {
	if err := b.on(); err != nil {
		return nil, err
	}
	f, err := b.store.File(ctx, mesh, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoFile
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return f, nil
}

// Uploading returns a file that a member uploads, or has uploaded.
func (b *FileBook) Uploading(ctx context.Context, by *store.Member, id string) (*store.File, error) {
	f, err := b.any(ctx, by.MeshID, id)
	if err == nil && f.MemberID != by.ID {
		return nil, errNoFile // ids of others' uploads are nobody's business
	}
	return f, err
}

// UploadURL returns the address of an upload, with a ticket for a member where this
// broker can make one.
func (b *FileBook) UploadURL(f *store.File, peer sdk.Key) string {
	return b.address("/upload/", f, token.Ticket{Use: TicketUpload, Peer: peer, Member: f.MemberID, Expires: f.ExpiresAt})
}

func (b *FileBook) downloadURL(f *store.File, r *fileReader) string {
	return b.address("/download/", f, token.Ticket{Use: TicketDownload, Peer: r.peer(), Member: r.member.ID, Expires: time.Now().Add(downloadFor)})
}

func (b *FileBook) address(path string, f *store.File, t token.Ticket) string {
	t.Mesh, t.File = f.MeshID, f.ID
	query := url.Values{"mesh": {f.MeshID}, "ticket": {b.Tickets.Ticket(t)}}
	return b.Base() + path + url.PathEscape(f.ID) + "?" + query.Encode()
}

// Redeem returns who a ticket was given to: a live member of a live mesh, and the key
// that it had then. A refusal is a [*core.Error].
func (b *FileBook) Redeem(ctx context.Context, text, use, mesh, file string) (*store.Member, sdk.Key, error) {
	refuse := func(text string) (*store.Member, sdk.Key, error) {
		return nil, sdk.Key{}, core.Refuse(sdk.ReasonUnauthorized, text)
	}
	if b.Tickets == nil {
		return refuse("this broker has no key to make tickets with: use a bearer token")
	}
	t, err := b.Tickets.OpenTicket(text, time.Now())
	switch {
	case errors.Is(err, token.ErrTicketOver):
		return refuse("the ticket is over: ask for another one over the socket")
	case err != nil || t.Use != use || t.Mesh != mesh || t.File != file:
		return refuse("the ticket is not for this: use the address as the broker gave it")
	}
	member, err := b.roster.MemberByID(ctx, t.Member)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (!member.Live() || member.MeshID != mesh):
		return refuse("the member that the ticket was given to is not in this mesh any more")
	case err != nil:
		return nil, sdk.Key{}, core.Unavailable(err)
	}
	of, err := b.roster.Mesh(ctx, mesh)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !of.ArchivedAt.IsZero():
		return refuse("the mesh of this file was deleted")
	case err != nil:
		return nil, sdk.Key{}, core.Unavailable(err)
	}
	return member, t.Peer, nil
}

// Served notes that a peer got bytes of a file.
func (b *FileBook) Served(ctx context.Context, f *store.File, peer sdk.Key, name string) error {
	return b.store.FileAccessed(ctx, &store.FileAccess{FileID: f.ID, Peer: peer, Name: name, At: time.Now()}, accessesKept)
}

// target reads a targetSpec. A session's key becomes its member's, where that is
// known: sessions end, and files stay.
func (b *FileBook) target(ctx context.Context, mesh, spec string) (string, error) {
	if spec == "" {
		return "", nil
	}
	t, err := sdk.ParseTarget(spec)
	if err != nil || t.Kind == sdk.TargetTopic {
		return "", core.Refuse(sdk.ReasonInvalid, "targetSpec: "+core.Shown(spec)+" is none for a file: want the key of a member or session, @ and a group, or *")
	}
	if t.Kind == sdk.TargetBroadcast {
		return "*", nil
	}
	if t.Kind == sdk.TargetGroup {
		return "@" + t.Name, nil
	}
	owner, err := b.store.SessionKeyOwner(ctx, mesh, t.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return t.Key.String(), nil
	case err != nil:
		return "", core.Unavailable(err)
	}
	member, err := b.roster.MemberByID(ctx, owner)
	if err != nil {
		return "", core.Unavailable(err)
	}
	return member.Key.String(), nil
}

// groupsOf returns the names of groups with those of the groups above them.
func groupsOf(groups []store.Group, dst []string) []string {
	for _, g := range groups {
		for i, c := range g.Name {
			if c == '/' {
				dst = append(dst, g.Name[:i])
			}
		}
		dst = append(dst, g.Name)
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}
