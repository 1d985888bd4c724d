package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

const groupFiles = "Files"

// Headers of uploads that can be resumed, by the tus protocol.
const (
	headerOffset = "Upload-Offset"
	headerLength = "Upload-Length"
	headerTus    = "Tus-Resumable"
	tusVersion   = "1.0.0"
)

// Limits of what headers say of a file.
const (
	maxTags     = 32
	maxTagBytes = 128
	maxFileKeys = 64
)

// PostUpload is POST /upload.
type PostUpload struct {
	Mesh      string `header:"X-Mesh-Id" json:"-" doc:"id or slug of the mesh"`
	Member    string `header:"X-Member-Id" json:"-" doc:"id of the caller's member in it. The mesh's own id or slug stands for the only one"`
	Name      string `header:"X-File-Name" json:"-" doc:"name of the file"`
	Target    string `header:"X-Target-Spec" json:"-" doc:"whom it is for: the key of a member or session, @ and a group, or *; the mesh when absent"`
	Persists  string `header:"X-Persistent" json:"-" doc:"false: it is deleted by itself after some days"`
	Encrypted string `header:"X-Encrypted" json:"-" doc:"true: the bytes are sealed"`
	Length    string `header:"Upload-Length" json:"-" doc:"the body comes later, with PATCH: how many bytes it will have"`
	Digest    string `query:"sha256" json:"-" doc:"SHA-256 of the body in hex, which is held to it. A signature covers the query, and not the body of this route"`
}

// MeshName implements [feature.MeshNamer].
func (m *PostUpload) MeshName() string { return m.Mesh }

// FileUploaded answers a [PostUpload].
type FileUploaded struct {
	OK     bool   `json:"ok" doc:"true"`
	FileID string `json:"fileId" doc:"id of the file"`

	uploads *uploads
	file    *store.File
	length  int64 // of the body; 0 for one that comes later
	want    *[sha256.Size]byte
}

// UploadState is GET /upload/{id}.
type UploadState struct {
	ID     string `path:"id" json:"-" doc:"id of the file"`
	Mesh   string `query:"mesh" json:"-" doc:"id or slug of the mesh"`
	Ticket string `query:"ticket" json:"-" doc:"as file_ticket has given it, in the place of another proof"`
}

// MeshName implements [feature.MeshNamer].
func (m *UploadState) MeshName() string { return m.Mesh }

// Uploading answers an [UploadState].
type Uploading struct {
	FileID string `json:"fileId" doc:"id of the file"`
	Size   int64  `json:"size" doc:"bytes that it will have"`
	Offset int64  `json:"offset" doc:"bytes that have arrived: the next PATCH begins there"`
	Done   bool   `json:"done" doc:"all have"`
}

// PatchUpload is PATCH /upload/{id}.
type PatchUpload struct {
	ID     string `path:"id" json:"-" doc:"id of the file"`
	Mesh   string `query:"mesh" json:"-" doc:"id or slug of the mesh"`
	Ticket string `query:"ticket" json:"-" doc:"as file_ticket has given it, in the place of another proof"`
	Offset string `header:"Upload-Offset" json:"-" doc:"where in the file the body begins: as many bytes as have arrived"`
}

// MeshName implements [feature.MeshNamer].
func (m *PatchUpload) MeshName() string { return m.Mesh }

// Patched answers a [PatchUpload], with no body.
type Patched struct {
	uploads *uploads
	file    *store.File
	length  int64
}

