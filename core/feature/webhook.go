package feature

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of webhooks. Each is an open door that somebody has to know of.
const (
	webhooksPerMesh   = 50
	webhooksPerMember = 20
	longestGrace      = 24 * time.Hour // of a secret that was replaced
)

// Reasons of refused webhooks.
const (
	ReasonInvalidWebhook sdk.Reason = "invalid_webhook"
	ReasonWebhookExists  sdk.Reason = "webhook_exists"
)

// Ways in which requests of a webhook are signed.
const (
	SignedBody  = "body"  // HMAC-SHA-256 of the body
	SignedTimed = "timed" // of the time, a full stop and the body
)

// WebhookStore keeps webhooks.
type WebhookStore interface {
	CreateWebhook(ctx context.Context, w *store.Webhook, room store.Room) error
	ListWebhooks(ctx context.Context, mesh string) ([]*store.Webhook, error)
	Webhook(ctx context.Context, mesh, name string) (*store.Webhook, error)
	RotateWebhook(ctx context.Context, id string, secret [32]byte, until time.Time) error
	DeleteWebhook(ctx context.Context, id string) error
}

// WebhookDeps are what webhooks work with beside the store.
type WebhookDeps struct {
	Roster Roster
	Keys   *identity.AtRest // seals signing keys; nil where the operator gave none
	Links  func() string    // base of the broker's URLs, without a slash at the end
}

// Webhooks lets members make doors for the world outside. What comes in by them
// is in package api.
func Webhooks(r *Registry, st WebhookStore, d WebhookDeps) {
	w := &webhooks{WebhookDeps: d, store: st}
	On(r, w.create).Needs(store.CanManageWebhooks)
	On(r, w.rotate).Needs(store.CanManageWebhooks)
	On(r, w.delete).Needs(store.CanManageWebhooks)
	On(r, w.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.WebhookList{Webhooks: []wire.WebhookRow{}, Error: worded(why, text)}
	})
}

type webhooks struct {
	WebhookDeps
	store WebhookStore
}

// create makes a webhook. Its secret leaves the broker with this answer and is
// nowhere else: a request whose answer was lost is repeated by deleting first.
func (w *webhooks) create(ctx context.Context, c *Call, m *wire.CreateWebhook) (wire.WebhookAck, error) {
	if err := checkWebhook(m); err != nil {
		return wire.WebhookAck{}, err
	}
	by, err := whoAsks(ctx, w.Roster, c)
	if err != nil {
		return wire.WebhookAck{}, err
	}
	secret := newSecret()
	row := &store.Webhook{
		ID: identity.NewID(), MeshID: c.Env.Mesh, Name: m.Name, MemberID: by.ID, Author: by.DisplayName,
		Target: cmp.Or(m.Target, "*"), Signature: m.Signature, Secret: sha256.Sum256([]byte(secret)), CreatedAt: time.Now(),
	}
	ack := wire.WebhookAck{Name: m.Name, URL: w.url(c.Env.Mesh, secret), Secret: secret}
	if m.Signature != "" {
		if w.Keys == nil {
			return wire.WebhookAck{}, core.Refuse(ReasonInvalidWebhook,
				"signature: this broker has no encryption key to keep signing keys with: leave signature out, or ask the operator to set encryption_key")
		}
		ack.SigningKey = newSecret()
		row.SigningKey = w.Keys.SealFor(identity.WebhookKeyAtRest, row.ID, []byte(ack.SigningKey))
	}
	err = w.store.CreateWebhook(ctx, row, store.Room{Mesh: webhooksPerMesh, Member: webhooksPerMember})
	switch {
	case errors.Is(err, store.ErrConflict):
		return wire.WebhookAck{}, core.Refuse(ReasonWebhookExists,
			`Webhook "`+m.Name+`" already exists in this mesh: choose another name, or delete or rotate that one`)
	case err != nil:
		return wire.WebhookAck{}, noRoom(err, "webhooks", "delete some")
	}
	c.Env.Records = append(c.Env.Records, ofWebhook("webhook_created", row))
	return ack, nil
}

// newSecret returns 256 random bits in hex.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	return hex.EncodeToString(b[:])
}

