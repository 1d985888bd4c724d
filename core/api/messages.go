package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of the inbox over HTTP.
const (
	inboxDefault = 50
	inboxMost    = 200
	inboxBytes   = 1 << 20 // of messages in one answer, at least one message
	confirmMost  = 100     // messages confirmed by one request
)

// Inbox is what waits for members.
type Inbox interface {
	// Inbox returns what waits for a member behind a place.
	Inbox(ctx context.Context, mesh string, member sdk.Key, after store.Cursor, limit int) ([]store.Waiting, error)

	// Confirm ends deliveries to a member on every node, and returns the ids of
	// those that are over now, or were before.
	Confirm(ctx context.Context, mesh string, member sdk.Key, ids []string) ([]string, error)
}

// SendMessage is the body of POST /v1/messages. What it carries is what the frame
// send carries.
type SendMessage struct {
	Mesh            string       `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	IdempotencyKey  string       `header:"Idempotency-Key" json:"-" doc:"stands for client_message_id"`
	Target          string       `json:"target" required:"true" max:"256" doc:"whom it is for: a key of 64 hex digits, @group, #topic, or * for everybody"`
	Ciphertext      string       `json:"ciphertext" required:"true" doc:"base64 of the sealed body; of a readable text to who is no single key. The broker does not look at it"`
	Nonce           string       `json:"nonce,omitempty" doc:"base64 of the nonce that the body is sealed with; empty for a readable text"`
	Priority        sdk.Priority `json:"priority,omitempty" enum:"now,next,low" doc:"now reaches a busy recipient too, next and low wait until it is idle; next when absent"`
	ClientMessageID string       `json:"client_message_id,omitempty" max:"256" doc:"the sender's own id: a request that is repeated with it is one message, however often and over whatever node it comes"`
	Fingerprint     string       `json:"request_fingerprint,omitempty" max:"256" doc:"digest of the message, handed on to the recipient; made of the request when absent"`
	ReplyToID       string       `json:"replyToId,omitempty" max:"256" doc:"id of the message that this one answers"`
	Mentions        []string     `json:"mentions,omitempty" max:"16" each:"256" doc:"display names to notify, with #topic only"`
	BodyVersion     int64        `json:"bodyVersion,omitempty" doc:"form of the body, with #topic only: 1 plain (when absent), 2 sealed with the topic's key"`
}

// MeshName implements [feature.MeshNamer].
func (r *SendMessage) MeshName() string { return r.Mesh }

// MessageSent answers a [SendMessage].
type MessageSent struct {
	OK              bool   `json:"ok" doc:"true: the message is on disk, or was confirmed already"`
	MessageID       string `json:"messageId" doc:"the broker's id of the message; that of the first one when the request is repeated"`
	ClientMessageID string `json:"client_message_id,omitempty" doc:"as it was sent"`
}

// ReadInbox is GET /v1/messages.
type ReadInbox struct {
	Mesh  string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Limit string `query:"limit" json:"-" doc:"most messages, 1 to 200; 50 when absent"`
	After string `query:"after" json:"-" doc:"next of the page before"`
}

// MeshName implements [feature.MeshNamer].
func (r *ReadInbox) MeshName() string { return r.Mesh }

// InboxPage answers a [ReadInbox].
type InboxPage struct {
	Messages []jsontext.Value `json:"messages" doc:"what waits for the member's own key, each as the frame push that a socket gets; most urgent first, then oldest first. It stays until it is confirmed or its time is over"`
	Next     string           `json:"next,omitempty" doc:"what to ask for as after; absent on the last page"`
}

// ConfirmMessages is the body of POST /v1/messages/confirm.
type ConfirmMessages struct {
	Mesh string   `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	IDs  []string `json:"ids" required:"true" max:"100" each:"64" doc:"messageId of each message that the caller has"`
}

// MeshName implements [feature.MeshNamer].
func (r *ConfirmMessages) MeshName() string { return r.Mesh }

// MessagesConfirmed answers a [ConfirmMessages].
type MessagesConfirmed struct {
	Confirmed []string `json:"confirmed" doc:"those that are delivered now, or were before: they do not come again"`
	Unknown   []string `json:"unknown" doc:"those that are no messages to the member"`
}

