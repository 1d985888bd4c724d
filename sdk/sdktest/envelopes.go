package sdktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// envelopes makes one new envelope for each kind that the stage wants, from
// each sender and, for sends, to each form of target; then those of the caller.
func (s suite) envelopes(stage sdk.Stage) (list []*sdk.Envelope) {
	for _, kind := range kindsFor(stage) {
		for _, from := range senders {
			for _, to := range targetsOf(kind) {
				list = append(list, newEnvelope(kind, from, to))
			}
		}
	}
	for _, another := range s.more {
		list = append(list, another())
	}
	return list
}

func newEnvelope(kind sdk.Kind, from sdk.Sender, to sdk.Target) *sdk.Envelope {
	env := &sdk.Envelope{
		Kind: kind, Mesh: "mesh-1", Sender: from, Target: to, Priority: sdk.PriorityNext,
		Size: 512, Arrived: time.Now(), Directory: directory{},
	}
	if kind == sdk.KindSend {
		env.MessageID = "0123456789abcdefghijABCDEFGHIJ01"
	}
	return env
}

// kindsFor returns kinds that the stage wants. For one that wants all there is
// one of each sort, and one that no broker knows.
func kindsFor(stage sdk.Stage) []sdk.Kind {
	samples := []sdk.Kind{
		sdk.KindHello, sdk.KindSessionHello, sdk.KindSend, sdk.KindClientAck, sdk.KindJoin, sdk.KindPeerLeft,
		"list_peers", "no_such_kind",
	}
	m, ok := stage.(sdk.Matcher)
	if !ok || len(m.Kinds()) == 0 {
		return samples
	}
	var wanted []sdk.Kind
	for _, k := range m.Kinds() {
		if prefix, family := strings.CutSuffix(string(k), "*"); family {
			k = sdk.Kind(prefix + "something")
		}
		wanted = append(wanted, k)
	}
	return slices.Compact(wanted)
}

var senders = []sdk.Sender{
	{Conn: 1, Remote: "192.0.2.1"}, // nobody yet
	{MemberID: "member-1", Member: sdk.Key{1}, Name: "ada", Conn: 2, Remote: "192.0.2.2"},
	{MemberID: "member-1", Member: sdk.Key{1}, Session: sdk.Key{1, 1}, Name: "ada", Conn: 3, Remote: "192.0.2.3"},
}

func targetsOf(kind sdk.Kind) []sdk.Target {
	if kind != sdk.KindSend {
		return []sdk.Target{{}}
	}
	bo := sdk.Key{2}
	return []sdk.Target{
		{Kind: sdk.TargetKey, Key: bo, Spec: bo.String()},
		{Kind: sdk.TargetGroup, Name: "ops", Spec: "@ops"},
		{Kind: sdk.TargetBroadcast, Spec: "*"},
		{Kind: sdk.TargetTopic, Name: "news", Spec: "#news"},
		{},
	}
}

// directory knows three members; a key means the first.
type directory struct{}

func (directory) Resolve(_ context.Context, env *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	dst = append(dst, sdk.Recipient{MemberID: "member-2", Member: sdk.Key{2}, Session: sdk.Key{2, 1}})
	if env.Target.Kind == sdk.TargetKey {
		return dst, nil
	}
	return append(dst,
		sdk.Recipient{MemberID: "member-3", Member: sdk.Key{3}},
		sdk.Recipient{MemberID: "member-4", Member: sdk.Key{4}, Session: sdk.Key{4, 1}}), nil
}

// silent is a directory that does not answer.
type silent struct{}

func (silent) Resolve(ctx context.Context, _ *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	<-ctx.Done()
	return dst, ctx.Err()
}

func describe(env *sdk.Envelope) string {
	from := "nobody"
	if env.Sender.MemberID != "" {
		from = env.Sender.MemberID
	}
	return fmt.Sprintf("%s from %s to %q", env.Kind, from, env.Target.Spec)
}

const poisoned = "poisoned by sdktest"

// poison writes over all that a stage can reach from an envelope, but for the
// bytes of records: those are the recorder's, and the broker only reads them.
func poison(env *sdk.Envelope) {
	env.Narrow(func(r *sdk.Recipient) bool { *r = sdk.Recipient{MemberID: poisoned}; return true })
	attributes, records := env.Attributes, env.Records
	env.Reset()
	for i := range attributes {
		attributes[i] = sdk.Attribute{Key: poisoned, Value: poisoned}
	}
	for i := range records {
		records[i] = sdk.Record{Event: poisoned}
	}
	env.Kind, env.Mesh, env.MessageID = poisoned, poisoned, poisoned
	env.Sender = sdk.Sender{MemberID: poisoned, Name: poisoned}
	env.Target = sdk.Target{Spec: poisoned}
	env.Attributes, env.Records = attributes, records
}

// isPoisoned reports whether an envelope is as poison left it.
func isPoisoned(env *sdk.Envelope) bool {
	for _, a := range env.Attributes {
		if a.Key != poisoned || a.Value != poisoned {
			return false
		}
	}
	for _, r := range env.Records {
		if r.Event != poisoned {
			return false
		}
	}
	return env.Kind == poisoned && env.Mesh == poisoned && env.MessageID == poisoned &&
		env.Sender == sdk.Sender{MemberID: poisoned, Name: poisoned} &&
		env.Target == sdk.Target{Spec: poisoned} && env.Body == nil && env.Size == 0 && env.Narrowed() == 0
}
