package console

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/refusals"
)

// Source says how the broker is. Both methods may be called concurrently.
type Source interface {
	// Snapshot is asked about once a second while somebody watches, and not at
	// all else. It must be cheap: what takes a query or reads a file, such as
	// queues, audit heads and the diff of the config, is remembered for some
	// seconds by the source. What it returns is for all who watch: it may wait for
	// some seconds, whatever happens to ctx. The console keeps the snapshot and never
	// changes it. An error is shown on the page.
	Snapshot(ctx context.Context) (*Snapshot, error)

	// Verify reads a mesh's whole audit log, which may take minutes. The answer
	// may be a broken chain; an error means that nobody knows. It ends early when ctx
	// ends.
	Verify(ctx context.Context, meshID string) (admin.Verification, error)
}

// Snapshot is the broker at one moment. Counts only rise: the console makes
// rates of them.
type Snapshot struct {
	At       time.Time          `json:"at"`
	StoreAt  time.Time          `json:"storeAt,omitzero"` // when the store was asked for Meshes, Nodes and the queue; zero: it has not answered yet, and none of them is known
	Broker   Broker             `json:"broker"`
	Chain    chain.Description  `json:"chain"`         // with stats
	Reasons  []refusals.Count   `json:"reasons"`       // refusals by stage and reason
	Meshes   []Mesh             `json:"meshes"`        // in any order; all of them, or those with the most peers
	Left     int                `json:"left,omitzero"` // meshes that the source left out
	Refusals []refusals.Refusal `json:"refusals"`      // newest first
	Plugins  []Plugin           `json:"plugins"`
	Config   Config             `json:"config"`
	Nodes    []Node             `json:"nodes"` // replicas that share the store, this one too; none without a cluster
}

// Broker is this process.
type Broker struct {
	Version   string        `json:"version"`
	Host      string        `json:"host,omitempty"`
	Node      string        `json:"node,omitempty"` // its id in a cluster; empty without one
	Store     string        `json:"store"`          // sqlite or postgres
	Bus       string        `json:"bus,omitempty"`  // local, postgres or nats
	Started   time.Time     `json:"started"`
	Peers     int           `json:"peers"`     // connections to this process
	Sessions  int           `json:"sessions"`  // those in their grace time included
	Frames    uint64        `json:"frames"`    // read so far
	Routed    uint64        `json:"routed"`    // messages accepted so far
	Confirmed uint64        `json:"confirmed"` // deliveries that their recipient confirmed
	Refused   uint64        `json:"refused"`   // envelopes refused so far, hellos too
	Queue     int           `json:"queue"`     // deliveries that wait, of all meshes
	Oldest    time.Time     `json:"oldest,omitzero"`
	Sends     chain.Timing  `json:"sends"`              // from a send's frame to its ack
	Warnings  []string      `json:"warnings,omitempty"` // what is wrong with the whole, such as a store that does not answer
	Memory    uint64        `json:"memory"`             // bytes that the process has from the system
	CPU       time.Duration `json:"cpu_ns"`             // used since the start
}

// Mesh is one mesh.
type Mesh struct {
	ID     string    `json:"id"`
	Slug   string    `json:"slug"`
	Peers  int       `json:"peers"`           // connected to this process
	There  int       `json:"there,omitzero"`  // connected to other replicas, as far as this one knows
	Queue  int       `json:"queue"`           // deliveries that wait
	Oldest time.Time `json:"oldest,omitzero"` // when the oldest of them was accepted; zero: none waits
	Audit  AuditHead `json:"audit"`
}

// AuditHead is the end of a mesh's audit log.
type AuditHead struct {
	Known   bool      `json:"known"` // the source has asked for it
	Entries int64     `json:"entries"`
	Hash    string    `json:"hash,omitempty"` // of the newest entry; empty without any
	At      time.Time `json:"at,omitzero"`    // of the newest entry, where it is known
}

// Plugin is one link's program.
type Plugin struct {
	Link     string            `json:"link"`
	Program  string            `json:"program"` // the path
	SHA256   string            `json:"sha256"`
	Pinned   bool              `json:"pinned"`
	Name     string            `json:"name,omitempty"` // what the program calls itself; empty while it is down
	Version  string            `json:"version,omitempty"`
	Language string            `json:"language,omitempty"`
	PID      int               `json:"pid,omitzero"`
	Phase    string            `json:"phase"` // starting, up, waiting, quarantined or stopped
	Since    time.Time         `json:"since,omitzero"`
	Next     time.Time         `json:"next,omitzero"`      // when it is started again
	Down     string            `json:"down,omitempty"`     // why envelopes do not reach it
	Breaker  string            `json:"breaker,omitempty"`  // closed, half-open or open
	Memory   uint64            `json:"memory"`             // bytes
	CPU      time.Duration     `json:"cpu_ns"`             // used since its start
	InHand   int               `json:"inHand"`             // envelopes that it has
	Waiting  int               `json:"waiting"`            // envelopes that wait to be sent to it
	Restarts map[string]uint64 `json:"restarts,omitempty"` // ends that nobody asked for, by reason
	Ends     []End             `json:"ends,omitempty"`     // the latest of them, newest first
}

// End is how a plugin's process ended.
type End struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Text   string    `json:"text,omitempty"`
	Stderr string    `json:"stderr,omitempty"` // the last it printed before
}

// Config is what the chain was made of.
type Config struct {
	File   string       `json:"file,omitempty"` // empty: there is none
	Loaded admin.Loaded `json:"loaded"`
	// Reload is what a reload would do now, as a dry run answers; nil when that is
	// not known. No changes and no restart keys: the file is what runs.
	Reload *admin.Reload `json:"reload,omitempty"`
	// ReloadError is why a reload would be refused.
	ReloadError string    `json:"reloadError,omitempty"`
	CheckedAt   time.Time `json:"checkedAt,omitzero"`  // when the dry run was made
	CheckAgain  time.Time `json:"checkAgain,omitzero"` // when one that was refused is made again, unless the file changes before
}

// Node is one replica.
type Node struct {
	ID      string    `json:"id"`
	Host    string    `json:"host,omitempty"`
	Version string    `json:"version,omitempty"`
	Slot    int       `json:"slot"`
	Self    bool      `json:"self,omitempty"` // the one that shows the page
	Lease   time.Time `json:"lease,omitzero"` // until when it counts as alive
	Held    bool      `json:"held"`           // its lease holds, so it may push
	BusUp   bool      `json:"busUp"`          // known of this one only
}
