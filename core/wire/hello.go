package wire

import "github.com/go-json-experiment/json/jsontext"

// Hello is a member's first frame on a socket. Its answer is a [HelloAck]; a
// refusal is an [Error] and the close [Refused] with the same code.
//
// Keys, ids and the timestamp are kept as they came: the signature covers their
// text. Nothing is required here, and texts with a form may be much too long, so
// that what is wrong is found in the order in which proofs are checked and
// answered with the code that belongs to it.
type Hello struct {
	MeshID        string         `json:"meshId" max:"128" doc:"mesh to enter, by its id, not its slug"`
	MemberID      string         `json:"memberId" max:"128" doc:"the member's id in that mesh; part of the signed text"`
	Pubkey        string         `json:"pubkey" max:"1024" doc:"the member's ed25519 key, 64 hex digits; part of the signed text"`
	SessionPubkey string         `json:"sessionPubkey,omitempty" max:"1024" doc:"key of this launch, 64 lower-case hex digits, by which others reach it; without one they use the member's key"`
	SessionProof  string         `json:"sessionProof,omitempty" max:"1024" doc:"signature by the session key that it may be named here, 128 hex digits; see session_hello for the newer way"`
	DisplayName   string         `json:"displayName,omitempty" max:"256" doc:"name shown to others; without one the member's own is"`
	SessionID     string         `json:"sessionId" max:"256" doc:"the peer's own name for its launch, kept over reconnects"`
	Pid           int64          `json:"pid" doc:"process id, by which status hooks find the session"`
	Cwd           string         `json:"cwd" max:"4096" doc:"working directory, by which status hooks find the session"`
	Hostname      string         `json:"hostname,omitempty" max:"256" doc:"host that the peer runs on"`
	PeerType      string         `json:"peerType,omitempty" max:"64" doc:"what the peer is: ai, human, connector or bridge"`
	Channel       string         `json:"channel,omitempty" max:"64" doc:"program that speaks, such as claude-code or claudemesh-daemon"`
	Model         string         `json:"model,omitempty" max:"256" doc:"language model behind the peer"`
	Groups        []Group        `json:"groups,omitempty" max:"64" doc:"groups to be in; without any the saved ones are restored, else the member's default ones"`
	Timestamp     jsontext.Value `json:"timestamp,omitzero" max:"64" doc:"clock of the peer, ms since 1970, at most 60000 ms from the broker's; part of the signed text"`
	Signature     string         `json:"signature" max:"1024" doc:"ed25519 signature by the member's key over meshId|memberId|pubkey|timestamp, 128 hex digits"`

	ProtocolVersion jsontext.Value `json:"protocolVersion,omitzero" max:"64" doc:"accepted and ignored"`
	Capabilities    jsontext.Value `json:"capabilities,omitzero" max:"4096" doc:"accepted and ignored"`
}

// FrameType returns hello.
func (Hello) FrameType() string { return "hello" }
