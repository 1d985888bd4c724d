package webhookaudit

import (
	"encoding/json"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Event is how one envelope ended. There is nothing in it of what the envelope
// says, neither open nor sealed.
type Event struct {
	Time       time.Time `json:"time"` // arrival, the broker's clock
	Kind       sdk.Kind  `json:"kind"`
	Mesh       string    `json:"mesh,omitempty"`
	MessageID  string    `json:"message_id,omitempty"`
	Priority   string    `json:"priority,omitempty"` // of kinds with a target
	Size       int       `json:"size_bytes"`
	Sender     Sender    `json:"sender"`
	Target     *Target   `json:"target,omitempty"`
	Verdict    string    `json:"verdict"` // answer, deny, drop
	Reason     string    `json:"reason,omitempty"`
	Stage      string    `json:"stage,omitempty"` // the link that decided
	TookUS     int64     `json:"took_us"`         // from arrival to the decision
	SettledUS  int64     `json:"settled_us"`      // until the promise was on disk
	Recipients int       `json:"recipients"`
	Pushed     int       `json:"pushed"`
	Queued     int       `json:"queued"`
	Trace      string    `json:"trace,omitempty"`
}

// Sender is who an envelope came from. Without identity.read the keys are
// pseudonyms, which mean nothing outside one run of the link, and the rest is
// empty.
type Sender struct {
	Conn     uint64 `json:"conn,omitempty"`
	Member   string `json:"member,omitempty"`
	Session  string `json:"session,omitempty"`
	MemberID string `json:"member_id,omitempty"`
	Name     string `json:"name,omitempty"`
	Remote   string `json:"remote,omitempty"`
}

// Target is whom an envelope was for.
type Target struct {
	Kind string `json:"kind"`
	Key  string `json:"key,omitempty"`
	Name string `json:"name,omitempty"` // of a group or topic
}

// appendEvent appends an event as JSON. It keeps nothing of the envelope.
func appendEvent(b []byte, env *sdk.Envelope, out *sdk.Outcome) ([]byte, error) {
	e := Event{
		Time: env.Arrived.UTC(), Kind: env.Kind, Mesh: env.Mesh, MessageID: env.MessageID, Size: env.Size,
		Sender: Sender{
			Conn: env.Sender.Conn, Member: keyText(env.Sender.Member), Session: keyText(env.Sender.Session),
			MemberID: env.Sender.MemberID, Name: env.Sender.Name, Remote: env.Sender.Remote,
		},
		Verdict: out.Decision.Verdict.String(), Reason: string(out.Decision.Reason), Stage: out.Stage,
		TookUS: out.Took.Microseconds(), SettledUS: out.Settled.Microseconds(),
		Recipients: out.Recipients, Pushed: out.Pushed, Queued: out.Queued, Trace: env.Trace,
	}
	if env.Target.Kind != sdk.TargetNone {
		e.Priority = env.Priority.String()
		e.Target = &Target{Kind: env.Target.Kind.String(), Key: keyText(env.Target.Key), Name: env.Target.Name}
	}
	text, err := json.Marshal(&e)
	return append(b, text...), err
}

func keyText(k sdk.Key) string {
	if k.IsZero() {
		return ""
	}
	return k.String()
}
