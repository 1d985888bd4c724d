package admin

import (
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// NewMesh is a mesh that was just made. Its JSON is a contract with other
// tools.
type NewMesh struct {
	ID      string      `json:"meshId"`
	Slug    string      `json:"slug"`
	Name    string      `json:"name"`
	Owner   sdk.Key     `json:"ownerPubkey"`
	Account string      `json:"ownerAccount,omitempty"` // who owns it over HTTP
	Invite  string      `json:"invite"`                 // the bare v1 token
	Members []NewMember `json:"members"`
}

// NewMember is a member whose key pair the broker made.
type NewMember struct {
	ID          string  `json:"memberId"`
	DisplayName string  `json:"displayName"`
	Role        string  `json:"role"`
	Key         sdk.Key `json:"pubkey"`
	SecretKey   string  `json:"secretKey"` // the ed25519 seed, 64 hex digits
}

// Mesh is one line of a list of meshes.
type Mesh struct {
	ID        string    `json:"meshId"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Owner     sdk.Key   `json:"ownerPubkey"`
	Members   int       `json:"memberCount"` // live ones
	CreatedAt time.Time `json:"createdAt"`
}

// Member is one line of a list of members.
type Member struct {
	ID          string    `json:"memberId"`
	DisplayName string    `json:"displayName"`
	Role        string    `json:"role"`
	RoleTag     string    `json:"roleTag,omitempty"`
	Key         sdk.Key   `json:"pubkey"`
	Account     string    `json:"account,omitempty"` // of the person behind it
	JoinedAt    time.Time `json:"joinedAt"`
	RevokedAt   time.Time `json:"revokedAt,omitzero"`
}

// Revocation says who was revoked.
type Revocation struct {
	Member
	Already bool `json:"already"` // it was revoked before
}

// MemberLink says whose a member is.
type MemberLink struct {
	Member
	Before string `json:"before,omitempty"` // the account until now
}

// Invite is an invite that was just made.
type Invite struct {
	ID        string    `json:"inviteId"`
	MeshID    string    `json:"meshId"`
	Slug      string    `json:"slug"`
	Token     string    `json:"token"`
	Link      string    `json:"link"`
	Code      string    `json:"code,omitempty"` // short code, by which the invite can be claimed
	URL       string    `json:"url,omitempty"`  // short link, where the broker knows the URL of its web pages
	Role      string    `json:"role"`
	Uses      int       `json:"maxUses"`
	BrokerURL string    `json:"brokerUrl"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Account is a person who signs in over HTTP.
type Account struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Email      string    `json:"email"`
	CreatedAt  time.Time `json:"createdAt"`
	DisabledAt time.Time `json:"disabledAt,omitzero"`
	Legacy     bool      `json:"legacy"` // legacy-auth may take the id for a proof
}

// NewToken is a bearer token and a one-time code that were just made.
type NewToken struct {
	Account       Account   `json:"account"`
	Created       bool      `json:"created"` // the account was made, too
	Meshes        int       `json:"meshes"`  // that the account owns or has members in
	ID            string    `json:"id"`
	Token         string    `json:"token"`
	ExpiresAt     time.Time `json:"expiresAt"`
	Code          string    `json:"code"`
	CodeExpiresAt time.Time `json:"codeExpiresAt"`
	ApproveURL    string    `json:"approveUrl,omitempty"` // pages that take the code, where the broker knows their URL
	TokenURL      string    `json:"tokenUrl,omitempty"`
}

// Token is one line of a list of bearer tokens.
type Token struct {
	ID         string    `json:"id"`
	Account    string    `json:"account"`
	Kind       string    `json:"kind"` // device, pasted or operator
	Hostname   string    `json:"hostname"`
	Platform   string    `json:"platform"`
	Arch       string    `json:"arch"`
	CreatedAt  time.Time `json:"createdAt"`
	ExpiresAt  time.Time `json:"expiresAt"`
	LastSeenAt time.Time `json:"lastSeenAt,omitzero"`
}

// Approval is a command line that was just signed in. What it says of its machine
// is its own word; Remote is where it asked from.
type Approval struct {
	Account  Account `json:"account"`
	UserCode string  `json:"userCode"`
	Hostname string  `json:"hostname"`
	Platform string  `json:"platform"`
	Arch     string  `json:"arch"`
	Remote   string  `json:"remote"`
}

// MeshOwner says whose a mesh is.
type MeshOwner struct {
	MeshID  string `json:"meshId"`
	Slug    string `json:"slug"`
	Account string `json:"account"`
	Before  string `json:"before,omitempty"` // the owner until now
}

// Verification is the verdict on an audit chain.
type Verification struct {
	MeshID   string `json:"meshId"`
	Slug     string `json:"slug"`
	Valid    bool   `json:"valid"`
	Entries  int64  `json:"entries"`
	BrokenAt int64  `json:"brokenAt,omitzero"` // id of the first bad row
	Why      string `json:"why,omitempty"`
}

// Migration is one file of SQL.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	SHA256    string    `json:"sha256"`
	AppliedAt time.Time `json:"appliedAt,omitzero"` // zero while it is pending
}

// Chain is a chain to print. Text is the same for people; it comes with the
// description because only the process that runs the chain has all of it.
type Chain struct {
	Running bool    `json:"running"`
	Loaded  *Loaded `json:"loaded,omitempty"` // of a chain that runs
	chain.Description
	Text string `json:"text,omitempty"`
}

// Trigger is what a load of the config was asked by.
type Trigger string

// Triggers. They are metric labels.
const (
	ByStart   Trigger = "start"
	BySignal  Trigger = "signal"
	ByFile    Trigger = "file" // the config file, or a plugin's program, changed
	ByCommand Trigger = "command"
)

// Loaded says which config the chain was made of.
type Loaded struct {
	Generation uint64     `json:"generation"` // 1 at the start, one more with each reload
	At         time.Time  `json:"at"`
	By         Trigger    `json:"by"`
	SHA256     string     `json:"configSha256,omitempty"` // of the file; empty without one
	LastError  *LoadError `json:"lastError,omitempty"`    // the newest load was refused, and why
}

// LoadError is why a load was refused.
type LoadError struct {
	At   time.Time `json:"at"`
	By   Trigger   `json:"by"`
	Text string    `json:"text"`
}

// Reload is what a reload changed, or would change.
type Reload struct {
	Applied    bool     `json:"applied"`              // the new chain runs; false after a dry run
	Drained    bool     `json:"drained"`              // the old one has ended
	Generation uint64   `json:"generation,omitempty"` // of the new chain
	Changes    []string `json:"changes"`              // links that differ, one line each
	Restart    []string `json:"restart,omitempty"`    // keys that differ and need a restart
}
