package cluster

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Subjects of the bus.
const (
	subjectPresence = "presence"
	subjectEvent    = "event"
	subjectSignal   = "signal"
	subjectWake     = "wake" // followed by the mesh and the key
)

// row is a presence on the bus. Nodes of different releases read each other's:
// fields are only ever added.
type row struct {
	ID             string          `json:"id"`
	Mesh           string          `json:"mesh"`
	Member         string          `json:"member"`
	Key            sdk.Key         `json:"key"`
	SessionID      string          `json:"session"`
	Name           string          `json:"name"`
	Role           string          `json:"role"`
	Pid            int64           `json:"pid"`
	Cwd            string          `json:"cwd"`
	ConnectedAt    time.Time       `json:"connectedAt"`
	DisconnectedAt time.Time       `json:"disconnectedAt,omitzero"`
	Node           string          `json:"node"`
	Version        int64           `json:"version"`
	Details        json.RawMessage `json:"details"`
	Sent           int64           `json:"sent,omitempty"` // see stamp
}

// event is an event of a mesh on the bus.
type event struct {
	Mesh          string          `json:"mesh"`
	ExceptSession string          `json:"exceptSession,omitempty"`
	ExceptMember  sdk.Key         `json:"exceptMember"`
	Frame         json.RawMessage `json:"frame"`
	Sent          int64           `json:"sent,omitempty"` // see stamp
}

// Journal is what a directory writes to.
type Journal interface {
	SavePresence(*store.Presence)
	SaveState(*store.State)
}

// Journal returns a journal that tells other nodes of what is written to inner.
func (n *Node) Journal(inner Journal) Journal { return journal{inner, n} }

type journal struct {
	Journal
	node *Node
}

// SavePresence says nothing while the lease is over: the session may live
// elsewhere by now, and a newer version of this node would hide that from it.
// regain tells what is left.
func (j journal) SavePresence(p *store.Presence) {
	if !j.node.Held() {
		return
	}
	j.Journal.SavePresence(p)
	j.node.publish(subjectPresence, row{
		ID: p.ID, Mesh: p.MeshID, Member: p.MemberID, Key: p.SessionKey, SessionID: p.SessionID, Name: p.DisplayName,
		Role: p.Role, Pid: p.Pid, Cwd: p.Cwd, ConnectedAt: p.ConnectedAt, DisconnectedAt: p.DisconnectedAt,
		Node: p.Node, Version: p.Version, Details: p.Details, Sent: stamp(),
	})
}

// Forward implements [presence.Others].
func (n *Node) Forward(mesh string, frame []byte, except presence.Except) {
	n.publish(subjectEvent, event{mesh, except.Session, except.Member, frame, stamp()})
}

func (n *Node) publish(subject string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		n.log.Error("not told to other nodes", slog.String("subject", subject), slog.Any("err", err))
		return
	}
	n.bus.Publish(subject, b)
}

// subscribe listens to what concerns every node.
func (n *Node) subscribe() (cancel func()) {
	cancels := []func(){
		n.bus.Subscribe(subjectPresence, n.heardPresence),
		n.bus.Subscribe(subjectEvent, n.heardEvent),
		n.bus.Subscribe(subjectSignal, func([]byte) { prod(n.prod.follow) }),
		n.bus.Subscribe(subjectPost+"."+n.self.ID, n.heardPost),
		n.bus.Subscribe(subjectCast, n.heardPost),
	}
	return func() {
		for _, c := range cancels {
			c()
		}
	}
}

func (n *Node) heardPresence(b []byte) {
	var r row
	if err := json.Unmarshal(b, &r); err != nil {
		n.log.Warn("another node's presence cannot be read", slog.Any("err", err))
		return
	}
	n.late(r.Sent)
	n.take(&store.Presence{
		ID: r.ID, MeshID: r.Mesh, MemberID: r.Member, SessionKey: r.Key, SessionID: r.SessionID, DisplayName: r.Name,
		Role: r.Role, Pid: r.Pid, Cwd: r.Cwd, ConnectedAt: r.ConnectedAt, DisconnectedAt: r.DisconnectedAt,
		Node: r.Node, Version: r.Version, Details: r.Details,
	})
}

func (n *Node) heardEvent(b []byte) {
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		n.log.Warn("another node's event cannot be read", slog.Any("err", err))
		return
	}
	n.late(e.Sent)
	n.parts.Directory.Hear(e.Mesh, e.Frame, presence.Except{Session: e.ExceptSession, Member: e.ExceptMember})
}

// take mirrors one row.
func (n *Node) take(p *store.Presence) {
	n.Counters.Mirrored.Add(1)
	if err := n.parts.Directory.Mirror(p); err != nil {
		n.log.Warn("a presence cannot be read", slog.Any("err", err))
	}
}