// ConfirmMessage is DELETE /v1/messages/{id}.
type ConfirmMessage struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	ID   string `path:"id" json:"-" doc:"messageId of the message"`
}

// MeshName implements [feature.MeshNamer].
func (r *ConfirmMessage) MeshName() string { return r.Mesh }

func (g *gateway) messages(t *Table) {
	onGateway(t, Route{
		Method: http.MethodPost, Path: "/v1/messages", Kind: "http.v1.messages.send", Key: store.KeySend,
		Summary: "sends a message, as send does over a socket: through the same chain, and answered when it is on disk",
		Status: map[sdk.Reason]int{
			sdk.ReasonNoRecipient: http.StatusNotFound, sdk.ReasonIDReused: http.StatusConflict,
			sdk.ReasonRecipientAway: http.StatusConflict,
		},
		Refusals: []sdk.Reason{
			feature.ReasonKeyTopic, sdk.ReasonNoRecipient, sdk.ReasonIDReused, sdk.ReasonRecipientAway, sdk.ReasonBlocked,
			sdk.ReasonRevoked, sdk.ReasonNotFound,
		},
	}, g.send)
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/messages", Kind: "http.v1.messages.list", Key: store.KeyRead,
		Summary:  "lists what waits for the member, in pages; nothing is confirmed by it",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic},
	}, g.inbox)
	onGateway(t, Route{
		Method: http.MethodPost, Path: "/v1/messages/confirm", Kind: "http.v1.messages.confirm", Key: store.KeyRead,
		Summary:  "confirms messages: they do not come again, over HTTP or a socket",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic},
	}, g.confirmAll)
	onGateway(t, Route{
		Method: http.MethodDelete, Path: "/v1/messages/{id}", Kind: "http.v1.message.confirm", Key: store.KeyRead,
		Summary:  "confirms one message; once it is confirmed it may be confirmed again",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic, sdk.ReasonNotFound},
	}, g.confirmOne)
}

// send posts a message for the member.
func (g *gateway) send(ctx context.Context, c *feature.Call, m *SendMessage) (*MessageSent, error) {
	mesh, by, err := actingFor(c)
	if err != nil {
		return nil, err
	}
	if err := g.mayAddress(ctx, c, m.Target); err != nil {
		return nil, err
	}
	if m.IdempotencyKey != "" && m.ClientMessageID != "" && m.IdempotencyKey != m.ClientMessageID {
		return nil, core.Refuse(sdk.ReasonInvalid, "Idempotency-Key and client_message_id are not the same: send one of them")
	}
	own := cmp.Or(m.ClientMessageID, m.IdempotencyKey)
	if len(own) > 256 {
		return nil, core.Refuse(sdk.ReasonInvalid, "Idempotency-Key: want at most 256 bytes")
	}
	post := wire.Send{
		TargetSpec: m.Target, Priority: m.Priority, Nonce: m.Nonce, Ciphertext: m.Ciphertext, ClientMessageID: own,
		RequestFingerprint: m.Fingerprint, ReplyToID: m.ReplyToID, Mentions: m.Mentions, BodyVersion: m.BodyVersion,
		Traceparent: c.Env.Trace,
	}
	if own != "" && post.RequestFingerprint == "" {
		post.RequestFingerprint = fingerprint(m)
	}
	id, err := g.Poster.Post(ctx, &feature.Post{Mesh: mesh.ID, Member: by.Key, Message: post})
	if err != nil {
		return nil, err
	}
	return &MessageSent{OK: true, MessageID: id, ClientMessageID: own}, nil
}

