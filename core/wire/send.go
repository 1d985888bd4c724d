package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// Send hands a message to the broker. Its answer is an [Ack].
//
// The size of a message is that of ciphertext, nonce and targetSpec together;
// it is compared with the configured limit by the handler, whose refusal is an
// ack too.
type Send struct {
	ID                 jsontext.Value `json:"id,omitzero" max:"256" doc:"any JSON; the ack carries it back"`
	TargetSpec         string         `json:"targetSpec" required:"true" max:"256" doc:"whom it is for: a key of 64 hex digits, @group, #topic, or * for everybody"`
	Priority           sdk.Priority   `json:"priority" enum:"now,next,low" doc:"now reaches a busy recipient too, next and low wait until it is idle; next when absent"`
	Nonce              string         `json:"nonce" required:"true" doc:"opaque to the broker; may be empty"`
	Ciphertext         string         `json:"ciphertext" required:"true" doc:"opaque to the broker; may be empty"`
	ClientMessageID    string         `json:"client_message_id,omitempty" max:"256" doc:"the sender's own id; the same id with the same fingerprint is one message however often it is sent"`
	RequestFingerprint string         `json:"request_fingerprint,omitempty" max:"256" doc:"digest of the request, opaque to the broker; handed on to the recipient"`
	ReplyToID          string         `json:"replyToId,omitempty" max:"256" doc:"id of the message that this one answers"`
	Mentions           []string       `json:"mentions,omitempty" max:"64" each:"256" doc:"display names to notify, with #topic only"`
	BodyVersion        int64          `json:"bodyVersion,omitzero" doc:"form of the body, with #topic only: 1 plain (when absent), 2 sealed with the topic's key"`
	Traceparent        string         `json:"traceparent,omitempty" max:"128" doc:"W3C trace context. It is handed on to the recipient, and where the broker traces the message, the push names the broker's own span as its parent"`
}

// FrameType returns send.
func (Send) FrameType() string { return "send" }

func (m *Send) setDefaults() { m.Priority = sdk.PriorityNext }

// Ack tells the sender what became of its message.
type Ack struct {
	ID        jsontext.Value `json:"id" max:"256" doc:"id of the request as it came, an empty text when it had none"`
	MessageID string         `json:"messageId" doc:"the broker's id of the message; empty when it was refused"`
	Queued    bool           `json:"queued" doc:"true: the message is on disk or was confirmed by its recipient already; false: it was refused"`
	Error     string         `json:"error,omitempty" doc:"why it was refused: a word, a colon, and prose"`
}

// FrameType returns ack.
func (Ack) FrameType() string { return "ack" }
