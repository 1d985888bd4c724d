package feature

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ReasonInvalidArgs refuses arguments of requests about API keys. The word is the
// wire's.
const ReasonInvalidArgs sdk.Reason = "invalid_args"

// Limits of API keys. The newest command line makes one for each thing that it
// does over HTTP, good for five minutes, and revokes it behind that.
const (
	apiKeysPerMesh   = 2_000 // that are good
	apiKeysPerMember = 200   // that are good
	apiKeysOwn       = 10    // of a member, that find room whatever the others have
	apiKeysKept      = 500   // of a member, that are good no more
	listedAPIKeys    = 500   // in one answer

	// apiKeyIDBegins is how much of an id names a key: of those that a member may
	// revoke, the chance that another one begins so is below one in 10^10.
	apiKeyIDBegins  = 8
	apiKeysCounted  = 10 // of those that begin alike
	textAPIKeyShape = "want at least 8 characters of the key's id, from apikey_list"
)

// APIKeyStore keeps API keys.
type APIKeyStore interface {
	CreateAPIKey(ctx context.Context, k *store.APIKey, room store.Room, kept int) error
	ListAPIKeys(ctx context.Context, mesh, memberID string, limit int) ([]*store.APIKey, error)
	FindAPIKeys(ctx context.Context, mesh, memberID, idPrefix string, limit int) ([]*store.APIKey, error)
	RevokeAPIKey(ctx context.Context, mesh, id string, at time.Time) error
}

// APIKeys lets members make keys by which programs act for them over HTTP.
func APIKeys(r *Registry, st APIKeyStore, who Roster) {
	k := &apiKeys{store: st, roster: who}
	On(r, k.create).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.APIKeyCreated{Capabilities: []string{}, Error: worded(why, text)}
	})
	On(r, k.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.APIKeyListResponse{Keys: []wire.APIKeyRow{}, Error: worded(why, text)}
	})
	On(r, k.revoke).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.APIKeyRevokeResponse{Status: "refused", Error: worded(why, text)}
	})
}

type apiKeys struct {
	store  APIKeyStore
	roster Roster
}

// create makes a key for the member that asks.
func (a *apiKeys) create(ctx context.Context, c *Call, m *wire.APIKeyCreate) (wire.APIKeyCreated, error) {
	k := &store.APIKey{ID: identity.NewID(), MeshID: c.Env.Mesh, Label: m.Label, Topics: distinctTopics(m.TopicScopes), CreatedAt: time.Now()}
	if err := readAPIKey(k, m); err != nil {
		return wire.APIKeyCreated{}, err
	}
	by, err := whoAsks(ctx, a.roster, c)
	if err != nil {
		return wire.APIKeyCreated{}, err
	}
	if err := mayGive(by, k.Capabilities); err != nil {
		return wire.APIKeyCreated{}, err
	}
	secret, prefix, hash := token.NewAPIKey()
	k.MemberID, k.Prefix, k.Hash = by.ID, prefix, hash
	err = a.store.CreateAPIKey(ctx, k, store.Room{Mesh: apiKeysPerMesh, Member: apiKeysPerMember, Own: apiKeysOwn}, apiKeysKept)
	if errors.Is(err, store.ErrNotFound) {
		return wire.APIKeyCreated{}, errMemberRevoked // a moment ago
	}
	if err != nil {
		return wire.APIKeyCreated{}, noRoom(err, "good API keys", "revoke some, or let them end by themselves with expiresAt")
	}
	c.Env.Records = append(c.Env.Records, ofAPIKey("apikey_created", k, audit.Strings("capabilities", capabilityWords(k.Capabilities))))
	return wire.APIKeyCreated{
		ID: k.ID, Secret: secret, Label: k.Label, Prefix: k.Prefix, Capabilities: capabilityWords(k.Capabilities),
		TopicScopes: scopesOf(k), CreatedAt: k.CreatedAt,
	}, nil
}

// ofAPIKey is the record of what was done to a key.
func ofAPIKey(event string, k *store.APIKey, more ...audit.Field) sdk.Record {
	fields := append([]audit.Field{audit.String("keyId", k.ID), audit.String("memberId", k.MemberID)}, more...)
	return sdk.Record{Event: event, Payload: audit.Object(fields...)}
}

// readAPIKey fills in what a request says of a key.
func readAPIKey(k *store.APIKey, m *wire.APIKeyCreate) error {
	wrong := func(text string) error { return core.Refuse(ReasonInvalidArgs, text) }
	switch {
	case m.Label == "":
		return wrong("label: want at least one byte: say what the key is for")
	case len(m.Capabilities) == 0:
		return wrong("capabilities: want at least one of send, read, state_write and admin")
	case m.TopicScopes != nil && len(m.TopicScopes) == 0:
		return wrong("topicScopes: want at least one topic, or null for all")
	case slices.Contains(k.Topics, ""):
		return wrong("topicScopes: want the ids or names of topics")
	}
	for _, text := range m.Capabilities {
		can := store.KeyCapability(text)
		switch {
		case !slices.Contains(store.AllKeyCapabilities(), can):
			return wrong("capabilities: want send, read, state_write or admin")
		case !slices.Contains(k.Capabilities, can):
			k.Capabilities = append(k.Capabilities, can)
		}
	}
	if m.ExpiresAt == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, m.ExpiresAt)
	if err != nil || !at.After(k.CreatedAt) || at.Year() > 9999 {
		return wrong("expiresAt: want a time to come, such as 2030-01-31T12:00:00Z")
	}
	k.ExpiresAt = at
	return nil
}

