package grants_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/grants"
)

// book is a Book in a map; it fails for the member "broken".
type book map[string]store.Grants

var errAway = errors.New("the store is away")

func (b book) Grants(_ context.Context, mesh, memberID string) (store.Grants, error) {
	if memberID == "broken" || mesh != "mesh-1" {
		return nil, errAway
	}
	return b[memberID], nil
}

// members is a directory that finds the members given, one session of each but
// the last, which has two.
type members []string

func (m members) Resolve(_ context.Context, _ *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	for i, id := range m {
		dst = append(dst, sdk.Recipient{MemberID: id, Session: sdk.Key{9, byte(i)}})
	}
	if n := len(m); n > 1 {
		dst = append(dst, sdk.Recipient{MemberID: m[n-1], Session: sdk.Key{10}})
	}
	return dst, nil
}

var ada, adaSession = sdk.Key{1}, sdk.Key{1, 1}

func send(to sdk.TargetKind, audience ...string) *sdk.Envelope {
	return &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh-1", Target: sdk.Target{Kind: to},
		Sender: sdk.Sender{MemberID: "ada", Member: ada, Session: adaSession}, Directory: members(audience),
	}
}

func TestHandle(t *testing.T) {
	b := book{
		"blocks":   {ada: {}},
		"no-dm":    {ada: {store.CapBroadcast}},
		"session":  {adaSession: {store.CapDM}},
		"stranger": {sdk.Key{7}: {}},
	}
	denied := sdk.Refuse(sdk.ReasonBlocked,
		"blocked by recipient grants: the recipient does not allow dm from you; it would have to grant it to your key")
	dropped := sdk.Decision{Verdict: sdk.Drop, Reason: sdk.ReasonBlocked}
	tests := []struct {
		name     string
		env      *sdk.Envelope
		onBlock  grants.OnBlock
		want     sdk.Decision
		left     string
		dm, many uint64
	}{
		{"it lets a direct message to a member without grants pass", send(sdk.TargetKey, "bo"), "deny", sdk.Next(), "bo", 0, 0},
		{"it denies a direct message to a member that blocks the sender", send(sdk.TargetKey, "blocks"), "deny", denied, "", 1, 0},
		{"it drops it instead when told to", send(sdk.TargetKey, "blocks"), "drop", dropped, "", 1, 0},
		{"it denies a direct message to a member that grants other things", send(sdk.TargetKey, "no-dm"), "deny", denied, "", 1, 0},
		{"it goes by the session key where there is no member key", send(sdk.TargetKey, "session"), "deny", sdk.Next(), "session", 0, 0},
		{"it keeps grants about others apart", send(sdk.TargetKey, "stranger"), "deny", sdk.Next(), "stranger", 0, 0},
		{"it denies nothing to nobody: that is the route's to say", send(sdk.TargetKey), "deny", sdk.Next(), "", 0, 0},
		{"it delivers to those who allow it, of several behind one key", send(sdk.TargetKey, "blocks", "bo"), "deny", sdk.Next(), "bo bo", 1, 0},
		{
			"it leaves members out of a broadcast without a word", send(sdk.TargetBroadcast, "bo", "blocks", "no-dm", "session"),
			"deny", sdk.Next(), "bo no-dm", 0, 3,
		},
		{"it leaves a blocked sender's group message with nobody", send(sdk.TargetGroup, "blocks"), "deny", sdk.Next(), "", 0, 1},
		{"it takes a topic for a multicast", send(sdk.TargetTopic, "session"), "deny", sdk.Next(), "", 0, 1},
		{"it passes what has no target", send(sdk.TargetNone), "deny", sdk.Next(), "", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var drops grants.Drops
			got, err := grants.New(b, grants.Options{OnBlock: tt.onBlock}, &drops).Handle(t.Context(), tt.env)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
			audience, err := tt.env.Audience(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, r := range audience {
				left = append(left, r.MemberID)
			}
			if got := strings.Join(left, " "); got != tt.left {
				t.Errorf("left are %q, want %q", got, tt.left)
			}
			if drops.DM() != tt.dm || drops.Broadcast() != tt.many {
				t.Errorf("counted %d dm and %d broadcast, want %d and %d", drops.DM(), drops.Broadcast(), tt.dm, tt.many)
			}
		})
	}
}

// lost is a directory that fails.
type lost struct{}

