package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// view shows a message of the protocol as an envelope. One worker owns it, and
// the next envelope overwrites the last.
type view struct {
	env      sdk.Envelope
	body     body
	audience []sdk.Recipient
	noted    int // attributes that were there before the stage
}

// body is what a plugin may see of the sealed parts.
type body struct{ payload, hash, credential []byte }

func (b *body) Payload() []byte    { return b.payload }
func (b *body) Credential() []byte { return b.credential }

func (b *body) PayloadHash() (sum [32]byte, known bool) {
	known = len(b.hash) == len(sum)
	if known {
		copy(sum[:], b.hash)
	}
	return sum, known
}

// errNoAudience says why there is no audience. Without the error a stage would
// take the envelope for one that reaches nobody.
var errNoAudience = errors.New("the audience needs the capability audience.read, " +
	"which the stage has to name in plugin.Needs or plugin.Wants and the operator has to grant")

// noAudience is the directory of an instance without audience.read.
type noAudience struct{}

func (noAudience) Resolve(context.Context, *sdk.Envelope, []sdk.Recipient) ([]sdk.Recipient, error) {
	return nil, errNoAudience
}

// show fills in the envelope. Texts and bytes belong to pb, whose buffer is
// never used again.
func (v *view) show(pb *pluginpb.Envelope, granted rights) *sdk.Envelope {
	v.env.Reset()
	env := &v.env
	env.Kind, env.Mesh = sdk.Kind(pb.Kind), pb.Mesh
	env.Sender = sdk.Sender{
		MemberID: pb.MemberId, Member: keyOf(pb.Member), Session: keyOf(pb.Session),
		Name: pb.Name, Conn: pb.Conn, Remote: pb.Remote,
	}
	env.Target = sdk.Target{Kind: sdk.TargetKind(pb.Target), Key: keyOf(pb.TargetKey), Name: pb.TargetName}
	env.Target.Spec = specOf(&env.Target)
	env.Priority, env.Size = sdk.Priority(pb.Priority), int(pb.Size)
	env.Arrived, env.MessageID, env.Trace = time.Unix(0, pb.Arrived), pb.MessageId, pb.Trace
	for _, a := range pb.Attributes {
		env.Note(a.Key, a.Value)
	}
	v.noted = len(env.Attributes)
	v.body = body{payload: pb.Payload, hash: pb.PayloadHash, credential: pb.Credential}
	env.Body = &v.body
	if granted.audience {
		v.audience = v.audience[:0]
		for _, r := range pb.Audience {
			v.audience = append(v.audience, sdk.Recipient{Member: keyOf(r.Member), Session: keyOf(r.Session)})
		}
		env.SetAudience(v.audience)
	} else {
		env.Directory = noAudience{}
	}
	return env
}

// keyOf reads a key or a pseudonym; anything else is nobody.
func keyOf(b []byte) (k sdk.Key) {
	if len(b) == len(k) {
		copy(k[:], b)
	}
	return k
}

// specOf is the target as it is written, without what was not granted. A key
// is left out: writing it takes memory, and Target.Key says the same.
func specOf(t *sdk.Target) string {
	switch {
	case t.Kind == sdk.TargetBroadcast:
		return "*"
	case t.Kind == sdk.TargetGroup && t.Name != "":
		return "@" + t.Name
	case t.Kind == sdk.TargetTopic && t.Name != "":
		return "#" + t.Name
	}
	return ""
}
