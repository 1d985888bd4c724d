package feature

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// listedFiles is how many files a list has at most.
const listedFiles = 100

// Files lets the members of a mesh share files. Their bytes come and go over HTTP.
func Files(r *Registry, b *FileBook) {
	h := &fileRequests{b}
	On(r, h.ticket).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.FileTicketResult{Error: worded(why, text)}
	})
	On(r, h.get).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		refused := wire.FileURL{Error: worded(why, text)}
		if m, ok := c.Request.(*wire.GetFile); ok && m != nil {
			refused.FileID = m.FileID
		}
		return refused
	})
	On(r, h.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.FileList{Files: []wire.FileRow{}, Error: worded(why, text)}
	})
	On(r, h.status).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		refused := wire.FileStatusResult{Accesses: []wire.FileAccessRow{}, Error: worded(why, text)}
		if m, ok := c.Request.(*wire.FileStatus); ok && m != nil {
			refused.FileID = m.FileID
		}
		return refused
	})
	On(r, h.grant).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		refused := wire.FileAccessGranted{Error: worded(why, text)}
		if m, ok := c.Request.(*wire.GrantFileAccess); ok && m != nil {
			refused.FileID, refused.PeerPubkey = m.FileID, m.PeerPubkey
		}
		return refused
	})
	On(r, h.delete).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		ack := wire.Ack{ID: jsonText(""), Error: worded(why, text)}
		if m, ok := c.Request.(*wire.DeleteFile); ok && m != nil {
			ack.ID = jsonText(m.FileID)
		}
		return ack
	})
	r.Inform(h.inform)
}

type fileRequests struct{ *FileBook }

// FileRecord is the record of what was done to a file. The log keeps no name.
func FileRecord(event, id string, more ...audit.Field) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(append([]audit.Field{audit.String("fileId", id)}, more...)...)}
}

// FileUploaded is the entry of the audit log about a file whose last byte has arrived.
func FileUploaded(f *store.File) *audit.Entry {
	rec := FileRecord("file_uploaded", f.ID, audit.Int("size", f.Size), audit.String("sha256", hex.EncodeToString(f.Digest[:])))
	return &audit.Entry{
		MeshID: f.MeshID, EventType: rec.Event, ActorMemberID: f.MemberID, ActorName: f.Author, Payload: rec.Payload, CreatedAt: f.ReadyAt,
	}
}

// ticket begins an upload.
func (h *fileRequests) ticket(ctx context.Context, c *Call, m *wire.FileTicket) (wire.FileTicketResult, error) {
	if err := h.tickets(); err != nil {
		return wire.FileTicketResult{}, err
	}
	by, err := whoAsks(ctx, h.roster, c)
	if err != nil {
		return wire.FileTicketResult{}, err
	}
	f, err := h.Create(ctx, by.Member, NewFile{
		Name: m.Name, MediaType: m.MediaType, Target: m.TargetSpec, Size: m.Size, Tags: m.Tags,
		Persistent: m.Persistent == nil || *m.Persistent, Encrypted: m.Encrypted, Keys: m.FileKeys, Request: requestOf(c),
	})
	if err != nil {
		return wire.FileTicketResult{}, err
	}
	return wire.FileTicketResult{FileID: f.ID, UploadURL: h.UploadURL(f, c.Env.Sender.Routing()), ExpiresAt: f.ExpiresAt.UTC().Truncate(time.Millisecond)}, nil
}

// tickets refuses where nobody gets tickets.
func (h *fileRequests) tickets() error {
	if err := h.on(); err != nil {
		return err
	}
	if h.Tickets == nil {
		return core.Refuse(ReasonNotAvailable, "this broker has no encryption key to sign addresses with: its operator can set encryption_key")
	}
	return nil
}

// get tells where the bytes of a file are.
func (h *fileRequests) get(ctx context.Context, c *Call, m *wire.GetFile) (wire.FileURL, error) {
	if err := h.tickets(); err != nil {
		return wire.FileURL{}, err
	}
	f, err := h.Find(ctx, c.Env.Mesh, m.FileID)
	if err != nil {
		return wire.FileURL{}, err
	}
	r, err := h.reader(ctx, c)
	if err != nil {
		return wire.FileURL{}, err
	}
	sealed, err := h.open(ctx, r, f)
	if err != nil {
		return wire.FileURL{}, err
	}
	return wire.FileURL{FileID: f.ID, URL: h.downloadURL(f, r), Name: f.Name, Encrypted: f.Encrypted, SealedKey: sealed}, nil
}