// distinctTopics returns topics without their signs, and without those that came
// before.
func distinctTopics(list []string) (distinct []string) {
	for _, text := range list {
		text = strings.TrimPrefix(text, "#")
		if !slices.Contains(distinct, text) {
			distinct = append(distinct, text)
		}
	}
	return distinct
}

var errMemberRevoked = core.Refuse(sdk.ReasonForbidden, "your access to this mesh was revoked: contact its owner")

// mayGive reports why a member may not make a key with these capabilities. What it
// may do itself is looked at again whenever the key is used.
func mayGive(by asker, list []store.KeyCapability) error {
	for _, c := range list {
		switch {
		case !by.Live():
			return errMemberRevoked
		case c == store.KeyAdmin && !by.admin():
			return core.Refuse(sdk.ReasonForbidden, "only the owner of the mesh and its admins may make keys that can admin: leave it out")
		case c == store.KeySend && !by.mesh.May(by.Member, store.CanSend):
			return lacks(c, store.CanSend)
		case c == store.KeyStateWrite && !by.mesh.May(by.Member, store.CanWriteState):
			return lacks(c, store.CanWriteState)
		}
	}
	return nil
}

func lacks(c store.KeyCapability, p store.Permission) error {
	return core.Refuse(sdk.ReasonForbidden, fmt.Sprintf(
		"a key that can %s needs your own permission %s: ask the owner of the mesh or an admin for it", c, p))
}

// concern returns the member whose keys the asker may see: "" for those of all.
func (by asker) concern() string {
	if by.admin() {
		return ""
	}
	return by.ID
}

// list returns the newest keys that concern the member that asks.
func (a *apiKeys) list(ctx context.Context, c *Call, _ *wire.APIKeyList) (wire.APIKeyListResponse, error) {
	by, err := whoAsks(ctx, a.roster, c)
	if err != nil {
		return wire.APIKeyListResponse{}, err
	}
	found, err := a.store.ListAPIKeys(ctx, c.Env.Mesh, by.concern(), listedAPIKeys)
	if err != nil {
		return wire.APIKeyListResponse{}, core.Unavailable(err)
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Label)
		add(found[row].Topics...)
	})]
	list := wire.APIKeyListResponse{Keys: make([]wire.APIKeyRow, len(found))}
	for i, k := range found {
		list.Keys[i] = wire.APIKeyRow{
			ID: k.ID, Label: k.Label, Prefix: k.Prefix, Capabilities: capabilityWords(k.Capabilities), TopicScopes: scopesOf(k),
			MemberID: k.MemberID, CreatedAt: k.CreatedAt,
			LastUsedAt: timeOrNull(k.LastUsedAt), RevokedAt: timeOrNull(k.RevokedAt), ExpiresAt: timeOrNull(k.ExpiresAt),
		}
	}
	return list, nil
}

func capabilityWords(list []store.KeyCapability) []string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = string(c)
	}
	return words
}

// scopesOf returns the topics of a key, nil for all.
func scopesOf(k *store.APIKey) *[]string {
	if len(k.Topics) == 0 {
		return nil
	}
	return &k.Topics
}

// timeOrNull returns nil for the zero time.
func timeOrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// revoke ends a key.
func (a *apiKeys) revoke(ctx context.Context, c *Call, m *wire.APIKeyRevoke) (wire.APIKeyRevokeResponse, error) {
	if len(m.ID) < apiKeyIDBegins || strings.ContainsFunc(m.ID, func(r rune) bool { return r >= 0x7f || r <= ' ' }) {
		return wire.APIKeyRevokeResponse{}, core.Refuse(ReasonInvalidArgs, "id: "+textAPIKeyShape)
	}
	by, err := whoAsks(ctx, a.roster, c)
	if err != nil {
		return wire.APIKeyRevokeResponse{}, err
	}
	found, err := a.store.FindAPIKeys(ctx, c.Env.Mesh, by.concern(), m.ID, apiKeysCounted)
	switch {
	case err != nil:
		return wire.APIKeyRevokeResponse{}, core.Unavailable(err)
	case len(found) == 0:
		return wire.APIKeyRevokeResponse{Status: "not_found"}, nil
	case len(found) > 1:
		return wire.APIKeyRevokeResponse{Status: "not_unique", Matches: int64(len(found))}, nil
	}
	k := found[0]
	if err := a.mayRevoke(ctx, by, k); err != nil {
		return wire.APIKeyRevokeResponse{}, err
	}
	if k.RevokedAt.IsZero() {
		if err := a.store.RevokeAPIKey(ctx, k.MeshID, k.ID, time.Now()); err != nil {
			return wire.APIKeyRevokeResponse{}, core.Unavailable(err)
		}
		c.Env.Records = append(c.Env.Records, ofAPIKey("apikey_revoked", k))
	}
	return wire.APIKeyRevokeResponse{Status: "revoked", ID: k.ID}, nil
}

// mayRevoke keeps admins from the keys of the owner, as they are kept from the
// owner itself.
func (a *apiKeys) mayRevoke(ctx context.Context, by asker, k *store.APIKey) error {
	if k.MemberID == by.ID || by.owner() {
		return nil
	}
	of, err := a.roster.MemberByID(ctx, k.MemberID)
	switch {
	case err != nil:
		return core.Unavailable(err)
	case by.mesh.OwnedBy(of):
		return core.Refuse(sdk.ReasonForbidden, "this key is the owner's of the mesh, who alone may revoke it")
	}
	return nil
}
