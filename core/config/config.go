// Package config is everything that an operator can set: one struct with its
// defaults, read from a YAML file, the environment and the command line, in
// that order of rising precedence.
//
// Reading is strict. An unknown key, a wrong type, a value out of its limits
// or a stage that does not exist is a [Problem] with its place, what is
// allowed there, and the nearest name; [Load] reports all of them at once.
//
// The tags of a field are its documentation: koanf is the name in the file,
// doc the meaning and the unit, limit the smallest and largest value, one the
// words allowed. configs/reference.md and configs/full.yaml are made of them.
package config

import (
	"slices"
	"time"
)

// Config is the whole configuration of one broker. Load it with [Load]; a
// reload makes a new one, so that a Config never changes once it is in use.
type Config struct {
	Listen            string        `koanf:"listen" doc:"address of the WebSocket and HTTP port, as host:port. An empty host serves every interface, port 0 picks a free port"`
	PublicURL         string        `koanf:"public_url" doc:"WebSocket URL under which others reach this broker, such as wss://mesh.example.org/ws. It is written into invites, and links for people are made of it unless http.app_url is set. Empty: made from listen"`
	DataDir           string        `koanf:"data_dir" doc:"directory of the embedded store, the control socket and the generated key. Empty: claudemesh-broker below XDG_DATA_HOME, else .local/share/claudemesh-broker below HOME, else ./data. A relative path in the file counts from the file's directory"`
	Mode              Mode          `koanf:"mode" one:"dev|production" doc:"how much is forgiven. production refuses what is only meant for trying out: a missing encryption_key, and plugins without sha256"`
	Insecure          bool          `koanf:"insecure" doc:"start although the pipeline lacks auth or route, although a guarding stage fails open, and although production lacks a key. For experiments"`
	EncryptionKey     Secret        `koanf:"encryption_key" doc:"64 hex digits: the AES-256 key that seals owner keys and other secrets at rest. Better set in the environment than in a file. Empty in dev: one is made on the first start"`
	ShutdownTimeout   time.Duration `koanf:"shutdown_timeout" limit:"0s..10m" doc:"how long a stopping broker waits for requests and commits in flight before it cuts them"`
	ExpectedMigration string        `koanf:"expected_migration" doc:"readiness waits for this migration, given as version, file name or SHA-256 of its text. Empty: not checked"`
	GitSHA            string        `koanf:"git_sha" doc:"commit that was deployed, shown by the health routes"`

	Pipeline []Link   `koanf:"pipeline" doc:"the stages that every envelope passes, in this order. A list in the file replaces the default list as a whole"`
	Reload   Reload   `koanf:"reload" doc:"when the broker reads this file again, and how it changes to the new pipeline. Changes of the pipeline are taken over; all other keys need a restart"`
	Store    Store    `koanf:"store" doc:"where the broker keeps what must survive a restart"`
	Bus      Bus      `koanf:"bus" doc:"how brokers that share a PostgreSQL tell each other what is new"`
	Limits   Limits   `koanf:"limits" doc:"bounds that protect the broker from its peers"`
	HTTP     HTTP     `koanf:"http" doc:"the requests on the port, and what they have to pass"`
	Presence Presence `koanf:"presence" doc:"who is here, and what they are doing"`
	Queue    Queue    `koanf:"queue" doc:"messages that wait for their recipient"`
	Watch    Watch    `koanf:"watch" doc:"the URLs that the broker looks at for members"`
	Files    Files    `koanf:"files" doc:"files that members share"`
	MeshSQL  MeshSQL  `koanf:"mesh_sql" doc:"the SQL database that each mesh may have"`
	Audit    Audit    `koanf:"audit" doc:"the hash-chained log of each mesh"`
	Log      Log      `koanf:"log" doc:"the broker's own log, on standard error"`

	Telemetry Telemetry `koanf:"telemetry" doc:"where traces and metrics are sent"`
	Console   Console   `koanf:"console" doc:"the operator's page"`
}

// Mode says how much the broker forgives.
type Mode string

// Modes of a broker.
const (
	Dev        Mode = "dev"
	Production Mode = "production"
)

