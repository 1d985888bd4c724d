package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestSessionKeys(t *testing.T) {
	r := newRig(t)
	ada, eve := launch(r.member("mesh", "ada"), "s1"), launch(r.member("mesh", "eve"), "s2")
	small := strings.Repeat("00", 32)
	named := func(id dial.Identity, key string) *wire.Hello {
		h := r.hello(id)
		h.SessionPubkey, h.SessionProof = key, ""
		return h
	}
	key := func(name string) string { return identity.PublicKey(secret(name)).String() }
	tests := []struct {
		name   string
		hello  wire.Frame
		reason sdk.Reason
	}{
		{"takes a key of nobody", r.hello(ada), ""},
		{"takes it again from the same member", r.vouched(ada), ""},
		{"refuses it to another member, by hello", named(eve, key("s1")), sdk.ReasonSessionKeyTaken},
		{"refuses it to another member that has its secret", r.vouched(launch(eve, "s1")), sdk.ReasonSessionKeyTaken},
		{"refuses the member's own key", named(ada, key("ada")), sdk.ReasonBadSessionKey},
		{"refuses the member's own key, by session_hello", r.vouched(launch(ada, "ada")), sdk.ReasonBadSessionKey},
		{"refuses another member's key", named(ada, key("eve")), sdk.ReasonSessionKeyTaken},
		{"refuses a key in capitals", named(ada, strings.ToUpper(key("s3"))), sdk.ReasonBadSessionKey},
		{"refuses a key that is too short", named(ada, key("s3")[:62]), sdk.ReasonBadSessionKey},
		{"refuses a key of small order", named(ada, small), sdk.ReasonBadSessionKey},
		{"refuses a proof by another key", func() wire.Frame {
			h := r.hello(ada)
			h.SessionProof = r.hello(eve).SessionProof
			return h
		}(), sdk.ReasonBadSessionProof},
		{"takes an empty key for none", named(ada, ""), ""},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			r.replays = newReplays()
			d, _ := r.handle("192.0.2.1", tt.hello)
			want(t, d, tt.reason)
		})
	}
}

// A signed hello does not cover the session key that it names: one that was
// overheard must claim no key, in nobody's name.
func TestRefusedHelloClaimsNoKey(t *testing.T) {
	r := newRig(t)
	ada := launch(r.member("mesh", "ada"), "s1")
	hello := r.hello(ada)
	d, _ := r.handle("192.0.2.1", hello)
	want(t, d, "")
	stolen := *hello
	stolen.SessionPubkey, stolen.SessionProof = identity.PublicKey(secret("victim")).String(), ""
	d, _ = r.handle("192.0.2.1", &stolen)
	want(t, d, sdk.ReasonReplayed)
	if owner, claimed := r.book.claims[identity.PublicKey(secret("victim"))]; claimed {
		t.Errorf("the key was claimed for %s by a hello that was refused", owner)
	}
}

// Many members that bring one new key at once: one gets it.
func TestOneMemberGetsTheKey(t *testing.T) {
	r := newRig(t)
	var ids []dial.Identity
	for i := range 16 {
		ids = append(ids, launch(r.member("mesh", fmt.Sprint("member ", i)), "shared"))
	}
	var mu sync.Mutex
	taken := 0
	var wg sync.WaitGroup
	for _, id := range ids {
		hello := r.vouched(id)
		wg.Go(func() {
			d, _, err := r.try("192.0.2.1", hello)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && d.Verdict == sdk.Continue {
				taken++
			}
		})
	}
	wg.Wait()
	if taken != 1 {
		t.Errorf("%d members have the key, want 1", taken)
	}
}

