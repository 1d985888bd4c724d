package api

import (
	"context"
	"net/http"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// ReadTopicKey is GET /v1/topics/{name}/key.
type ReadTopicKey struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name string `path:"name" json:"-" doc:"id or name of the topic"`
}

// MeshName implements [feature.MeshNamer].
func (r *ReadTopicKey) MeshName() string { return r.Mesh }

// TopicKeyCopy answers a [ReadTopicKey].
type TopicKeyCopy struct {
	Topic        string `json:"topic" doc:"name of the topic"`
	TopicID      string `json:"topicId" doc:"id of the topic"`
	EncryptedKey string `json:"encryptedKey" doc:"base64 of an x25519 key of 32 bytes, and of the topic's key in a crypto_box of that key and the member's"`
	Nonce        string `json:"nonce" doc:"base64 of the nonce of the box"`
	SenderPubkey string `json:"senderPubkey" doc:"x25519 key, in hex, that the topic's first copy was sealed with"`
	CreatedAt    string `json:"createdAt" doc:"when the copy was made"`
}

// ListPendingSeals is GET /v1/topics/{name}/pending-seals.
type ListPendingSeals struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name string `path:"name" json:"-" doc:"id or name of the topic"`
}

// MeshName implements [feature.MeshNamer].
func (r *ListPendingSeals) MeshName() string { return r.Mesh }

// PendingSeals answers a [ListPendingSeals].
type PendingSeals struct {
	Pending []PendingSeal `json:"pending" doc:"at most 50 members of the topic that have no copy of its key, those first that joined first"`
}

// PendingSeal is a member that waits for a copy of a topic's key.
type PendingSeal struct {
	MemberID    string  `json:"memberId" doc:"id of the member"`
	Pubkey      sdk.Key `json:"pubkey" doc:"its ed25519 key, of which its x25519 key is made"`
	DisplayName string  `json:"displayName" doc:"its display name"`
}

// SealTopicKey is the body of POST /v1/topics/{name}/seal.
type SealTopicKey struct {
	Mesh         string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name         string `path:"name" json:"-" doc:"id or name of the topic"`
	MemberID     string `json:"memberId" required:"true" max:"256" doc:"whom the copy is for"`
	EncryptedKey string `json:"encryptedKey" required:"true" max:"256" doc:"base64 of an x25519 key of 32 bytes, and of the topic's key in a crypto_box of that key and the member's"`
	Nonce        string `json:"nonce" required:"true" max:"64" doc:"base64 of the nonce of the box, 24 bytes"`
}

// MeshName implements [feature.MeshNamer].
func (r *SealTopicKey) MeshName() string { return r.Mesh }

// ClaimTopicKey is the body of POST /v1/topics/{name}/claim-key.
type ClaimTopicKey struct {
	Mesh         string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name         string `path:"name" json:"-" doc:"id or name of the topic"`
	Pubkey       string `json:"encryptedKeyPubkey" required:"true" max:"128" doc:"x25519 key, 64 hex digits, that the member's own copy is sealed with"`
	EncryptedKey string `json:"encryptedKey" required:"true" max:"256" doc:"the member's own copy, as for a seal"`
	Nonce        string `json:"nonce" required:"true" max:"64" doc:"base64 of the nonce of the box, 24 bytes"`
}

// MeshName implements [feature.MeshNamer].
func (r *ClaimTopicKey) MeshName() string { return r.Mesh }

// topicKeys adds the routes by which members give each other a topic's key, which
// the broker never has.
func (g *gateway) topicKeys(t *Table) {
	status := map[sdk.Reason]int{
		feature.ReasonTopicNotFound: http.StatusNotFound, feature.ReasonKeyNotSealed: http.StatusNotFound,
		feature.ReasonNotInTopic: http.StatusNotFound, feature.ReasonTopicUnencrypted: http.StatusConflict,
		feature.ReasonAlreadyEncrypted: http.StatusConflict,
	}
	unread := []sdk.Reason{feature.ReasonKeyTopic, feature.ReasonTopicNotFound, feature.ReasonKeyNotSealed, feature.ReasonTopicUnencrypted}
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/topics/{name}/key", Kind: "http.v1.topic.key", Key: store.KeyRead,
		Summary: "shows the member's sealed copy of a topic's key", Refusals: unread, Status: status,
	}, g.topicKey)
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/topics/{name}/pending-seals", Kind: "http.v1.topic.pending", Key: store.KeyRead,
		Summary: "lists members of a topic that wait for its key, to one that has it", Refusals: unread, Status: status,
	}, g.pendingSeals)
	onGateway(t, Route{
		Method: http.MethodPost, Path: "/v1/topics/{name}/seal", Kind: "http.v1.topic.seal", Key: store.KeySend,
		Summary:  "gives a member of a topic its copy of the key; a copy that is there stays",
		Refusals: append([]sdk.Reason{feature.ReasonNotInTopic}, unread...), Status: status,
	}, g.seal)
	onGateway(t, Route{
		Method: http.MethodPost, Path: "/v1/topics/{name}/claim-key", Kind: "http.v1.topic.claim", Key: store.KeySend,
		Summary:  "gives a key to a topic that has none",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic, feature.ReasonTopicNotFound, feature.ReasonAlreadyEncrypted}, Status: status,
	}, g.claimKey)
}

func (g *gateway) topicKey(ctx context.Context, c *feature.Call, m *ReadTopicKey) (*TopicKeyCopy, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	t, k, err := g.Topics.Key(ctx, c, topic)
	if err != nil {
		return nil, err
	}
	return &TopicKeyCopy{
		Topic: t.Name, TopicID: t.ID, EncryptedKey: k.Encrypted, Nonce: k.Nonce, SenderPubkey: t.KeyPubkey, CreatedAt: stamp(k.CreatedAt),
	}, nil
}

func (g *gateway) pendingSeals(ctx context.Context, c *feature.Call, m *ListPendingSeals) (*PendingSeals, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	seats, err := g.Topics.PendingSeals(ctx, c, topic)
	if err != nil {
		return nil, err
	}
	list := &PendingSeals{Pending: make([]PendingSeal, len(seats))}
	for i, s := range seats {
		list.Pending[i] = PendingSeal{MemberID: s.MemberID, Pubkey: s.Key, DisplayName: s.Name}
	}
	return list, nil
}

func (g *gateway) seal(ctx context.Context, c *feature.Call, m *SealTopicKey) (*OK, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	return &OK{OK: true}, g.Topics.Seal(ctx, c, topic, m.MemberID, m.EncryptedKey, m.Nonce)
}

func (g *gateway) claimKey(ctx context.Context, c *feature.Call, m *ClaimTopicKey) (*OK, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	return &OK{OK: true}, g.Topics.ClaimKey(ctx, c, topic, m.Pubkey, m.EncryptedKey, m.Nonce)
}
