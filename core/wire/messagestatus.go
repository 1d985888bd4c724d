package wire

import "time"

// MessageStatus asks what became of a message of the same mesh. The sender's
// member, the recipients and admins may; for others there is no such message.
// Errors: invalid_argument, not_found, ambiguous_prefix.
type MessageStatus struct {
	MessageID string `json:"messageId" required:"true" max:"256" doc:"the broker's id of the message, or its first 8 characters or more"`
}

// FrameType returns message_status.
func (MessageStatus) FrameType() string { return "message_status" }

// MessageStatusResult answers a [MessageStatus]. An answer with more than a megabyte
// of recipients ends there.
type MessageStatusResult struct {
	MessageID   string             `json:"messageId" doc:"the whole id"`
	TargetSpec  string             `json:"targetSpec" doc:"whom it was sent to"`
	Delivered   bool               `json:"delivered" doc:"every recipient confirmed it, and there was one"`
	DeliveredAt *time.Time         `json:"deliveredAt" doc:"time of the last confirmation; null before"`
	Recipients  []MessageRecipient `json:"recipients" doc:"where each delivery stands"`
}

// FrameType returns message_status_result.
func (MessageStatusResult) FrameType() string { return "message_status_result" }

// MessageRecipient is one delivery of a message.
type MessageRecipient struct {
	Name   string `json:"name" doc:"display name, or unknown"`
	Pubkey string `json:"pubkey" doc:"key that the delivery is addressed to"`
	Status string `json:"status" enum:"delivered,held,disconnected" doc:"held: the recipient is here and busy, or has not confirmed yet; disconnected: it waits for the recipient to return"`
}
