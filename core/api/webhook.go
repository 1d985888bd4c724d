package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// KindWebhook is the kind of the envelope by which something comes in by a
// webhook. The message that it becomes is an envelope of its own.
const KindWebhook sdk.Kind = "http.webhook"

// Headers of signed requests.
const (
	headerSignature = "X-Hub-Signature-256"
	headerTimestamp = "X-Hub-Timestamp"
)

// Limits of what comes in by one webhook on this replica. They are half of what a
// member may send, so that a webhook does not use up its member's own rate.
const (
	webhookRate  = 30 // a minute
	webhookBurst = 5  // at once
	webhookSets  = 1 << 14
)

// webhookSkew is how far a signed time may be from the broker's clock.
const webhookSkew = 5 * time.Minute

// webhookDepth is how deep what comes in may nest, so that pushes do not nest
// deeper than frames may.
const webhookDepth = wire.MaxDepth - 4

// Webhook is a request to POST /hook/{mesh}/{secret}. Its body is any JSON object
// or list.
type Webhook struct {
	Mesh   string `json:"-" path:"mesh" doc:"id of the mesh"`
	Secret string `json:"-" path:"secret" doc:"the webhook's secret"`
}

// WebhookTaken answers a [Webhook].
type WebhookTaken struct {
	OK        bool   `json:"ok" doc:"true"`
	Delivered int64  `json:"delivered" doc:"messages that were made of it: 1, or 0 where its target is nobody now"`
	MessageID string `json:"messageId,omitempty" doc:"id of the message"`
}

// WebhookStore finds webhooks.
type WebhookStore interface {
	WebhookBySecret(ctx context.Context, mesh string, secret [32]byte, at time.Time) (*store.Webhook, error)
}

// WebhookDoor is what the route of webhooks works with.
type WebhookDoor struct {
	Store   WebhookStore
	Members feature.Roster
	Keys    *identity.AtRest // nil where the operator gave none
	Poster  feature.Poster

	// Taken counts requests by what became of them; nil counts nothing. See
	// [NewWebhookTally].
	Taken *telemetry.Tally
}

// Webhooks adds the route by which the world outside sends messages.
func Webhooks(t *Table, d WebhookDoor) {
	w := &webhooks{WebhookDoor: d, buckets: bucket.New[webhookKey](bucket.Size{
		Count: webhookRate, Per: time.Minute, Burst: webhookBurst, Most: webhookSets,
	}, time.Now())}
	On(t, Route{
		Method: http.MethodPost, Path: "/hook/{mesh}/{secret}", Kind: KindWebhook, Group: "Webhooks",
		Summary: "sends a body of JSON into a mesh, as a message of the member that made the webhook", Access: feature.Anyone,
		Body:     BodyRaw,
		Refusals: []sdk.Reason{sdk.ReasonUnauthorized, sdk.ReasonBadSignature, sdk.ReasonSkew, sdk.ReasonMalformed, sdk.ReasonInvalid},
	}, w.take)
}

type webhooks struct {
	WebhookDoor
	buckets *bucket.Set[webhookKey]
}

// webhookKey is the id of a webhook whose bucket it is.
type webhookKey string

// Hash implements [bucket.Key].
func (k webhookKey) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, string(k)) }

// Keep implements [bucket.Key].
func (k webhookKey) Keep() webhookKey { return webhookKey(strings.Clone(string(k))) }

// take makes a message of a request, and counts it.
func (w *webhooks) take(ctx context.Context, c *feature.Call, m *Webhook) (*WebhookTaken, error) {
	answer, err := w.post(ctx, c, m)
	w.Taken.Add(hookOutcome(answer, err))
	return answer, err
}

