package control

import (
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/sdk"
)

// version begins the path of every operation. An operation may get further
// fields, in question and answer; one whose meaning changes gets a new version.
const version = "/v1/"

// Operations: the methods of [admin.Ops], as the last part of the path.
const (
	opAbout          = "about"
	opCreateMesh     = "mesh.create"
	opListMeshes     = "mesh.list"
	opListMembers    = "member.list"
	opRevokeMember   = "member.revoke"
	opLinkMember     = "member.link"
	opCreateInvite   = "invite.create"
	opCreateToken    = "token.create"
	opListTokens     = "token.list"
	opRevokeToken    = "token.revoke"
	opApproveSignIn  = "signin.approve"
	opListAccounts   = "account.list"
	opEnableAccount  = "account.enable"
	opDisableAccount = "account.disable"
	opLegacyAccount  = "account.legacy"
	opSetMeshOwner   = "mesh.own"
	opVerifyAudit    = "audit.verify"
	opMigrations     = "migration.list"
	opMigrate        = "migration.apply"
	opDescribeChain  = "chain.describe"
	opReload         = "reload"
	opListPlugins    = "plugin.list"
	opResumePlugin   = "plugin.resume"
	opListRefusals   = "refusal.list"
	opLogLevel       = "log.level"
	opSetLogLevel    = "log.set"
)

// Limits of one operation.
const (
	questionBytes = 64 << 10
	answerBytes   = 256 << 20 // ten times what the keys of admin.MaxMembers new members take
)

// timeFor is how long an operation may take.
func timeFor(op string) time.Duration {
	switch op {
	case opAbout:
		return 5 * time.Second
	case opVerifyAudit, opMigrate: // they read or change everything there is
		return 10 * time.Minute
	case opReload: // one chain starts, and two drain: the one before it, and its own
		return 25 * time.Minute
	case opCreateMesh: // makes a key pair for each member
		return 2 * time.Minute
	default:
		return 30 * time.Second
	}
}

// none is the question of operations that ask for everything.
type none struct{}

type meshQuestion struct {
	Mesh string `json:"mesh"`
}

type createMeshQuestion struct {
	Name    string `json:"name"`
	Members int    `json:"members"`
	Owner   string `json:"owner,omitempty"`
}

type revokeQuestion struct {
	Mesh   string `json:"mesh"`
	Member string `json:"member"`
}

type linkQuestion struct {
	Mesh    string `json:"mesh"`
	Member  string `json:"member"`
	Account string `json:"account"`
	Move    bool   `json:"move"`
}

type inviteQuestion struct {
	Mesh string        `json:"mesh"`
	Role string        `json:"role"`
	Uses int           `json:"uses"`
	TTL  time.Duration `json:"ttlNanoseconds"`
}

type pluginQuestion struct {
	Link string `json:"link"`
}

type createTokenQuestion struct {
	Account string        `json:"account"`
	Email   string        `json:"email"`
	Name    string        `json:"name"`
	TTL     time.Duration `json:"ttlNanoseconds"`
}

type accountQuestion struct {
	Account string `json:"account"`
}

type tokenQuestion struct {
	ID string `json:"id"`
}

type approveQuestion struct {
	Code    string `json:"code"`
	Account string `json:"account"`
}

// switchQuestion turns something of an account on or off.
type switchQuestion struct {
	Account string `json:"account"`
	On      bool   `json:"on"`
}

type ownQuestion struct {
	Mesh    string `json:"mesh"`
	Account string `json:"account"`
}

func (q createTokenQuestion) options() admin.TokenOptions {
	return admin.TokenOptions{Email: q.Email, Name: q.Name, TTL: q.TTL}
}

func (q createMeshQuestion) options() admin.MeshOptions {
	return admin.MeshOptions{Members: q.Members, Owner: q.Owner}
}

func (q inviteQuestion) options() admin.InviteOptions {
	return admin.InviteOptions{Role: q.Role, Uses: q.Uses, TTL: q.TTL}
}

// About is what a broker says of itself.
type About struct {
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	URL       string    `json:"url"`                // where peers connect
	LocalURL  string    `json:"localUrl,omitempty"` // the same from this machine, whatever public_url says
	StartedAt time.Time `json:"startedAt"`

	Console          string `json:"console,omitempty"`          // the page's URL; empty where there is none
	ConsoleTokenFile string `json:"consoleTokenFile,omitempty"` // where its token is; empty where the config has it
	ConsoleTokenHash string `json:"consoleTokenHash,omitempty"` // the beginning of its SHA-256, to compare by
}

// failure is the body of an operation that could not be done.
type failure struct {
	Code    sdk.Reason `json:"code"`
	Message string     `json:"message"`
}