// Uploads adds the routes by which files come in.
func Uploads(t *Table, d Deps) {
	s := &uploads{d}
	status := map[sdk.Reason]int{sdk.ReasonCapacity: http.StatusInsufficientStorage, feature.ReasonNotAvailable: http.StatusNotImplemented}
	On(t, Route{
		Method: http.MethodPost, Path: "/upload", Kind: "http.file.upload", Group: groupFiles, Body: BodyNone,
		Summary: "takes in a file as the body, or begins an upload that can be resumed", Access: feature.AnyCaller, Status: status,
		Also: []Answer{{http.StatusCreated, "The upload has begun, and Location says where the bytes go.", "application/json"}},
		Refusals: []sdk.Reason{
			sdk.ReasonInvalid, sdk.ReasonForbidden, sdk.ReasonTooLarge, sdk.ReasonCapacity, feature.ReasonNotAvailable, ReasonConflict,
		},
	}, s.begin)
	On(t, Route{
		Method: http.MethodGet, Path: "/upload/{id}", Kind: "http.file.upload.state", Group: groupFiles, Body: BodyNone,
		Summary: "tells how much of an upload has arrived, also in Upload-Offset", Access: feature.AnyoneKnown, Status: status,
		Wants:    ByAccount | ByMember | ByTicket,
		Refusals: []sdk.Reason{feature.ReasonNoBearer, sdk.ReasonForbidden, sdk.ReasonNotFound, feature.ReasonNotAvailable},
	}, s.state)
	On(t, Route{
		Method: http.MethodPatch, Path: "/upload/{id}", Kind: "http.file.upload.append", Group: groupFiles, Body: BodyNone,
		Summary: "takes in the next bytes of an upload, as tus 1.0 does", Access: feature.AnyoneKnown, Status: status,
		Wants: ByAccount | ByMember | ByTicket,
		Also:  []Answer{{http.StatusOK, "Not used.", ""}, {http.StatusNoContent, "They have arrived; Upload-Offset says how many there are now.", ""}},
		Refusals: []sdk.Reason{
			feature.ReasonNoBearer, sdk.ReasonInvalid, sdk.ReasonForbidden, sdk.ReasonNotFound, ReasonConflict, ReasonLocked, feature.ReasonNotAvailable,
		},
	}, s.patch)
}

type uploads struct{ Deps }

// begin makes the file, whose bytes come behind the chain.
func (s *uploads) begin(ctx context.Context, c *feature.Call, m *PostUpload) (*FileUploaded, error) {
	if m.Mesh == "" || m.Member == "" || m.Name == "" {
		return nil, core.Refuse(sdk.ReasonInvalid, "X-Mesh-Id, X-Member-Id, and X-File-Name headers required")
	}
	member, err := s.member(ctx, c, m.Member)
	if err != nil {
		return nil, err
	}
	n, err := newFile(c, m)
	if err != nil {
		return nil, err
	}
	u := &FileUploaded{OK: true, uploads: s}
	if m.Digest != "" {
		digest, err := hex.DecodeString(m.Digest)
		if err != nil || len(digest) != sha256.Size {
			return nil, core.Refuse(sdk.ReasonInvalid, "sha256: want 64 hex digits")
		}
		u.want = (*[sha256.Size]byte)(digest)
	}
	if m.Length == "" {
		u.length = n.Size
	}
	u.file, err = s.Files.Create(ctx, member, n)
	if err != nil {
		return nil, err
	}
	u.FileID = u.file.ID
	return u, nil
}

// member returns the caller's member that uploads. Other than with the original, it
// is one of the mesh.
func (s *uploads) member(ctx context.Context, c *feature.Call, id string) (*store.Member, error) {
	refused := core.Refuse(sdk.ReasonForbidden, "member does not belong to authenticated user")
	mesh := c.HTTP.Mesh
	switch {
	case mesh == nil:
		return nil, refused
	case c.Member != nil && (id == c.Member.ID || id == mesh.ID || id == mesh.Slug):
		return c.Member, nil
	case c.HTTP.Account == nil:
		return nil, refused
	}
	member, err := s.Store.MemberByID(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refused
	case err != nil:
		return nil, core.Unavailable(err)
	case member.MeshID != mesh.ID || member.AccountID != c.HTTP.Account.ID || !member.Live():
		return nil, refused
	}
	return member, nil
}