func TestReplays(t *testing.T) {
	start := time.Now()
	home := origin{session: sdk.Key{1}, launch: "l", host: "h", remote: "192.0.2.1"}
	with := func(change func(*origin)) origin { o := home; change(&o); return o }
	tests := []struct {
		name  string
		after time.Duration
		sig   string
		from  origin
		first bool
	}{
		{"is new", 0, "aa", home, true},
		{"comes back from its origin", time.Second, "aa", home, true},
		{"comes in another case", time.Second, "AA", with(func(o *origin) { o.host = "x" }), false},
		{"comes from another session", time.Second, "aa", with(func(o *origin) { o.session = sdk.Key{2} }), false},
		{"comes from another launch", time.Second, "aa", with(func(o *origin) { o.launch = "x" }), false},
		{"comes from another host", time.Second, "aa", with(func(o *origin) { o.host = "x" }), false},
		{"comes from another address", time.Second, "aa", with(func(o *origin) { o.remote = "192.0.2.2" }), false},
		{"is another one", time.Second, "bb", with(func(o *origin) { o.remote = "192.0.2.2" }), true},
		{"comes from elsewhere as late as it can be accepted", replayWindow, "aa", with(func(o *origin) { o.remote = "192.0.2.2" }), false},
	}
	for _, tt := range tests {
		r := newReplays()
		r.use("aa", home, start, true)
		if tt.name == "is new" {
			r = newReplays()
		}
		if first, again := r.use(tt.sig, tt.from, start.Add(tt.after), true); (first || again) != tt.first {
			t.Errorf("a signature that %s: got %v, want %v", tt.name, !tt.first, tt.first)
		}
	}
}

// What can no longer be accepted is forgotten, however many there were.
func TestReplaysForget(t *testing.T) {
	r := newReplays()
	now := time.Now()
	for i := range 1000 {
		r.use(fmt.Sprint("signature ", i), origin{}, now.Add(time.Duration(i)*time.Second), true)
	}
	if n := len(r.young) + len(r.old); n > 3*int(replayWindow/time.Second) {
		t.Errorf("%d signatures are remembered after 1000 s", n)
	}
}

func TestReloadCarriesTheStageOver(t *testing.T) {
	if a, b := newRig(t).Key(), newRig(t).Key(); a != b || a == "" {
		t.Errorf("keys of two stages: got %q and %q, want the same", a, b)
	}
}

// A signature that was used on another node is refused here, also the second
// time, and when the store could not tell it is asked again.
func TestSignaturesAreUsedOnceAcrossNodes(t *testing.T) {
	var down error
	seen := map[[32]byte]bool{}
	once := func(_ context.Context, token [32]byte, _ time.Time) (bool, error) {
		if down != nil {
			return false, down
		}
		fresh := !seen[token]
		seen[token] = true
		return fresh, nil
	}
	here, there := New(nil, nil, nil, once), New(nil, nil, nil, once)
	victim, thief := origin{launch: "a"}, origin{launch: "b"}
	now := time.Now()
	steps := []struct {
		name string
		node *Stage
		from origin
		down error
		want sdk.Reason
	}{
		{"it waits for the store", here, victim, store.ErrUnavailable, sdk.ReasonUnavailable},
		{"it is used first", here, victim, nil, ""},
		{"its origin comes back to the same node", here, victim, nil, ""},
		{"somebody else uses it on another node", there, thief, nil, sdk.ReasonReplayed},
		{"and again", there, thief, nil, sdk.ReasonReplayed},
		{"and on the same node", here, thief, nil, sdk.ReasonReplayed},
	}
	for _, step := range steps {
		down = step.down
		d, err := decide(step.node.firstUse(t.Context(), "ab", step.from, now))
		if err != nil || d.Reason != step.want {
			t.Errorf("%s: got %q, %v, want %q", step.name, d.Reason, err, step.want)
		}
	}
}

// A hello that was used on another node is not let in by sending it twice at
// once.
func TestReplaysSentTwiceAtOnceAreRefused(t *testing.T) {
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	s := New(nil, nil, nil, func(context.Context, [32]byte, time.Time) (bool, error) {
		asked <- struct{}{}
		<-answer
		return false, nil
	})
	thief, now := origin{launch: "b"}, time.Now()
	first := make(chan error, 1)
	go func() { first <- s.firstUse(t.Context(), "aa", thief, now) }()
	<-asked
	if d, err := decide(s.firstUse(t.Context(), "aa", thief, now)); err != nil || d.Reason != sdk.ReasonReplayed {
		t.Errorf("the second copy: got %q, %v, want it replayed", d.Reason, err)
	}
	close(answer)
	if d, err := decide(<-first); err != nil || d.Reason != sdk.ReasonReplayed {
		t.Errorf("the first copy: got %q, %v, want it replayed", d.Reason, err)
	}
}