// post makes a message of a request. Nothing of the body is looked at before the
// request has proved itself.
func (w *webhooks) post(ctx context.Context, c *feature.Call, m *Webhook) (*WebhookTaken, error) {
	row, by, err := w.prove(ctx, c, m)
	if err != nil {
		return nil, err
	}
	signed, err := w.checkSignature(row, c)
	if err != nil {
		return nil, err
	}
	if wait, ok := w.buckets.Take(webhookKey(row.ID), c.Env.Arrived); !ok {
		return nil, &core.Error{Code: sdk.ReasonRateLimit, Message: "this webhook is called too often: send less often", RetryAfter: wait}
	}
	body, err := checkBody(c.HTTP.Body)
	if err != nil {
		return nil, err
	}
	post := &feature.Post{
		Mesh: row.MeshID, Member: by.Key, Own: true,
		Message: wire.Send{
			TargetSpec: row.Target, Priority: sdk.PriorityNext, Ciphertext: base64.StdEncoding.EncodeToString(body),
			ClientMessageID: once(row, signed),
		},
		Extra: &store.Extra{Subtype: "webhook", Event: row.Name, Unsealed: true},
	}
	id, err := w.Poster.Post(ctx, post)
	if refused, ok := errors.AsType[*core.Error](err); ok && (refused.Code == sdk.ReasonNoRecipient || refused.Code == sdk.ReasonRecipientAway) {
		return &WebhookTaken{OK: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &WebhookTaken{OK: true, Delivered: 1, MessageID: id}, nil
}

// prove finds the webhook of a request, and the member that made it. Whoever knows
// no good secret learns nothing else.
func (w *webhooks) prove(ctx context.Context, c *feature.Call, m *Webhook) (*store.Webhook, *store.Member, error) {
	unauthorized := core.Refuse(sdk.ReasonUnauthorized, "unauthorized")
	row, err := w.Store.WebhookBySecret(ctx, m.Mesh, sha256.Sum256([]byte(m.Secret)), c.Env.Arrived)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, unauthorized
	}
	if err != nil {
		return nil, nil, core.Unavailable(err)
	}
	by, err := w.Members.MemberByID(ctx, row.MemberID)
	if err != nil {
		return nil, nil, core.Unavailable(err)
	}
	mesh, err := w.Members.Mesh(ctx, row.MeshID)
	switch {
	case err != nil:
		return nil, nil, core.Unavailable(err)
	case !by.Live() || !mesh.ArchivedAt.IsZero() || !mesh.May(by, store.CanManageWebhooks):
		return nil, nil, unauthorized
	}
	return row, by, nil
}

// checkSignature checks what the requests of a webhook are signed over, and returns
// the signature; nil when they are not signed.
func (w *webhooks) checkSignature(row *store.Webhook, c *feature.Call) ([]byte, error) {
	if row.Signature == "" {
		return nil, nil
	}
	if w.Keys == nil {
		return nil, core.Refuse(ReasonEncryptionKey, "the broker has no key to open the webhook's signing key with")
	}
	key, err := w.Keys.OpenFor(identity.WebhookKeyAtRest, row.ID, row.SigningKey)
	if err != nil {
		return nil, &core.Error{Code: ReasonEncryptionKey, Message: "the broker's key does not open the webhook's signing key", Err: err}
	}
	mac := hmac.New(sha256.New, key)
	if row.Signature == feature.SignedTimed {
		stamp := c.HTTP.RequestHeader(headerTimestamp)
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || c.Env.Arrived.Sub(time.Unix(seconds, 0)).Abs() > webhookSkew {
			return nil, core.Refuse(sdk.ReasonSkew, headerTimestamp+": want the time of now, in seconds since 1970, at most five minutes off")
		}
		mac.Write([]byte(stamp + "."))
	}
	mac.Write(c.HTTP.Body)
	want := mac.Sum(nil)
	given, err := hex.DecodeString(strings.TrimPrefix(c.HTTP.RequestHeader(headerSignature), "sha256="))
	if err != nil || !hmac.Equal(given, want) {
		return nil, core.Refuse(sdk.ReasonBadSignature, headerSignature+": want sha256= and the HMAC-SHA-256, in hex, with the webhook's signing key")
	}
	return want, nil
}

// once returns the id by which a signed request that is repeated makes no second
// message; none for one that is not signed, of which a second is another one. It is
// of what was signed alone: headers may be written in many ways. Recipients see it,
// so that it does not show the signature.
func once(row *store.Webhook, signed []byte) string {
	if signed == nil {
		return ""
	}
	sum := sha256.Sum256(signed)
	return "webhook:" + row.ID + ":" + hex.EncodeToString(sum[:])
}

// checkBody returns a body without spaces.
func checkBody(body []byte) ([]byte, error) {
	v := jsontext.Value(append([]byte{}, body...))
	if !v.IsValid() {
		return nil, core.Refuse(sdk.ReasonMalformed, "invalid JSON")
	}
	if k := v.Kind(); k != jsontext.KindBeginObject && k != jsontext.KindBeginArray {
		return nil, core.Refuse(sdk.ReasonMalformed, "invalid JSON body").Explain("want an object or a list")
	}
	if wire.Depth(v) > webhookDepth {
		return nil, core.Refuse(sdk.ReasonInvalid, "invalid JSON body").Explain("want at most " + strconv.Itoa(webhookDepth) + " levels of objects and lists")
	}
	if err := v.Compact(); err != nil {
		return nil, core.Refuse(sdk.ReasonMalformed, "invalid JSON")
	}
	return v, nil
}
