package wire

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// FileKeyMax is how long the sealed key of a file may be, in bytes.
const FileKeyMax = 1024

// FileTicket begins an upload, whose bytes go over HTTP to the address in the
// answer. The answer is a [FileTicketResult]. A session that repeats a request, with
// its _reqId, gets the same upload until that is finished. Errors: invalid; too_large;
// capacity when there is no room; not_available.
type FileTicket struct {
	Name       string    `json:"name" required:"true" max:"1024" doc:"name of the file. What no file system takes is left out of it, and all before the last slash"`
	Size       int64     `json:"size" required:"true" doc:"how many bytes it will have, at least 1"`
	MediaType  string    `json:"mimeType,omitempty" max:"128" doc:"its media type; application/octet-stream when absent"`
	Tags       []string  `json:"tags,omitempty" max:"32" each:"128" doc:"words about it"`
	Persistent *bool     `json:"persistent,omitempty" doc:"false: it is deleted by itself after some days; true when absent"`
	TargetSpec string    `json:"targetSpec,omitempty" max:"256" doc:"whom it is for: the key of a member or a session, @ and a group, or * for the mesh, as when it is absent"`
	Encrypted  bool      `json:"encrypted,omitempty" doc:"the bytes are sealed, and readers need one of fileKeys"`
	FileKeys   []FileKey `json:"fileKeys,omitempty" max:"64" doc:"keys to an encrypted file"`
}

// FrameType returns file_ticket.
func (FileTicket) FrameType() string { return "file_ticket" }

// FileKey is the key of a file, sealed to a peer.
type FileKey struct {
	PeerPubkey sdk.Key `json:"peerPubkey" required:"true" doc:"key of the member or session that can open it"`
	SealedKey  string  `json:"sealedKey" required:"true" max:"1024" doc:"the file's key, sealed to it; the broker does not look into it"`
}

// FileTicketResult answers a [FileTicket].
type FileTicketResult struct {
	FileID    string    `json:"fileId,omitempty" doc:"id of the file; absent when it was refused"`
	UploadURL string    `json:"uploadUrl,omitempty" doc:"PATCH the bytes here, with Upload-Offset; GET tells how many there are. Good for a day, for whoever has it"`
	ExpiresAt time.Time `json:"expiresAt,omitzero" doc:"until when"`
	Error     string    `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns file_ticket_result.
func (FileTicketResult) FrameType() string { return "file_ticket_result" }

// GetFile asks where the bytes of a file are. Its answer is a [FileURL]. Errors:
// not_found; forbidden for a file that is for others, for one whose uploader does not
// let the asker read, and for an encrypted one without a key for the asker;
// not_available.
type GetFile struct {
	FileID string `json:"fileId" required:"true" max:"256" doc:"id of the file"`
}

// FrameType returns get_file.
func (GetFile) FrameType() string { return "get_file" }

// FileURL answers a [GetFile].
type FileURL struct {
	FileID    string `json:"fileId" doc:"id of the file"`
	URL       string `json:"url" doc:"where its bytes are for a minute, for whoever has this address; empty when it was refused"`
	Name      string `json:"name" doc:"its name"`
	Encrypted bool   `json:"encrypted" doc:"the bytes are sealed with the key of the file"`
	SealedKey string `json:"sealedKey,omitempty" doc:"that key, sealed to the asker's session or member; absent for a file that is not encrypted, and for its uploader where none was left"`
	Error     string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns file_url.
func (FileURL) FrameType() string { return "file_url" }

// ListFiles asks for files. Its answer is a [FileList].
type ListFiles struct {
	Query string `json:"query,omitempty" max:"256" doc:"part of the name, in any case"`
	From  string `json:"from,omitempty" max:"256" doc:"exactly the uploader's name at that time"`
}

// FrameType returns list_files.
func (ListFiles) FrameType() string { return "list_files" }

// FileList answers a [ListFiles].
type FileList struct {
	Files []FileRow `json:"files" doc:"at most 100, the newest first, without those that are for others or whose uploader does not let the asker read; whoever may manage files sees all"`
	Error string    `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns file_list.
func (FileList) FrameType() string { return "file_list" }

// FileRow is one file.
type FileRow struct {
	ID         string    `json:"id" doc:"id of the file"`
	Name       string    `json:"name" doc:"its name"`
	Size       int64     `json:"size" doc:"bytes"`
	Tags       []string  `json:"tags" doc:"words about it"`
	UploadedBy string    `json:"uploadedBy" doc:"name, at that time, of the member that uploaded it"`
	UploadedAt time.Time `json:"uploadedAt" doc:"when the upload began"`
	Persistent bool      `json:"persistent" doc:"false: it is deleted by itself after some days"`
	Encrypted  bool      `json:"encrypted" doc:"readers need a key to it"`
}

// FileStatus asks who got a file. Its answer is a [FileStatusResult].
type FileStatus struct {
	FileID string `json:"fileId" required:"true" max:"256" doc:"id of the file"`
}

// FrameType returns file_status.
func (FileStatus) FrameType() string { return "file_status" }

// FileStatusResult answers a [FileStatus]. For a file that the asker may not have it
// is empty, as for one that is not there.
type FileStatusResult struct {
	FileID   string          `json:"fileId" doc:"as it was asked for"`
	Accesses []FileAccessRow `json:"accesses" doc:"at most 1000, the newest first, each session once"`
	Error    string          `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns file_status_result.
func (FileStatusResult) FrameType() string { return "file_status_result" }

// FileAccessRow says that a peer got a file.
type FileAccessRow struct {
	PeerName   string    `json:"peerName" doc:"name of the member, at that time"`
	AccessedAt time.Time `json:"accessedAt" doc:"when bytes of it were last sent"`
}

// GrantFileAccess leaves the key of a file for another peer, in the place of an
// earlier one. Its answer is a [FileAccessGranted]. Errors: not_found; forbidden for
// all but sessions of the member that uploaded it; capacity.
type GrantFileAccess struct {
	FileID     string  `json:"fileId" required:"true" max:"256" doc:"id of the file"`
	PeerPubkey sdk.Key `json:"peerPubkey" required:"true" doc:"key of the member or session that can open it. That of a member lasts"`
	SealedKey  string  `json:"sealedKey" required:"true" max:"1024" doc:"the file's key, sealed to it; the broker does not look into it"`
}

// FrameType returns grant_file_access.
func (GrantFileAccess) FrameType() string { return "grant_file_access" }

// FileAccessGranted answers a [GrantFileAccess].
type FileAccessGranted struct {
	FileID     string  `json:"fileId" doc:"id of the file"`
	PeerPubkey sdk.Key `json:"peerPubkey" doc:"whom the key is for"`
	Error      string  `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns grant_file_access_ok.
func (FileAccessGranted) FrameType() string { return "grant_file_access_ok" }

// DeleteFile deletes a file with its bytes: one that the sender's member uploaded,
// or, for whoever has the permission canManageFiles, any. Its answer is an [Ack] with
// the file's id in id and messageId, also where there is no such file, or none any
// more. Errors, in the same shape: forbidden.
type DeleteFile struct {
	FileID string `json:"fileId" required:"true" max:"256" doc:"id of the file"`
}

// FrameType returns delete_file.
func (DeleteFile) FrameType() string { return "delete_file" }