func (lost) Resolve(context.Context, *sdk.Envelope, []sdk.Recipient) ([]sdk.Recipient, error) {
	return nil, errAway
}

func TestFailures(t *testing.T) {
	s := grants.New(book{}, grants.DefaultOptions(), nil)
	env := send(sdk.TargetKey, "bo")
	env.Directory = lost{}
	if d, err := s.Handle(t.Context(), env); !errors.Is(err, errAway) || d.Verdict != sdk.Undecided {
		t.Errorf("without a directory: got %+v, %v, want its error", d, err)
	}
	env = send(sdk.TargetBroadcast, "bo", "broken", "cy")
	if d, err := s.Handle(t.Context(), env); !errors.Is(err, errAway) || d.Verdict != sdk.Undecided {
		t.Errorf("with a book that fails: got %+v, %v, want its error", d, err)
	}
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Grants           map[string][]store.Capability
		SenderMemberKey  string  `json:"sender_member_key"`
		SenderSessionKey *string `json:"sender_session_key"`
		Capability       store.Capability
		Expect           bool
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	keys := map[string]sdk.Key{"M": {1}, "S": {2}} // the vectors name keys
	for _, v := range vectors {
		g := store.Grants{}
		for name, list := range v.Grants {
			g[keys[name]] = list
		}
		var session sdk.Key
		if v.SenderSessionKey != nil {
			session = keys[*v.SenderSessionKey]
		}
		if got := grants.Allows(g, keys[v.SenderMemberKey], session, v.Capability); got != v.Expect {
			t.Errorf("%+v: got %v", v, got)
		}
	}
	if len(vectors) < 10 {
		t.Errorf("only %d vectors", len(vectors))
	}
}

func TestDefaults(t *testing.T) {
	var allowed []store.Capability
	for _, c := range []store.Capability{
		store.CapRead, store.CapDM, store.CapBroadcast, store.CapStateRead, store.CapStateWrite, store.CapFileRead, "fly",
	} {
		if grants.Allows(nil, ada, sdk.Key{}, c) {
			allowed = append(allowed, c)
		}
	}
	want := []store.Capability{store.CapRead, store.CapDM, store.CapBroadcast, store.CapStateRead}
	if diff := cmp.Diff(want, allowed); diff != "" {
		t.Errorf("allowed by default (-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	if err := (grants.Options{OnBlock: "shout"}).Validate(); err == nil {
		t.Error("an unknown on_block is taken")
	}
	if err := grants.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage { return grants.New(book{"member-3": {{1}: {}}}, grants.DefaultOptions(), nil) })
}

// fixed is a directory with its answer ready, as the broker's has for a key.
type fixed []sdk.Recipient

func (f fixed) Resolve(_ context.Context, _ *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	return append(dst, f...), nil
}

func TestHandleDoesNotAllocate(t *testing.T) {
	s := grants.New(book{"bo": {ada: {store.CapDM}}, "cy": {ada: {}}}, grants.DefaultOptions(), nil)
	for _, to := range []string{"bo", "cy", "di"} {
		var directory sdk.Resolver = fixed{{MemberID: to}}
		env := send(sdk.TargetKey)
		fresh := *env
		n := testing.AllocsPerRun(100, func() {
			*env = fresh
			env.Directory = directory
			if _, err := s.Handle(t.Context(), env); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("to %s: %v allocations a message, want 0", to, n)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	granted := book{}
	var all fixed
	for i := range 1000 {
		id := fmt.Sprint("member-", i)
		granted[id] = store.Grants{ada: {store.CapDM, store.CapBroadcast}}
		all = append(all, sdk.Recipient{MemberID: id})
	}
	s := grants.New(granted, grants.DefaultOptions(), nil)
	for _, bm := range []struct {
		name     string
		audience fixed
	}{{"direct", all[:1]}, {"audience of 1000", all}} {
		b.Run(bm.name, func(b *testing.B) {
			var directory sdk.Resolver = bm.audience
			env := send(sdk.TargetKey)
			fresh, ctx := *env, b.Context()
			b.ReportAllocs()
			for b.Loop() {
				*env = fresh
				env.Directory = directory
				if d, err := s.Handle(ctx, env); err != nil || d.Verdict != sdk.Continue {
					b.Fatal(d, err)
				}
			}
		})
	}
}
