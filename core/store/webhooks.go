package store

import (
	"context"
	"time"
)

// Webhook is a door by which the world outside sends messages into a mesh.
type Webhook struct {
	ID         string
	MeshID     string
	Name       string
	MemberID   string // who made it, and who its messages are from
	Author     string // its name at that time
	Target     string // whom messages are for, as in a send
	Signature  string // what requests are signed over: "" for nothing, body, or timed
	SigningKey string // sealed with the operator's key
	CreatedAt  time.Time

	Secret    [32]byte  // SHA-256
	OldSecret [32]byte  // SHA-256 of the one before; zero for none
	OldUntil  time.Time // when that one is over
}

// Webhooks keeps the webhooks of meshes.
type Webhooks interface {
	// CreateWebhook writes a webhook. ErrConflict when the name is taken; a
	// [*FullError] when there is no room.
	CreateWebhook(ctx context.Context, w *Webhook, room Room) error

	// ListWebhooks returns all webhooks of a mesh, by name.
	ListWebhooks(ctx context.Context, mesh string) ([]*Webhook, error)

	// Webhook returns one webhook. ErrNotFound.
	Webhook(ctx context.Context, mesh, name string) (*Webhook, error)

	// WebhookBySecret returns the webhook of a mesh whose secret, or the one
	// before while it is good, has this SHA-256. ErrNotFound.
	WebhookBySecret(ctx context.Context, mesh string, secret [32]byte, at time.Time) (*Webhook, error)

	// RotateWebhook gives a webhook a new secret; the one that it has is good until
	// then. ErrNotFound.
	RotateWebhook(ctx context.Context, id string, secret [32]byte, until time.Time) error

	// DeleteWebhook deletes a webhook. ErrNotFound.
	DeleteWebhook(ctx context.Context, id string) error
}
