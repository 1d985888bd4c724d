package wire

import "github.com/claudemesh/broker/sdk"

// PeerFileRequest asks another session for a file from its disk. What comes back
// is a [PeerFileResult]: from that session, or, within 14 s, from the broker, which
// says why there is none. Errors: peer_not_found; forbidden for whom the other
// member does not grant file-read; rate_limit; capacity.
type PeerFileRequest struct {
	TargetPubkey sdk.Key `json:"targetPubkey" required:"true" doc:"key of a session, or of a member: then the session of its that came last is asked, but for streams over HTTP"`
	FilePath     string  `json:"filePath" required:"true" max:"4096" doc:"path of the file, in the form of the other side"`
}

// FrameType returns peer_file_request.
func (PeerFileRequest) FrameType() string { return "peer_file_request" }

// PeerFileAsk asks a session for a file. It answers with a [PeerFileResponse] that
// repeats the _reqId.
type PeerFileAsk struct {
	RequesterPubkey sdk.Key `json:"requesterPubkey" doc:"key of the session that asks, else of its member"`
	FilePath        string  `json:"filePath" doc:"path of the file"`
}

// FrameType returns peer_file_request_forward.
func (PeerFileAsk) FrameType() string { return "peer_file_request_forward" }

// PeerFileResponse answers a [PeerFileAsk], once. There is no answer to it; a
// refusal is an ack with an error, and then nothing was passed on. Errors:
// not_found for what this session was not asked, or not any more.
type PeerFileResponse struct {
	RequesterPubkey sdk.Key `json:"requesterPubkey" doc:"as it came"`
	FilePath        string  `json:"filePath" max:"4096" doc:"as it came"`
	Content         *string `json:"content,omitzero" max:"2097152" doc:"the file in base64"`
	Error           string  `json:"error,omitempty" max:"1024" doc:"why there is no content"`
}

// FrameType returns peer_file_response.
func (PeerFileResponse) FrameType() string { return "peer_file_response" }

// PeerFileResult is the answer to a [PeerFileRequest].
type PeerFileResult struct {
	FilePath string  `json:"filePath" doc:"as it was asked for"`
	Content  *string `json:"content,omitzero" doc:"the file in base64"`
	Error    string  `json:"error,omitempty" doc:"why there is no content: the other side's words, or the broker's reason and what to do about it"`
}

// FrameType returns peer_file_response_forward.
func (PeerFileResult) FrameType() string { return "peer_file_response_forward" }

// PeerDirRequest asks another session for what a directory on its disk holds. What
// comes back is a [PeerDirResult], as with a [PeerFileRequest].
type PeerDirRequest struct {
	TargetPubkey sdk.Key `json:"targetPubkey" required:"true" doc:"key of a session, or of a member: then the session of its that came last is asked, but for streams over HTTP"`
	DirPath      string  `json:"dirPath" required:"true" max:"4096" doc:"path of the directory, in the form of the other side"`
	Pattern      string  `json:"pattern,omitempty" max:"256" doc:"only names that match: * and ? are wildcards"`
}

// FrameType returns peer_dir_request.
func (PeerDirRequest) FrameType() string { return "peer_dir_request" }

// PeerDirAsk asks a session for what a directory holds. It answers with a
// [PeerDirResponse] that repeats the _reqId.
type PeerDirAsk struct {
	RequesterPubkey sdk.Key `json:"requesterPubkey" doc:"key of the session that asks, else of its member"`
	DirPath         string  `json:"dirPath" doc:"path of the directory"`
	Pattern         string  `json:"pattern,omitempty" doc:"only names that match"`
}

// FrameType returns peer_dir_request_forward.
func (PeerDirAsk) FrameType() string { return "peer_dir_request_forward" }

// PeerDirResponse answers a [PeerDirAsk], like a [PeerFileResponse].
type PeerDirResponse struct {
	RequesterPubkey sdk.Key   `json:"requesterPubkey" doc:"as it came"`
	DirPath         string    `json:"dirPath" max:"4096" doc:"as it came"`
	Entries         *[]string `json:"entries,omitzero" max:"10000" each:"4096" doc:"paths below the directory"`
	Error           string    `json:"error,omitempty" max:"1024" doc:"why there are none"`
}

// FrameType returns peer_dir_response.
func (PeerDirResponse) FrameType() string { return "peer_dir_response" }

// PeerDirResult is the answer to a [PeerDirRequest].
type PeerDirResult struct {
	DirPath string    `json:"dirPath" doc:"as it was asked for"`
	Entries *[]string `json:"entries,omitzero" doc:"paths below the directory"`
	Error   string    `json:"error,omitempty" doc:"why there are none: the other side's words, or the broker's reason and what to do about it"`
}

// FrameType returns peer_dir_response_forward.
func (PeerDirResult) FrameType() string { return "peer_dir_response_forward" }
