package sdktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// envelopes makes those of choice, once.
func (s suite) envelopes(stage sdk.Stage) []*sdk.Envelope { return s.choice(stage)() }

// choice asks the stage what it wants, as the chain does when it has started, and
// returns what makes new envelopes: those that are chosen for it, then those of
// the caller. Safe for concurrent use.
func (s suite) choice(stage sdk.Stage) func() []*sdk.Envelope {
	made := chosen(stage)
	return func() []*sdk.Envelope {
		list := made()
		for _, another := range s.more {
			list = append(list, another())
		}
		return list
	}
}

// chosen returns what makes one envelope for each kind that the stage wants, from
// each sender and, for sends, to each form of target.
func chosen(stage sdk.Stage) func() []*sdk.Envelope {
	kinds, match := wanted(stage)
	samples := samplesOf(slices.Concat(kinds.Kinds, match.Kinds))
	return func() (list []*sdk.Envelope) {
		for _, kind := range samples {
			for _, from := range senders {
				for i, to := range targetsOf(kind) {
					env := newEnvelope(kind, from, to)
					fit(env, &match, i)
					if kinds.Accepts(env) && match.Accepts(env) {
						list = append(list, env)
					}
				}
			}
		}
		return list
	}
}

// fit gives an envelope a priority and a size that a match accepts.
func fit(env *sdk.Envelope, match *sdk.Match, i int) {
	if n := len(match.Priorities); n > 0 {
		env.Priority = match.Priorities[i%n]
	}
	env.Size = max(env.Size, match.MinSize)
	if match.MaxSize > 0 {
		env.Size = min(env.Size, match.MaxSize)
	}
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

// samplesOf returns kinds that match what a stage names. For one that names
// none there is one of each sort, and one that no broker knows.
func samplesOf(named []sdk.Kind) (samples []sdk.Kind) {
	if len(named) == 0 {
		return []sdk.Kind{
			sdk.KindHello, sdk.KindSessionHello, sdk.KindSend, sdk.KindClientAck, sdk.KindJoin, sdk.KindPeerLeft,
			"list_peers", "no_such_kind",
		}
	}
	for _, k := range named {
		if prefix, family := strings.CutSuffix(string(k), "*"); family {
			k = sdk.Kind(prefix + "something")
		}
		if !slices.Contains(samples, k) {
			samples = append(samples, k)
		}
	}
	return samples
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
