package store

import (
	"encoding/json"

	"github.com/claudemesh/broker/sdk"
)

// Extra is what a few messages have beyond the others. Nodes of different
// releases read each other's: fields are only ever added.
type Extra struct {
	Subtype     string `json:"subtype,omitempty"`     // "reminder", "webhook"…: tells recipients how to show it
	Event       string `json:"event,omitempty"`       // with it the ciphertext is base64 of JSON, which is the event's data
	Topic       string `json:"topic,omitempty"`       // name of the topic that it was sent to
	BodyVersion int64  `json:"bodyVersion,omitempty"` // form of the body of a topic's message; 0 for others

	// Mentions are the member keys of those whom a message of a topic mentions.
	Mentions []sdk.Key `json:"mentions,omitempty"`

	// Unsealed says that the ciphertext is base64 of a text that no peer has
	// sealed: the broker has sent it for its member.
	Unsealed bool `json:"unsealed,omitempty"`

	// Posted says that no session has sent the message, and its sender is among the
	// recipients: it is for all sessions of the sender.
	Posted bool `json:"posted,omitempty"`
}

// StoredExtra returns what the column of a message's Extra holds, nothing for
// most.
func (m *Message) StoredExtra() string {
	if m.Extra == nil {
		return ""
	}
	text, _ := json.Marshal(m.Extra) // it has nothing that could fail
	return string(text)
}

// SetStoredExtra sets the message's Extra from the column.
func (m *Message) SetStoredExtra(column string) error {
	if column == "" {
		m.Extra = nil
		return nil
	}
	m.Extra = new(Extra)
	return json.Unmarshal([]byte(column), m.Extra)
}