// list lists the files that the asker may know of.
func (h *fileRequests) list(ctx context.Context, c *Call, m *wire.ListFiles) (wire.FileList, error) {
	r, err := h.reader(ctx, c)
	if err != nil {
		return wire.FileList{}, err
	}
	found, err := h.visible(ctx, r, store.FileMatch{Query: m.Query, From: m.From})
	if err != nil {
		return wire.FileList{}, err
	}
	list := wire.FileList{Files: make([]wire.FileRow, len(found))}
	for i, f := range found {
		list.Files[i] = wire.FileRow{
			ID: f.ID, Name: f.Name, Size: f.Size, Tags: append([]string{}, f.Tags...), UploadedBy: f.Author, UploadedAt: f.CreatedAt,
			Persistent: f.Persistent, Encrypted: f.Encrypted,
		}
	}
	return list, nil
}

// status tells who got a file, to those who may have it and to those who manage
// files.
func (h *fileRequests) status(ctx context.Context, c *Call, m *wire.FileStatus) (wire.FileStatusResult, error) {
	result := wire.FileStatusResult{FileID: m.FileID, Accesses: []wire.FileAccessRow{}}
	f, err := h.Find(ctx, c.Env.Mesh, m.FileID)
	if errors.Is(err, errNoFile) {
		return result, nil
	}
	if err != nil {
		return result, err
	}
	r, err := h.reader(ctx, c)
	if err != nil {
		return result, err
	}
	if _, err := h.open(ctx, r, f); err != nil && !r.manages() {
		if refused, ok := errors.AsType[*core.Error](err); ok && refused.Code == sdk.ReasonForbidden {
			return result, nil
		}
		return result, err
	}
	list, err := h.store.FileAccesses(ctx, f.ID, accessesKept)
	if err != nil {
		return result, core.Unavailable(err)
	}
	for _, a := range list {
		result.Accesses = append(result.Accesses, wire.FileAccessRow{PeerName: a.Name, AccessedAt: a.At})
	}
	return result, nil
}

// grant leaves a sealed key for a peer. The file may still be open.
func (h *fileRequests) grant(ctx context.Context, c *Call, m *wire.GrantFileAccess) (wire.FileAccessGranted, error) {
	f, err := h.any(ctx, c.Env.Mesh, m.FileID)
	switch {
	case err != nil:
		return wire.FileAccessGranted{}, err
	case f.MemberID != c.Env.Sender.MemberID:
		return wire.FileAccessGranted{}, core.Refuse(sdk.ReasonForbidden, "only the file owner can grant access: ask "+f.Author)
	case m.PeerPubkey.IsZero() || m.SealedKey == "":
		return wire.FileAccessGranted{}, core.Refuse(sdk.ReasonInvalid, "want peerPubkey, 64 hex digits, and sealedKey")
	}
	err = h.store.SetFileKey(ctx, &store.FileKey{FileID: f.ID, Peer: m.PeerPubkey, Sealed: m.SealedKey, GrantedAt: time.Now()}, keysPerFile)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.FileAccessGranted{}, errNoFile
	case err != nil:
		return wire.FileAccessGranted{}, noRoom(err, "keys to one file", "upload it anew for the others")
	}
	c.Env.Records = append(c.Env.Records, FileRecord("file_access_granted", f.ID, audit.String("peer", m.PeerPubkey.String())))
	return wire.FileAccessGranted{FileID: f.ID, PeerPubkey: m.PeerPubkey}, nil
}

// delete deletes a file. Whose id is unknown was deleted before, as far as anybody
// can tell.
func (h *fileRequests) delete(ctx context.Context, c *Call, m *wire.DeleteFile) (wire.Ack, error) {
	done := wire.Ack{ID: jsonText(m.FileID), MessageID: m.FileID}
	f, err := h.any(ctx, c.Env.Mesh, m.FileID)
	if errors.Is(err, errNoFile) {
		return done, nil
	}
	if err != nil {
		return wire.Ack{}, err
	}
	by, err := whoAsks(ctx, h.roster, c)
	switch {
	case err != nil:
		return wire.Ack{}, err
	case f.MemberID != by.ID && !by.mesh.May(by.Member, store.CanManageFiles):
		return wire.Ack{}, core.Refuse(sdk.ReasonForbidden,
			"only the member that uploaded this file and those with the permission "+string(store.CanManageFiles)+" may delete it: ask one of them")
	}
	err = h.Bytes.Drop(ctx, f)
	switch {
	case errors.Is(err, store.ErrNotFound): // somebody else was first
	case err != nil:
		return wire.Ack{}, core.Unavailable(err)
	default:
		c.Env.Records = append(c.Env.Records, FileRecord("file_deleted", f.ID))
	}
	return done, nil
}

// inform tells mesh_info how many files there are.
func (h *fileRequests) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	n, err := h.store.CountFiles(ctx, c.Env.Mesh)
	if err != nil {
		return core.Unavailable(err)
	}
	info.FileCount = n
	return nil
}