// url returns where to post to.
func (w *webhooks) url(mesh, secret string) string { return w.Links() + "/hook/" + mesh + "/" + secret }

// ofWebhook is the record of what was done to a webhook.
func ofWebhook(event string, w *store.Webhook) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(
		audit.String("name", w.Name), audit.String("webhookId", w.ID), audit.String("target", w.Target))}
}

// checkWebhook refuses names that recipients could not show, and targets that
// reach nobody.
func checkWebhook(m *wire.CreateWebhook) error {
	switch {
	case strings.TrimSpace(m.Name) == "":
		return core.Refuse(ReasonInvalidWebhook, "name is required")
	case strings.ContainsFunc(m.Name, unicode.IsControl):
		return core.Refuse(ReasonInvalidWebhook, "name: want a text without control characters")
	case m.Target == "":
		return nil
	}
	if _, err := sdk.ParseTarget(m.Target); err != nil {
		return core.Refuse(ReasonInvalidWebhook, "target: "+err.Error())
	}
	return nil
}

// own returns a webhook that the asker may change; nil where there is none.
func (w *webhooks) own(ctx context.Context, c *Call, name string) (*store.Webhook, error) {
	by, err := whoAsks(ctx, w.Roster, c)
	if err != nil {
		return nil, err
	}
	row, err := w.store.Webhook(ctx, c.Env.Mesh, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, core.Unavailable(err)
	case row.MemberID != by.ID && !by.admin():
		return nil, core.Refuse(sdk.ReasonForbidden,
			"only the member that made this webhook, the owner of the mesh and its admins may change it: ask one of them")
	}
	return row, nil
}

// rotate replaces a webhook's secret.
func (w *webhooks) rotate(ctx context.Context, c *Call, m *wire.RotateWebhook) (wire.WebhookAck, error) {
	row, err := w.own(ctx, c, m.Name)
	if err != nil {
		return wire.WebhookAck{}, err
	}
	none := core.Refuse(sdk.ReasonNotFound, "there is no webhook with this name: list_webhooks says which there are")
	if row == nil {
		return wire.WebhookAck{}, none
	}
	secret := newSecret()
	grace := min(max(time.Duration(m.Grace)*time.Second, 0), longestGrace)
	if m.Grace > int64(longestGrace/time.Second) {
		grace = longestGrace
	}
	err = w.store.RotateWebhook(ctx, row.ID, sha256.Sum256([]byte(secret)), time.Now().Add(grace))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.WebhookAck{}, none
	case err != nil:
		return wire.WebhookAck{}, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, ofWebhook("webhook_rotated", row))
	return wire.WebhookAck{Name: m.Name, URL: w.url(c.Env.Mesh, secret), Secret: secret}, nil
}

// delete deletes a webhook.
func (w *webhooks) delete(ctx context.Context, c *Call, m *wire.DeleteWebhook) (wire.WebhookAck, error) {
	row, err := w.own(ctx, c, m.Name)
	if err != nil || row == nil {
		return wire.WebhookAck{Name: m.Name}, err
	}
	err = w.store.DeleteWebhook(ctx, row.ID)
	switch {
	case errors.Is(err, store.ErrNotFound): // somebody else was first
	case err != nil:
		return wire.WebhookAck{}, core.Unavailable(err)
	default:
		c.Env.Records = append(c.Env.Records, ofWebhook("webhook_deleted", row))
	}
	return wire.WebhookAck{Name: m.Name}, nil
}

// list says which webhooks there are.
func (w *webhooks) list(ctx context.Context, c *Call, _ *wire.ListWebhooks) (wire.WebhookList, error) {
	rows, err := w.store.ListWebhooks(ctx, c.Env.Mesh)
	if err != nil {
		return wire.WebhookList{}, core.Unavailable(err)
	}
	list := wire.WebhookList{Webhooks: make([]wire.WebhookRow, len(rows))}
	for i, row := range rows {
		list.Webhooks[i] = wire.WebhookRow{
			Name: row.Name, URL: w.url(row.MeshID, "..."), Active: true, CreatedBy: row.Author, Target: row.Target,
			Signature: row.Signature, CreatedAt: row.CreatedAt,
		}
	}
	return list, nil
}
