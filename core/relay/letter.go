package relay

import (
	"encoding/json"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// What a letter is about.
const (
	opAsk    = "ask"    // to the node of the session that is asked
	opCancel = "cancel" // nobody waits any more
	opPart   = "part"   // back: a part of the answer
	opMore   = "more"   // that part has come
	opFail   = "fail"   // there is no answer
)

// letter is what relays tell each other. Nodes of different releases read each
// other's: fields are only ever added.
type letter struct {
	Op     string         `json:"op"`
	Call   string         `json:"call"`
	Mesh   string         `json:"mesh,omitempty"`
	Asker  string         `json:"asker,omitempty"` // presence id
	Asked  string         `json:"asked,omitempty"` // presence id
	Member string         `json:"member,omitempty"`
	Node   string         `json:"node,omitempty"` // that the letter is from, and the answer goes to; "" for this one
	Kind   string         `json:"kind,omitempty"`
	Hint   string         `json:"hint,omitempty"`
	ReqID  jsontext.Value `json:"reqId,omitempty"`
	Within time.Duration  `json:"within,omitempty"`
	Why    Why            `json:"why,omitempty"`
	At     int            `json:"at,omitempty"`    // where a part begins
	Total  int            `json:"total,omitempty"` // bytes of the answer
	Frame  []byte         `json:"frame,omitempty"`
}

func (r *Relay) post(node string, l letter) {
	b, err := json.Marshal(l)
	if err != nil {
		return // plain values: it cannot be
	}
	r.nodes.Post(node, b)
}

// Read takes a letter of another node. It does not wait.
func (r *Relay) Read(b []byte) error {
	var l letter
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	switch l.Op {
	case opAsk:
		r.asked(l)
	case opCancel:
		r.close(l.Asked, l.Call)
		r.unsend(l.Call)
	case opPart:
		r.join(l)
	case opMore:
		r.more(l)
	case opFail:
		r.fail(l.Asker, l.Call, l.Why)
	}
	return nil
}

// asked takes a question of another node.
func (r *Relay) asked(l letter) {
	conn, _ := r.door.Reach(l.Mesh, l.Asked)
	if conn == nil {
		r.refuse(&l, Away)
		return
	}
	r.put(l, conn)
}