// Reload says when the broker reads its file again by itself, and how it changes
// to the new pipeline. No connection is closed by it.
type Reload struct {
	Watch        bool          `koanf:"watch" doc:"reload when the content of the config file, or of a plugin's program, changes. A file that is wrong changes nothing. Without it, broker reload and SIGHUP still do"`
	Debounce     time.Duration `koanf:"debounce" limit:"10ms..1m" doc:"a changed file is read when its content has stayed the same for so long, so that one that is still being written is left alone"`
	DrainTimeout time.Duration `koanf:"drain_timeout" limit:"0s..10m" doc:"how long envelopes that began on the old pipeline get to end there, before its stages are stopped"`
}

// Store says where the broker keeps what must survive a restart.
type Store struct {
	URL        Secret     `koanf:"url" doc:"PostgreSQL, as postgres://user:password@host/database. Empty: SQLite in data_dir"`
	Durability Durability `koanf:"durability" one:"power|process" doc:"what an acknowledged message survives. power: the machine losing power (a synced commit before each ack). process: the broker being killed, but not the machine; faster"`
	Migrate    bool       `koanf:"migrate" doc:"apply pending migrations at start. Without it, the broker is not ready while one is pending"`

	Wait             time.Duration `koanf:"wait" limit:"0s..5m" doc:"how long a request waits for a database that does not answer, counted from when it stopped answering; after that it is refused as unavailable. PostgreSQL only"`
	Pool             int           `koanf:"pool" limit:"4..1000" doc:"most connections to PostgreSQL, over all uses; one or two more serve the bus"`
	ConnectTimeout   time.Duration `koanf:"connect_timeout" limit:"100ms..5m" doc:"how long one attempt to connect to PostgreSQL may take"`
	StatementTimeout time.Duration `koanf:"statement_timeout" limit:"100ms..10m" doc:"PostgreSQL ends a statement that takes longer"`
	LockTimeout      time.Duration `koanf:"lock_timeout" limit:"100ms..10m" doc:"PostgreSQL ends a statement that waits longer for a lock"`
	MigrateTimeout   time.Duration `koanf:"migrate_timeout" limit:"1s..1h" doc:"how long a starting broker waits for another one that applies migrations to the same PostgreSQL"`
	Lease            time.Duration `koanf:"lease" limit:"2s..10m" doc:"a broker that shares a PostgreSQL with others and is not heard of for so long is taken for dead: its sessions get their grace time. It pushes nothing until it has asked what others took over"`
}

// Bus says how brokers that share a store tell each other what is new. It is a
// hint: what it loses is found in the store some seconds later.
type Bus struct {
	Type   BusType `koanf:"type" one:"auto|local|postgres|nats" doc:"auto: postgres with a PostgreSQL store, else local. local: this broker is the only one on its store. postgres: LISTEN and NOTIFY, nothing more to run. nats: an existing NATS server or cluster"`
	Prefix string  `koanf:"prefix" doc:"first part of the NATS subjects, and the PostgreSQL channel. Brokers with different ones do not hear each other"`
	NATS   NATS    `koanf:"nats" doc:"where the NATS servers are, and who we are there"`
}

// BusType names a kind of bus.
type BusType string

// Kinds of bus.
const (
	BusAuto     BusType = "auto"
	BusLocal    BusType = "local"
	BusPostgres BusType = "postgres"
	BusNATS     BusType = "nats"
)

// NATS says where the servers are. At most one way to authenticate is used, the
// first that is set.
type NATS struct {
	URLs      []string `koanf:"urls" doc:"servers, as nats://host:4222 or tls://host:4222. One of a cluster tells of the others"`
	CredsFile string   `koanf:"creds_file" doc:"credentials as nsc writes them"`
	NKeyFile  string   `koanf:"nkey_file" doc:"seed of an nkey"`
	User      string   `koanf:"user" doc:"user name"`
	Password  Secret   `koanf:"password" doc:"its password"`
	Token     Secret   `koanf:"token" doc:"token"`
	CAFile    string   `koanf:"ca_file" doc:"certificates that may have signed the servers' own. Empty: those of the system"`
	CertFile  string   `koanf:"cert_file" doc:"this broker's certificate, for servers that ask for one"`
	KeyFile   string   `koanf:"key_file" doc:"the key of cert_file"`
}

