package feature

import (
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/watch"
)

// Deps are what the handlers work with.
type Deps struct {
	Directory *presence.Directory
	Engine    *delivery.Engine
	Roster    ModerationRoster
	Callers   Callers // nil where nothing comes over HTTP
	Store     Store
	Sessions  Ender
	Send      SendOptions
	Announcer Announcer
	Caster    Caster
	Relay     *relay.Relay
	Poster    Poster
	Watch     *watch.Client // says which URLs may be looked at; nil for none
	Schedules ScheduleOptions
	Files     FileOptions
	Keys      *identity.AtRest // seals what the store must not show; nil without an encryption key
	SQL       meshsql.Engine   // nil for none
	Links     func() string    // base of the broker's URLs, without a slash at the end
}

// Store is what the handlers read and write themselves.
type Store interface {
	HelloStore
	StatusStore
	AuditStore
	ModerationStore
	GrantStore
	StateStore
	MemoryStore
	ContextStore
	TaskStore
	ClockStore
	WatchStore
	TopicStore
	ScheduleStore
	FileStore
	StreamStore
	McpStore
	WebhookStore
	APIKeyStore
	SkillStore
	VaultStore
}

// All returns a registry with every type that this broker answers.
func All(d Deps) *Registry {
	r := NewRegistry()
	r.roster, r.callers = d.Roster, d.Callers
	Hello(r, d.Directory, d.Store, d.Roster)
	Send(r, d.Engine, d.Send)
	MessageStatus(r, d.Directory, d.Engine, d.Store, d.Roster)
	Presence(r, d.Directory)
	Groups(r, d.Directory, d.Roster)
	Peers(r, d.Directory)
	MeshInfo(r, d.Directory)
	Audit(r, d.Store, d.Roster)
	Moderation(r, d.Directory, d.Store, d.Roster, d.Sessions)
	Grants(r, d.Store, d.Roster)
	State(r, d.Store, d.Roster, d.Announcer)
	Memory(r, d.Store, d.Roster)
	Contexts(r, d.Store, d.Roster, d.Announcer)
	Tasks(r, d.Store, d.Roster)
	Clocks(r, d.Store)
	Watches(r, d.Store, d.Watch, d.Keys)
	Topics(r, NewTopicBook(d.Store, d.Roster))
	Schedules(r, d.Store, d.Send, d.Schedules)
	Files(r, NewFileBook(d.Store, d.Roster, d.Directory, d.Files))
	Streams(r, d.Directory, d.Store, d.Roster, d.Caster)
	PeerFiles(r, d.Directory, d.Roster, d.Relay)
	Mcp(r, d.Directory, d.Store, d.Roster, d.Caster, d.Relay)
	Webhooks(r, d.Store, WebhookDeps{Roster: d.Roster, Keys: d.Keys, Links: d.Links})
	APIKeys(r, d.Store, d.Roster)
	Skills(r, d.Store, d.Roster)
	Vault(r, d.Store)
	MeshSQL(r, d.SQL)
	return r
}