// fingerprint tells requests with the same id apart that mean different messages.
func fingerprint(m *SendMessage) string {
	text, _ := json.Marshal([]any{"http", m.Target, m.Priority, m.Nonce, m.Ciphertext, m.ReplyToID, m.Mentions, m.BodyVersion}) // plain values
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// mayAddress keeps an API key that is for some topics to those.
func (g *gateway) mayAddress(ctx context.Context, c *feature.Call, target string) error {
	k := c.HTTP.APIKey
	if k == nil || len(k.Topics) == 0 {
		return nil
	}
	name, topic := strings.CutPrefix(target, "#")
	if !topic {
		return core.Refuse(feature.ReasonKeyTopic, textKeyTopics)
	}
	_, err := g.topicOf(ctx, c, name)
	return err
}

// inbox lists what waits.
func (g *gateway) inbox(ctx context.Context, c *feature.Call, m *ReadInbox) (*InboxPage, error) {
	mesh, by, err := actingForAll(c)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(m.Limit, inboxDefault, inboxMost)
	if err != nil {
		return nil, err
	}
	after, ok := placeAfter(m.After)
	if !ok {
		return nil, core.Refuse(sdk.ReasonInvalid, "after: want the next of the page before")
	}
	after.Recipient = by.Key
	found, err := g.Inbox.Inbox(ctx, mesh.ID, by.Key, after, limit+1)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	page := &InboxPage{Messages: []jsontext.Value{}}
	size := 0
	for i, w := range found {
		frame := g.Encode(nil, w.Message)
		if size += len(frame); i == limit || i > 0 && size > inboxBytes {
			before := found[i-1].Message
			page.Next = placeText(before)
			break
		}
		page.Messages = append(page.Messages, frame)
	}
	return page, nil
}

// placeText names the place of a message in the inbox, and placeAfter reads it.
func placeText(m *store.Message) string {
	return strconv.Itoa(int(m.Priority)) + "." + strconv.FormatInt(m.Seq, 36)
}

func placeAfter(text string) (store.Cursor, bool) {
	if text == "" {
		return store.Cursor{}, true
	}
	priority, seq, ok := strings.Cut(text, ".")
	p, err := strconv.Atoi(priority)
	n, also := strconv.ParseInt(seq, 36, 64)
	if !ok || err != nil || also != nil || p < int(sdk.PriorityNow) || p > int(sdk.PriorityLow) || n < 0 {
		return store.Cursor{}, false
	}
	return store.Cursor{Priority: sdk.Priority(p), Seq: n}, true
}

// limitOf reads how many rows are wanted.
func limitOf(text string, usual, most int) (int, error) {
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, core.Refuse(sdk.ReasonInvalid, "limit: want a number from 1 to "+strconv.Itoa(most))
	}
	return min(n, most), nil
}

// confirmAll confirms messages.
func (g *gateway) confirmAll(ctx context.Context, c *feature.Call, m *ConfirmMessages) (*MessagesConfirmed, error) {
	if len(m.IDs) == 0 || len(m.IDs) > confirmMost {
		return nil, core.Refuse(sdk.ReasonInvalid, "ids: want 1 to "+strconv.Itoa(confirmMost)+" of them")
	}
	confirmed, err := g.confirm(ctx, c, m.IDs)
	if err != nil {
		return nil, err
	}
	answer := &MessagesConfirmed{Confirmed: confirmed, Unknown: []string{}}
	for _, id := range m.IDs {
		if !slices.Contains(confirmed, id) {
			answer.Unknown = append(answer.Unknown, id)
		}
	}
	return answer, nil
}

// confirmOne confirms a message.
func (g *gateway) confirmOne(ctx context.Context, c *feature.Call, m *ConfirmMessage) (*OK, error) {
	confirmed, err := g.confirm(ctx, c, []string{m.ID})
	switch {
	case err != nil:
		return nil, err
	case len(confirmed) == 0:
		return nil, core.Refuse(sdk.ReasonNotFound, "no message to you has this id: GET /v1/messages lists those that wait")
	}
	return &OK{OK: true}, nil
}

func (g *gateway) confirm(ctx context.Context, c *feature.Call, ids []string) ([]string, error) {
	mesh, by, err := actingForAll(c)
	if err != nil {
		return nil, err
	}
	whole := []string{}
	for _, id := range ids {
		if len(id) == identity.IDSize && !slices.Contains(whole, id) {
			whole = append(whole, id)
		}
	}
	confirmed, err := g.Inbox.Confirm(ctx, mesh.ID, by.Key, whole)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return append([]string{}, confirmed...), nil
}
