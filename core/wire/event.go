package wire

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Names of events about peers.
const (
	EventPeerJoined   = "peer_joined"   // a member or a session is here that was not here before
	EventPeerReturned = "peer_returned" // a member is back
	EventPeerLeft     = "peer_left"     // a session ended and its grace is over
	EventPeerVisible  = "peer_visible"  // a session shows itself
	EventPeerHidden   = "peer_hidden"   // a session hides
)

// EventProfileUpdated says that the profile of the member behind a session has
// changed.
const EventProfileUpdated = "profile_updated"

// Event is news from the broker itself. On the wire it is a [Push] of subtype
// system, from system, with an empty body; nobody confirms it and nothing keeps
// it for who is away.
type Event struct {
	MessageID string    // a random UUID
	MeshID    string    // mesh that it is about
	Name      string    // such as peer_joined
	Data      any       // what follows as eventData: a struct with json tags, such as PeerEvent
	Urgent    bool      // priority now instead of low
	CreatedAt time.Time // when it happened
}

// FrameType returns push. Only a pointer to an event is a frame.
func (*Event) FrameType() string { return "push" }

// PeerEvent is the eventData of events about peers.
//
// Peers of one generation read name, those of another displayName. [PeerNews]
// fills in both.
type PeerEvent struct {
	Name        string    `json:"name" doc:"display name of the peer"`
	DisplayName string    `json:"displayName" doc:"the same"`
	Pubkey      sdk.Key   `json:"pubkey" doc:"key to send to: the session's, else the member's"`
	Groups      []Group   `json:"groups,omitzero" doc:"its groups, possibly none; with peer_joined and peer_returned only"`
	LastSeenAt  time.Time `json:"lastSeenAt,omitzero" doc:"when it left, with peer_returned only"`
	Summary     string    `json:"summary,omitempty" doc:"its summary when it left, with peer_returned only"`
}

// PeerNews returns the eventData of peer_left, peer_visible and peer_hidden.
// For the others the caller adds groups, an empty list when there are none.
func PeerNews(name string, key sdk.Key) PeerEvent {
	return PeerEvent{Name: name, DisplayName: name, Pubkey: key}
}

// AppendEvent appends the frame of news from the broker, which is the same for
// every recipient. The error is that of Data, and then dst comes back as it was.
func AppendEvent(dst []byte, e *Event) ([]byte, error) {
	start := len(dst)
	dst, err := e.appendFields(append(dst, `{"type":"push"`...))
	if err != nil {
		return dst[:start], err
	}
	return append(dst, '}'), nil
}

func (e *Event) appendFields(dst []byte) ([]byte, error) {
	dst = append(dst, `,"subtype":"system","event":`...)
	dst = appendString(dst, e.Name)
	dst = append(dst, `,"eventData":`...)
	dst, err := e.appendData(dst)
	if err != nil {
		return dst, err
	}
	priority := sdk.PriorityLow
	if e.Urgent {
		priority = sdk.PriorityNow
	}
	dst = append(dst, `,"messageId":`...)
	dst = appendString(dst, e.MessageID)
	dst = append(dst, `,"meshId":`...)
	dst = appendString(dst, e.MeshID)
	dst = append(dst, `,"senderPubkey":"`+system+`","priority":"`...)
	dst = append(dst, priority.String()...)
	dst = append(dst, `","nonce":"","ciphertext":"","createdAt":`...)
	return appendQuotedTime(dst, e.CreatedAt), nil
}

func (e *Event) appendData(dst []byte) ([]byte, error) {
	if e.Data == nil {
		return append(dst, "{}"...), nil
	}
	return appendJSON(dst, e.Data)
}