// newFile reads what the headers say of a file.
func newFile(c *feature.Call, m *PostUpload) (n feature.NewFile, err error) {
	n = feature.NewFile{
		Name: m.Name, Target: m.Target, MediaType: c.HTTP.RequestHeader("Content-Type"),
		Persistent: m.Persists != "false", Encrypted: m.Encrypted == "true",
	}
	length := m.Length
	if length == "" {
		length = c.HTTP.RequestHeader("Content-Length")
	}
	if n.Size, err = strconv.ParseInt(length, 10, 64); err != nil {
		return n, core.Refuse(sdk.ReasonInvalid, "say how many bytes come: with Content-Length, or with Upload-Length where they come later")
	}
	if tags := c.HTTP.RequestHeader("X-Tags"); json.Unmarshal([]byte(tags), &n.Tags) != nil {
		n.Tags = nil
	}
	for _, tag := range n.Tags {
		if len(n.Tags) > maxTags || len(tag) > maxTagBytes || !plain(tag) {
			return n, core.Refuse(sdk.ReasonInvalid, "X-Tags: at most 32 texts of 128 bytes")
		}
	}
	if keys := c.HTTP.RequestHeader("X-File-Keys"); keys != "" && n.Encrypted {
		n.Keys, err = fileKeys(keys)
	}
	return n, err
}

// fileKeys reads sealed keys. Other than with the original, a key that cannot be read
// is no reason to take the file: nobody could open it.
func fileKeys(text string) ([]wire.FileKey, error) {
	var list []struct{ PeerPubkey, SealedKey string }
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) > maxFileKeys {
		return nil, core.Refuse(sdk.ReasonInvalid, `X-File-Keys: want at most 64 of [{"peerPubkey":"64 hex digits","sealedKey":"…"}]`)
	}
	keys := make([]wire.FileKey, len(list))
	for i, k := range list {
		key, err := sdk.ParseKey(k.PeerPubkey)
		if err != nil || !plain(k.SealedKey) {
			return nil, core.Refuse(sdk.ReasonInvalid, "X-File-Keys: "+core.Shown(k.PeerPubkey)+" is no key of a peer: want 64 hex digits")
		}
		keys[i] = wire.FileKey{PeerPubkey: key, SealedKey: k.SealedKey}
	}
	return keys, nil
}

// Continue implements [Continued].
func (u *FileUploaded) Continue(w http.ResponseWriter, r *http.Request) (any, error) {
	w.Header().Set(headerTus, tusVersion)
	if u.length == 0 {
		w.Header().Set("Location", "/upload/"+u.file.ID+"?mesh="+u.file.MeshID)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		return nil, json.NewEncoder(w).Encode(u)
	}
	_, err := u.uploads.take(w, r, u.file, u.length, u.want)
	if err == nil {
		return u, nil
	}
	// Nobody knows its id: it goes at once, and not in a day.
	if e := u.uploads.Bytes.Drop(context.WithoutCancel(r.Context()), u.file); e != nil && !errors.Is(e, store.ErrNotFound) {
		err = errors.Join(err, e)
	}
	return nil, err
}

// take takes in a body, and returns the file as it is then.
func (s *uploads) take(w http.ResponseWriter, r *http.Request, f *store.File, length int64, want *[sha256.Size]byte) (*store.File, error) {
	f, err := s.Bytes.Append(r.Context(), f, pacedBody(w, r, s.Config.ReadTimeout), length, want)
	// The answer has its time from now on.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.Config.WriteTimeout)) // a connection without deadlines needs none
	switch {
	case errors.Is(err, files.ErrBrokenOff):
		return f, core.Refuse(sdk.ReasonInvalid, "the body did not arrive whole, or too slowly: ask how much did, and go on from there")
	case errors.Is(err, files.ErrDigest):
		return f, core.Refuse(sdk.ReasonInvalid, "the body is not the one whose sha256 was given: send it again")
	case errors.Is(err, files.ErrMoved):
		return f, core.Refuse(ReasonConflict, "another request was faster, or the file was deleted: ask how much has arrived")
	case errors.Is(err, files.ErrHeld):
		return f, &core.Error{
			Code: ReasonLocked, Message: "another request sends bytes of this upload: wait until it is over, and ask how much has arrived",
			RetryAfter: time.Second,
		}
	case err != nil:
		return f, core.Unavailable(err)
	}
	return f, nil
}

