package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
)

func TestStageServe(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.fails(exitFailed, "cannot be a plugin, since it", "stage", "serve", "grants")
	x.fails(exitUsage, "did you mean rate-limit?", "stage", "serve", "rate-limits")
	for _, e := range stages.All(stages.Deps{}) {
		_, canBe := served()[e.Name]
		if _, err := servedStage(e.Name); canBe != (err == nil) || !canBe && kept()[e.Name] == "" {
			t.Errorf("%s: served %v, error %v; each built-in stage is served, or kept for a reason", e.Name, canBe, err)
		}
	}
}

// The chain cannot tell whether rate-limit is built in or served.
func TestServedRateLimitDecidesAlike(t *testing.T) {
	t.Parallel()
	options := []byte(`{"send": "6/min", "burst": 2, "requests": "60/min", "requests_burst": 3}`)
	builtIn := builtInLimit(t, options)
	servedOne := servedLimitOf(t, options)
	at := time.Now()
	denied := 0
	for i := range 400 {
		at = at.Add(time.Duration(i%7) * 100 * time.Millisecond)
		env := func() *sdk.Envelope { return listed(i, at) }
		want, err := builtIn.Handle(t.Context(), env())
		if err != nil {
			t.Fatal(err)
		}
		got, err := servedOne.Handle(t.Context(), env())
		if err != nil {
			t.Fatal(err)
		}
		// Each counts milliseconds from its own start.
		if off := (got.RetryAfter - want.RetryAfter).Abs(); off > 2*time.Millisecond {
			t.Errorf("envelope %d: to be tried again after %v, built in %v", i, got.RetryAfter, want.RetryAfter)
		}
		got.RetryAfter = want.RetryAfter
		if got != want {
			t.Fatalf("envelope %d: got %+v, built in %+v", i, got, want)
		}
		if want.Verdict == sdk.Deny {
			denied++
		}
	}
	if denied < 20 || denied > 350 {
		t.Errorf("%d of 400 were denied: the list shows little", denied)
	}
}

// listed is one envelope of the list: some members in two meshes, of some
// kinds, and now and then somebody who is not known yet.
func listed(i int, at time.Time) *sdk.Envelope {
	kinds := []sdk.Kind{sdk.KindSend, sdk.KindSend, "list_peers", sdk.KindClientAck, sdk.KindHello}
	env := &sdk.Envelope{Kind: kinds[i%len(kinds)], Mesh: fmt.Sprint("mesh-", i%2), Arrived: at, Size: 100}
	if i%11 == 0 {
		return env
	}
	member := fmt.Sprint("member-", i%3)
	env.Sender = sdk.Sender{MemberID: member, Member: sha256.Sum256([]byte(member)), Conn: uint64(i%3 + 1), Name: member}
	return env
}

func builtInLimit(t *testing.T, options []byte) sdk.Stage {
	t.Helper()
	stage, err := stages.Factories(stages.All(stages.Deps{}))["rate-limit"].New(chain.LinkSpec{With: decodeWith(t, options)})
	if err != nil {
		t.Fatal(err)
	}
	return stage
}

// decodeWith reads options as the config of a link does.
func decodeWith(t *testing.T, options []byte) chain.Decode {
	t.Helper()
	link, err := (&trial{path: "x"}).load("rate-limit", pluginhost.Info{Judges: true}, options)
	if err != nil {
		t.Fatal(err)
	}
	return func(into any) error { return config.DecodeWith(link, into) }
}

func servedLimitOf(t *testing.T, options []byte) sdk.Stage {
	t.Helper()
	info := pluginhost.Info{Name: "rate-limit", Judges: true}
	target, closeTarget, err := hopTarget(context.Background(), "served", &trial{
		path: script(t, "limit", "stage", "serve", "rate-limit"), options: string(options),
	}, info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeTarget(); err != nil {
			t.Error(err)
		}
	})
	return stageFunc(target.Ask)
}

type stageFunc func(context.Context, *sdk.Envelope) (sdk.Decision, error)

func (f stageFunc) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	return f(ctx, env)
}