// BusKind returns the kind of bus that a config means.
func (c *Config) BusKind() BusType {
	switch {
	case c.Bus.Type != BusAuto:
		return c.Bus.Type
	case c.Store.Engine() == "postgres":
		return BusPostgres
	default:
		return BusLocal
	}
}

// Engine names the store that the URL selects: "postgres" or "sqlite".
func (s Store) Engine() string {
	if s.URL == "" {
		return "sqlite"
	}
	return "postgres"
}

// Durability is what an acknowledged message survives.
type Durability string

// Durabilities, the stronger first.
const (
	SurvivesPower   Durability = "power"
	SurvivesProcess Durability = "process"
)

// Limits are bounds that protect the broker from its peers.
type Limits struct {
	HelloTimeout          time.Duration `koanf:"hello_timeout" limit:"100ms..10m" doc:"a connection without an accepted hello is closed after this"`
	HelloFrameBytes       int           `koanf:"hello_frame_bytes" limit:"1024..1048576" doc:"largest frame before hello is accepted"`
	FrameBytes            int           `koanf:"frame_bytes" limit:"4096..67108864" doc:"largest frame after hello; a larger one closes the connection with 1009. Clients relay files of 1 MiB as base64 in one frame"`
	MessageBytes          int           `koanf:"message_bytes" limit:"1..67108864" doc:"largest message: ciphertext, nonce and targetSpec of a send together. A larger one is refused, the connection stays"`
	ConnectionsPerMesh    int           `koanf:"connections_per_mesh" limit:"1.." doc:"connections of one mesh at a time, over all brokers that share the store; the next is refused with capacity"`
	ConnectionsPerAddress int           `koanf:"connections_per_address" limit:"0.." doc:"sockets from one network address at a time, and as many connections, at least 16, for requests over HTTP. An IPv6 address counts by its /64. 0: no limit"`
	Window                int           `koanf:"window" limit:"1..65536" doc:"frames of one connection that wait for their answer at a time; further frames stay in the socket until one is answered"`
	OutboxBytes           int           `koanf:"outbox_bytes" limit:"4096..1073741824" doc:"bytes waiting to be written to one connection; beyond it the connection is closed as slow, and what it missed stays in the queue"`
	HTTPBodyBytes         int           `koanf:"http_body_bytes" limit:"1..67108864" doc:"largest body of an HTTP request; a larger one is answered 413"`
}

// Presence says when a peer counts as here, and how long a status is believed.
type Presence struct {
	PingEvery           time.Duration `koanf:"ping_every" limit:"100ms..1h" doc:"how often a connected peer is pinged"`
	DeadAfter           time.Duration `koanf:"dead_after" limit:"200ms..6h" doc:"a connection that sent nothing, not even a pong, for so long is closed. At least one and a half times ping_every"`
	Grace               time.Duration `koanf:"grace" limit:"0s..24h" doc:"how long a session whose connection ended counts as here, so that a reconnect goes unseen. After it, others are told that the peer left"`
	StatusTTL           time.Duration `koanf:"status_ttl" limit:"1s..24h" doc:"a session that says working and is not heard of again becomes idle after this"`
	HookFresh           time.Duration `koanf:"hook_fresh" limit:"1s..24h" doc:"how long a status set by the hook outranks one from another source"`
	InferFromTranscript bool          `koanf:"infer_from_transcripts" doc:"read the coding client's transcripts on the broker's own disk to guess a status. Only of use where broker and clients share a machine"`
}

// Offline is what becomes of a message to a member who is not connected.
type Offline string

// What becomes of a message to a known member who is not connected.
const (
	OfflineQueue  Offline = "queue"
	OfflineRefuse Offline = "refuse"
)

