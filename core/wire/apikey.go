package wire

import "time"

// APIKeyCreate makes a key by which a program acts for the sender's member over
// HTTP, under /v1. Its answer is an [APIKeyCreated], which shows the secret this
// once; a request that is repeated makes another key. Whoever holds a key can do
// no more than the member may itself, and nothing once that is banned. Errors:
// invalid_args; forbidden for capabilities that the member does not have itself,
// and for admin unless the member owns the mesh or is one of its admins; capacity
// when there are too many.
type APIKeyCreate struct {
	Label        string   `json:"label" max:"128" doc:"what the key is for, at least one byte"`
	Capabilities []string `json:"capabilities" max:"16" each:"32" doc:"what its holder may do, at least one of send, read, state_write and admin; admin has the others in it"`
	TopicScopes  []string `json:"topicScopes,omitempty" max:"64" each:"256" doc:"ids or names of the only topics that the key is for, at least one; absent or null for all of the mesh"`
	ExpiresAt    string   `json:"expiresAt,omitempty" max:"64" doc:"until when it is good, as RFC 3339 has it; for ever when absent"`
}

// FrameType returns apikey_create.
func (APIKeyCreate) FrameType() string { return "apikey_create" }

// APIKeyCreated answers an [APIKeyCreate].
type APIKeyCreated struct {
	ID           string    `json:"id,omitempty" doc:"id of the key, by which it is revoked; absent when it was refused"`
	Secret       string    `json:"secret,omitempty" doc:"the key itself, to be sent as Authorization: Bearer; the broker does not keep it"`
	Label        string    `json:"label" doc:"as it was asked for"`
	Prefix       string    `json:"prefix" doc:"how the secret begins: 11 characters by which people know it again"`
	Capabilities []string  `json:"capabilities" doc:"as they were asked for"`
	TopicScopes  *[]string `json:"topicScopes" doc:"as they were asked for; null for all topics"`
	CreatedAt    time.Time `json:"createdAt" doc:"when it was made"`
	Error        string    `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns apikey_created.
func (APIKeyCreated) FrameType() string { return "apikey_created" }

// APIKeyList asks for keys: the sender's own, or those of all members when it owns
// the mesh or is one of its admins. Its answer is an [APIKeyListResponse].
type APIKeyList struct{}

// FrameType returns apikey_list.
func (APIKeyList) FrameType() string { return "apikey_list" }

// APIKeyListResponse answers an [APIKeyList].
type APIKeyListResponse struct {
	Keys  []APIKeyRow `json:"keys" doc:"at most 500, the newest first, with those that are revoked or over"`
	Error string      `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns apikey_list_response.
func (APIKeyListResponse) FrameType() string { return "apikey_list_response" }

// APIKeyRow is one key, without its secret.
type APIKeyRow struct {
	ID           string     `json:"id" doc:"id of the key"`
	Label        string     `json:"label" doc:"what it is for"`
	Prefix       string     `json:"prefix" doc:"how the secret begins"`
	Capabilities []string   `json:"capabilities" doc:"what its holder may do"`
	TopicScopes  *[]string  `json:"topicScopes" doc:"ids or names of the only topics that it is for; null for all"`
	MemberID     string     `json:"memberId" doc:"id of the member that it acts for"`
	CreatedAt    time.Time  `json:"createdAt" doc:"when it was made"`
	LastUsedAt   *time.Time `json:"lastUsedAt" doc:"when it was used last, to the minute; null for never"`
	RevokedAt    *time.Time `json:"revokedAt" doc:"when it was revoked; null when it was not"`
	ExpiresAt    *time.Time `json:"expiresAt" doc:"until when it is good; null for ever"`
}

// APIKeyRevoke ends a key for good, at once and on every node. Its answer is an
// [APIKeyRevokeResponse]. Members revoke their own keys; the owner of the mesh and
// its admins those of all members, but admins not the owner's. A key that is
// revoked already is answered as the first time.
type APIKeyRevoke struct {
	ID string `json:"id" required:"true" max:"64" doc:"id of the key, or how only one of the keys that the sender may revoke begins: at least 8 characters, none of which stands for others"`
}

// FrameType returns apikey_revoke.
func (APIKeyRevoke) FrameType() string { return "apikey_revoke" }

// APIKeyRevokeResponse answers an [APIKeyRevoke].
type APIKeyRevokeResponse struct {
	Status  string `json:"status" enum:"revoked,not_found,not_unique,refused" doc:"what became of it; refused: see error"`
	ID      string `json:"id,omitempty" doc:"id of the key that is revoked"`
	Matches int64  `json:"matches,omitzero" doc:"how many ids begin so when that is not one, counted up to 10"`
	Error   string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns apikey_revoke_response.
func (APIKeyRevokeResponse) FrameType() string { return "apikey_revoke_response" }
