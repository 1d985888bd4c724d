package wire

import "time"

// VaultSet keeps a secret that the client has sealed, in place of the one before
// under this key. Only the sessions of the same member get it back. Its answer is
// a [VaultAck]. Errors: invalid; forbidden; capacity when there are too many.
//
// The broker cannot look into what is sealed. It refuses what has not the form
// of it, so that a client that forgot to seal is told.
type VaultSet struct {
	Key         string `json:"key" required:"true" max:"128" doc:"name of the secret: one or more of A-Z, a-z, 0-9, _, . and -"`
	Ciphertext  string `json:"ciphertext" required:"true" max:"49152" doc:"the secret, encrypted: base64 of at least 16 bytes"`
	Nonce       string `json:"nonce" required:"true" max:"64" doc:"base64 of 24 bytes"`
	SealedKey   string `json:"sealed_key" required:"true" max:"1024" doc:"the key that opens it, sealed to the member: base64 of at least 48 bytes"`
	EntryType   string `json:"entry_type,omitempty" enum:"env,file" doc:"what the secret is for: a variable, which is what is taken when absent, or a file"`
	MountPath   string `json:"mount_path,omitempty" max:"512" doc:"where the file belongs; without .. in it"`
	Description string `json:"description,omitempty" max:"500" doc:"any text, which the broker can read"`
}

// FrameType returns vault_set.
func (VaultSet) FrameType() string { return "vault_set" }

// VaultDelete deletes a secret of the sender's member. Its answer is a [VaultAck].
// Errors: invalid; forbidden.
type VaultDelete struct {
	Key string `json:"key" required:"true" max:"128" doc:"name of the secret"`
}

// FrameType returns vault_delete.
func (VaultDelete) FrameType() string { return "vault_delete" }

// VaultAck answers a [VaultSet] and a [VaultDelete].
type VaultAck struct {
	Key    string `json:"key" doc:"as it was sent"`
	Action string `json:"action" enum:"stored,deleted,not_found" doc:"what was done"`
}

// FrameType returns vault_ack.
func (VaultAck) FrameType() string { return "vault_ack" }

// VaultList asks which secrets the sender's member has. Its answer is a
// [VaultListResult].
type VaultList struct{}

// FrameType returns vault_list.
func (VaultList) FrameType() string { return "vault_list" }

// VaultListResult answers a [VaultList].
type VaultListResult struct {
	Entries []VaultEntry `json:"entries" doc:"by the bytes of their keys"`
	Error   string       `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns vault_list_result.
func (VaultListResult) FrameType() string { return "vault_list_result" }

// VaultEntry is what a secret is for.
type VaultEntry struct {
	Key         string    `json:"key" doc:"name of the secret"`
	EntryType   string    `json:"entry_type" enum:"env,file" doc:"what it is for"`
	MountPath   *string   `json:"mount_path" doc:"where the file belongs; null when that was not said"`
	Description *string   `json:"description" doc:"null when there is none"`
	UpdatedAt   time.Time `json:"updated_at" doc:"when it was set"`
}

// VaultGet asks for secrets of the sender's member. Its answer is a
// [VaultGetResult].
type VaultGet struct {
	Keys []string `json:"keys,omitempty" max:"256" each:"128" doc:"their names"`
}

// FrameType returns vault_get.
func (VaultGet) FrameType() string { return "vault_get" }

// VaultGetResult answers a [VaultGet]. An answer with more than a megabyte of
// secrets ends there: ask for those that are missing again.
type VaultGetResult struct {
	Entries []VaultSecret `json:"entries" doc:"those that there are, by the bytes of their keys"`
	Error   string        `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns vault_get_result.
func (VaultGetResult) FrameType() string { return "vault_get_result" }

// VaultSecret is one secret, as its client sealed it.
type VaultSecret struct {
	Key        string  `json:"key" doc:"name of the secret"`
	Ciphertext string  `json:"ciphertext" doc:"as it was set"`
	Nonce      string  `json:"nonce" doc:"as it was set"`
	SealedKey  string  `json:"sealed_key" doc:"as it was set"`
	EntryType  string  `json:"entry_type" enum:"env,file" doc:"what it is for"`
	MountPath  *string `json:"mount_path" doc:"where the file belongs; null when that was not said"`
}