// Queue says how long messages wait, and how many are under way at once.
type Queue struct {
	Offline          Offline       `koanf:"offline" one:"queue|refuse" doc:"a message to a known member who is away: queue it until they come, or refuse it"`
	ExpireAfter      time.Duration `koanf:"expire_after" limit:"1s.." doc:"an undelivered message is dropped after this"`
	KeepDelivered    time.Duration `koanf:"keep_delivered" limit:"0s.." doc:"how long the row of a delivered message is kept, for message_status and for recognising a repeated client_message_id"`
	AckTimeout       time.Duration `koanf:"ack_timeout" limit:"100ms..1h" doc:"a pushed message that its recipient did not confirm for so long is delivered again"`
	UnconfirmedBytes int           `koanf:"unconfirmed_bytes" limit:"65536..1073741824" doc:"bytes pushed to one connection and not yet confirmed; further messages wait in the queue"`
	DrainBatch       int           `koanf:"drain_batch" limit:"1..10000" doc:"messages read from the queue at a time when a peer comes back"`
}

// AuditAll in [Audit].Events stands for every event.
const AuditAll = "all"

// Audit says what is written to the log.
type Audit struct {
	Events []string `koanf:"events" doc:"names of the events to record, or only: all. Empty: all but hello_refused, of which whoever knows a member's key can cause many"`
}

// helloRefused is the one event that is not recorded unless it is named.
const helloRefused = "hello_refused"

// Records reports whether an event is to be recorded.
func (a Audit) Records(event string) bool {
	if len(a.Events) == 0 {
		return event != helloRefused
	}
	return slices.Contains(a.Events, event) || slices.Contains(a.Events, AuditAll)
}

// Log is about the broker's own log.
type Log struct {
	Level  Level  `koanf:"level" one:"debug|info|warn|error" doc:"the least important lines to write"`
	Format Format `koanf:"format" one:"json|text" doc:"form of a line. json: one object, for machines. text: for eyes"`
}

// Level is the importance of a log line, in words that slog.Level reads.
type Level string

// Format is the form of a log line.
type Format string

// Forms of a log line.
const (
	JSON Format = "json"
	Text Format = "text"
)

// Default returns the configuration of a broker that was told nothing. Each
// call returns a new one, which the caller may change.
func Default() Config {
	return Config{
		Listen:          "127.0.0.1:7900",
		Mode:            Dev,
		ShutdownTimeout: 10 * time.Second,
		Pipeline:        defaultPipeline(),
		Reload:          Reload{Watch: true, Debounce: 200 * time.Millisecond, DrainTimeout: 10 * time.Second},
		Store: Store{
			Durability: SurvivesPower, Migrate: true,
			Wait: 5 * time.Second, Pool: 10, ConnectTimeout: 5 * time.Second,
			StatementTimeout: 10 * time.Second, LockTimeout: 5 * time.Second, MigrateTimeout: time.Minute,
			Lease: 15 * time.Second,
		},
		Bus: Bus{Type: BusAuto, Prefix: "claudemesh", NATS: NATS{URLs: []string{}}},
		Limits: Limits{
			HelloTimeout:       10 * time.Second,
			HelloFrameBytes:    16 << 10,
			FrameBytes:         2 << 20,
			MessageBytes:       64 << 10,
			ConnectionsPerMesh: 10_000,
			Window:             256,
			OutboxBytes:        4 << 20,
			HTTPBodyBytes:      64 << 10,
		},
		HTTP:  defaultHTTP(),
		Watch: Watch{Enabled: true, Allow: []string{}},
		Presence: Presence{
			PingEvery: 30 * time.Second,
			DeadAfter: 75 * time.Second, // two pings and some
			Grace:     90 * time.Second,
			StatusTTL: time.Minute,
			HookFresh: 30 * time.Second,
		},
		Queue: Queue{
			Offline:          OfflineQueue,
			ExpireAfter:      7 * 24 * time.Hour,
			KeepDelivered:    24 * time.Hour,
			AckTimeout:       30 * time.Second,
			UnconfirmedBytes: 16 << 20,
			DrainBatch:       256,
		},
		Files:   defaultFiles(),
		MeshSQL: defaultMeshSQL(),
		Audit:   Audit{Events: []string{}},
		Log:     Log{Level: "info", Format: JSON},

		Telemetry: defaultTelemetry(),
	}
}