// found returns the caller's own upload.
func (d Deps) found(ctx context.Context, c *feature.Call, id, mesh, ticket string) (*store.File, error) {
	member, _, err := d.holder(ctx, c, feature.TicketUpload, id, mesh, ticket)
	if err != nil {
		return nil, err
	}
	return d.Files.Uploading(ctx, member, id)
}

// holder returns the member that asks: by a ticket, or else by what proved it.
func (d Deps) holder(ctx context.Context, c *feature.Call, use, id, mesh, ticket string) (*store.Member, sdk.Key, error) {
	switch {
	case id == "" || mesh == "":
		return nil, sdk.Key{}, core.Refuse(sdk.ReasonInvalid, "fileId and ?mesh= required")
	case ticket != "":
		member, peer, err := d.Files.Redeem(ctx, ticket, use, mesh, id)
		if err != nil {
			return nil, sdk.Key{}, err
		}
		s := &c.Env.Sender
		c.Env.Mesh, s.MemberID, s.Member, s.Name = member.MeshID, member.ID, member.Key, member.DisplayName
		if peer != member.Key {
			s.Session = peer
		}
		return member, peer, nil
	case c.HTTP.Account == nil && c.Member == nil:
		return nil, sdk.Key{}, core.Refuse(feature.ReasonNoBearer, string(feature.ReasonNoBearer))
	case c.Member == nil || c.HTTP.Mesh == nil:
		return nil, sdk.Key{}, core.Refuse(sdk.ReasonForbidden, "not a member of this mesh")
	}
	return c.Member, c.Member.Key, nil
}

// state tells how much has arrived.
func (s *uploads) state(ctx context.Context, c *feature.Call, m *UploadState) (*Uploading, error) {
	f, err := s.found(ctx, c, m.ID, m.Mesh, m.Ticket)
	if err != nil {
		return nil, err
	}
	setOffset(c.HTTP.Header, f)
	return &Uploading{FileID: f.ID, Size: f.Size, Offset: f.Received, Done: f.Ready()}, nil
}

func setOffset(h http.Header, f *store.File) {
	h.Set(headerTus, tusVersion)
	h.Set(headerOffset, strconv.FormatInt(f.Received, 10))
	h.Set(headerLength, strconv.FormatInt(f.Size, 10))
}

// patch decides whether bytes follow on those that are there.
func (s *uploads) patch(ctx context.Context, c *feature.Call, m *PatchUpload) (*Patched, error) {
	f, err := s.found(ctx, c, m.ID, m.Mesh, m.Ticket)
	if err != nil {
		return nil, err
	}
	setOffset(c.HTTP.Header, f)
	offset, err := strconv.ParseInt(m.Offset, 10, 64)
	length, bad := strconv.ParseInt(c.HTTP.RequestHeader("Content-Length"), 10, 64)
	switch left := f.Size - f.Received; {
	case err != nil || bad != nil:
		return nil, core.Refuse(sdk.ReasonInvalid, "want Upload-Offset and Content-Length, in bytes")
	case offset != f.Received:
		return nil, core.Refuse(ReasonConflict, "the next bytes begin at "+strconv.FormatInt(f.Received, 10)+", which Upload-Offset has to say")
	case length > left:
		return nil, core.Refuse(sdk.ReasonInvalid, "the body is longer than what is missing, "+strconv.FormatInt(left, 10)+" bytes")
	case length < min(left, files.LeastBytes):
		return nil, core.Refuse(sdk.ReasonInvalid, "send at least "+strconv.Itoa(files.LeastBytes)+" bytes, or all that is missing")
	}
	return &Patched{s, f, length}, nil
}

// Continue implements [Continued].
func (p *Patched) Continue(w http.ResponseWriter, r *http.Request) (any, error) {
	f := p.file
	if p.length > 0 {
		var err error
		if f, err = p.uploads.take(w, r, f, p.length, nil); err != nil {
			return nil, err
		}
	}
	setOffset(w.Header(), f)
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
