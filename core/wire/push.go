package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// Push is a message on its way to a recipient, or, with an event, news from the
// broker itself (see [Event]). It does not say whom it was sent to.
type Push struct {
	MessageID          string         `json:"messageId" doc:"the broker's id of the message; the same at each redelivery"`
	MeshID             string         `json:"meshId" doc:"mesh that it belongs to"`
	SenderPubkey       Origin         `json:"senderPubkey" doc:"the sender's session key, else its member key; empty where the broker has sent an unsealed text for the sender, system for news from the broker"`
	Priority           sdk.Priority   `json:"priority" enum:"now,next,low" doc:"as the sender gave it, or a stage changed it"`
	Nonce              string         `json:"nonce" doc:"as the sender gave it"`
	Ciphertext         string         `json:"ciphertext" doc:"as the sender gave it"`
	CreatedAt          time.Time      `json:"createdAt" doc:"when the broker accepted it"`
	ClientMessageID    string         `json:"client_message_id,omitempty" doc:"the sender's own id, by which to drop what came before"`
	RequestFingerprint string         `json:"request_fingerprint,omitempty" doc:"as the sender gave it"`
	SenderMemberPubkey sdk.Key        `json:"senderMemberPubkey,omitzero" doc:"the sender's lasting key"`
	SenderMemberID     string         `json:"senderMemberId,omitempty" doc:"the sender's member id"`
	SenderName         string         `json:"senderName,omitempty" doc:"the sender's display name"`
	ReplyToID          string         `json:"replyToId,omitempty" doc:"id of the message that this one answers"`
	Topic              string         `json:"topic,omitempty" doc:"name of the topic that it was sent to"`
	BodyVersion        int64          `json:"bodyVersion,omitzero" doc:"form of the body of a topic's message: 1 plain, 2 sealed with the topic's key"`
	Mentions           []sdk.Key      `json:"mentions,omitempty" doc:"member keys of those whom a message of a topic mentions"`
	Subtype            string         `json:"subtype,omitempty" doc:"reminder for a schedule that fired, webhook for what came in by one, system for news from the broker"`
	Event              string         `json:"event,omitempty" doc:"what happened, with subtype system; the webhook's name"`
	EventData          jsontext.Value `json:"eventData,omitzero" doc:"details of the event"`
	Traceparent        string         `json:"traceparent,omitempty" doc:"W3C trace context: the sender's as it came, or, where the broker traces the message, that of its own span in the same trace"`
}

// FrameType returns push.
func (Push) FrameType() string { return "push" }

func (p *Push) setDefaults() { p.Priority = sdk.PriorityNext }

// ClientAck confirms that a push arrived and was stored. It has no answer. One
// of its ids is enough; with neither it says nothing.
type ClientAck struct {
	ClientMessageID string `json:"clientMessageId,omitempty" max:"256" doc:"client_message_id of the push"`
	BrokerMessageID string `json:"brokerMessageId,omitempty" max:"256" doc:"messageId of the push"`
}

// FrameType returns client_ack.
func (ClientAck) FrameType() string { return "client_ack" }
