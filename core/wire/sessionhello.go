package wire

import "github.com/go-json-experiment/json/jsontext"

// SessionHello is the first frame of a launched session that its member vouches
// for. Its answer is a [HelloAck] without what is restored. What [Hello] says
// about texts that are kept as they came holds here too.
type SessionHello struct {
	MeshID             string         `json:"meshId" max:"128" doc:"mesh to enter, by its id; part of the signed text"`
	ParentMemberID     string         `json:"parentMemberId,omitempty" max:"128" doc:"the member's id; when given it must belong to the key"`
	ParentMemberPubkey string         `json:"parentMemberPubkey" max:"1024" doc:"key of the member that vouches, 64 lower-case hex digits; part of the signed text"`
	SessionPubkey      string         `json:"sessionPubkey" max:"1024" doc:"key of this launch, 64 lower-case hex digits, by which others reach it; part of the signed text"`
	ParentAttestation  *Attestation   `json:"parentAttestation,omitzero" doc:"the member's word that the session key is its own"`
	SessionID          string         `json:"sessionId" max:"256" doc:"stable id of the launched session"`
	Pid                int64          `json:"pid" doc:"process id, by which status hooks find the session"`
	Cwd                string         `json:"cwd" max:"4096" doc:"working directory, by which status hooks find the session"`
	DisplayName        string         `json:"displayName,omitempty" max:"256" doc:"name shown to others; without one the member's own is"`
	Hostname           string         `json:"hostname,omitempty" max:"256" doc:"host that the peer runs on"`
	PeerType           string         `json:"peerType,omitempty" max:"64" doc:"what the peer is: ai, human, connector or bridge"`
	Channel            string         `json:"channel,omitempty" max:"64" doc:"program that speaks, such as claudemesh-session"`
	Model              string         `json:"model,omitempty" max:"256" doc:"language model behind the peer"`
	Role               string         `json:"role,omitempty" max:"256" doc:"accepted and ignored"`
	Groups             []Group        `json:"groups,omitempty" max:"64" doc:"groups to be in; without any the member's default ones"`
	Timestamp          jsontext.Value `json:"timestamp,omitzero" max:"64" doc:"clock of the peer, ms since 1970, at most 60000 ms from the broker's; part of the signed text"`
	Signature          string         `json:"signature" max:"1024" doc:"ed25519 signature by the session's key over claudemesh-session-hello|meshId|parentMemberPubkey|sessionPubkey|timestamp, 128 hex digits"`

	ProtocolVersion jsontext.Value `json:"protocolVersion,omitzero" max:"64" doc:"accepted and ignored"`
	Capabilities    jsontext.Value `json:"capabilities,omitzero" max:"4096" doc:"accepted and ignored"`
}

// FrameType returns session_hello.
func (SessionHello) FrameType() string { return "session_hello" }

// Attestation is a member's word that a session key is its own. It names no
// mesh and is good wherever the member is one.
type Attestation struct {
	SessionPubkey      string         `json:"sessionPubkey" max:"1024" doc:"the same as outside"`
	ParentMemberPubkey string         `json:"parentMemberPubkey" max:"1024" doc:"the same as outside"`
	ExpiresAt          jsontext.Value `json:"expiresAt,omitzero" max:"64" doc:"end, ms since 1970, at most 24 h ahead; part of the signed text"`
	Signature          string         `json:"signature" max:"1024" doc:"ed25519 signature by the member's key over claudemesh-session-attest|parentMemberPubkey|sessionPubkey|expiresAt, 128 hex digits"`
}
