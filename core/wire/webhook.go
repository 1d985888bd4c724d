package wire

import "time"

// CreateWebhook makes a door by which the world outside sends messages into the
// mesh: whoever posts JSON to its URL has it sent as a message of the member that
// made it. Its answer is a [WebhookAck], the only one that has the secret. Errors:
// invalid_webhook; webhook_exists; forbidden; capacity when there are too many.
type CreateWebhook struct {
	Name      string `json:"name" required:"true" max:"64" doc:"name of the webhook, which pushes carry as event: at least one byte, and no control characters"`
	Target    string `json:"target,omitempty" max:"256" doc:"whom messages are for, as in a send: a key, @group, #topic, or * for everybody, which is what is taken when absent"`
	Signature string `json:"signature,omitempty" enum:"body,timed" doc:"have requests signed with a key of their own: body is the X-Hub-Signature-256 of known forges, timed covers a time in X-Hub-Timestamp too, so that a request is good for five minutes. The URL is enough when absent"`
}

// FrameType returns create_webhook.
func (CreateWebhook) FrameType() string { return "create_webhook" }

// RotateWebhook gives a webhook a new secret. The member that made it may, the
// owner of the mesh and its admins. Its answer is a [WebhookAck] with the secret.
// Errors: not_found; forbidden.
type RotateWebhook struct {
	Name  string `json:"name" required:"true" max:"64" doc:"name of the webhook"`
	Grace int64  `json:"grace,omitzero" doc:"seconds for which the secret before is still good, taken as 0 to 86400; 0 when absent"`
}

// FrameType returns rotate_webhook.
func (RotateWebhook) FrameType() string { return "rotate_webhook" }

// DeleteWebhook deletes a webhook. The member that made it may, the owner of the
// mesh and its admins. Its answer is a [WebhookAck] without a URL, also where
// there is no such webhook. Errors: forbidden.
type DeleteWebhook struct {
	Name string `json:"name" required:"true" max:"64" doc:"name of the webhook"`
}

// FrameType returns delete_webhook.
func (DeleteWebhook) FrameType() string { return "delete_webhook" }

// WebhookAck answers a [CreateWebhook], a [RotateWebhook] and a [DeleteWebhook].
type WebhookAck struct {
	Name       string `json:"name" doc:"as it was sent"`
	URL        string `json:"url" doc:"where to post to, with the secret in it; empty when it was deleted"`
	Secret     string `json:"secret" doc:"the secret, 64 hex digits, which nobody can ask for again; empty when it was deleted"`
	SigningKey string `json:"signingKey,omitempty" doc:"what requests are signed with, as text, when it was made with a signature; nobody can ask for it again"`
}

// FrameType returns webhook_ack.
func (WebhookAck) FrameType() string { return "webhook_ack" }

// ListWebhooks asks which webhooks the mesh has. Its answer is a [WebhookList].
type ListWebhooks struct{}

// FrameType returns list_webhooks.
func (ListWebhooks) FrameType() string { return "list_webhooks" }

// WebhookList answers a [ListWebhooks].
type WebhookList struct {
	Webhooks []WebhookRow `json:"webhooks" doc:"by the bytes of their names"`
	Error    string       `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns webhook_list.
func (WebhookList) FrameType() string { return "webhook_list" }

// WebhookRow is one webhook.
type WebhookRow struct {
	Name      string    `json:"name" doc:"name of the webhook"`
	URL       string    `json:"url" doc:"where to post to, with three dots in the place of the secret, which the broker does not know"`
	Active    bool      `json:"active" doc:"true"`
	CreatedBy string    `json:"createdBy" doc:"name, at that time, of the member that made it, and that its messages are from"`
	Target    string    `json:"target" doc:"whom its messages are for"`
	Signature string    `json:"signature,omitempty" enum:"body,timed" doc:"how requests are signed; absent when they are not"`
	CreatedAt time.Time `json:"createdAt" doc:"when it was made"`
}
