package sdk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
)

// everybody resolves each target to so many members.
type everybody int

func (n everybody) Resolve(_ context.Context, _ *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	for i := range int(n) {
		dst = append(dst, sdk.Recipient{MemberID: fmt.Sprint("m", i)})
	}
	return dst, nil
}

func messageTo(n int) *sdk.Envelope {
	env := &sdk.Envelope{
		Kind: sdk.KindSend, Priority: sdk.PriorityLow, Target: sdk.Target{Kind: sdk.TargetGroup}, Directory: everybody(n), Body: 7,
	}
	env.Note("a", "1")
	env.Records = append(env.Records, sdk.Record{Event: "e"})
	return env
}

// members are the audience by name.
func members(t *testing.T, env *sdk.Envelope) (names []string) {
	t.Helper()
	list, err := env.Audience(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		names = append(names, r.MemberID)
	}
	return names
}

func TestCopyLeavesTheEnvelopeAlone(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		for _, resolved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d recipients, resolved: %v", n, resolved), func(t *testing.T) {
				env, into := messageTo(n), messageTo(2)
				members(t, into) // a copy of something else before
				want := members(t, messageTo(n))
				if resolved {
					members(t, env)
				}
				env.Copy(into)
				if got := members(t, into); !cmp.Equal(got, want) {
					t.Fatalf("the copy has the audience %v, want %v", got, want)
				}
				if into.Kind != env.Kind || into.Body != env.Body || !cmp.Equal(into.Attributes, env.Attributes) || !cmp.Equal(into.Records, env.Records) {
					t.Errorf("got %+v, want a copy of %+v", into, env)
				}
				into.Note("b", "2")
				into.Attributes[0].Value = "3"
				into.Records = append(into.Records, sdk.Record{Event: "f"})
				into.Records[0].Event = "g"
				into.Priority = sdk.PriorityNow
				into.Hold(time.Now())
				into.Narrow(func(r *sdk.Recipient) bool { r.MemberID = "x"; return false })
				if !cmp.Equal(env.Attributes, []sdk.Attribute{{Key: "a", Value: "1"}}) || env.Priority != sdk.PriorityLow ||
					!cmp.Equal(env.Records, []sdk.Record{{Event: "e"}}) || env.Narrowed() != 0 || !env.HoldUntil.IsZero() {
					t.Errorf("the copy changed the envelope: %+v", env)
				}
				if got := members(t, env); !cmp.Equal(got, want) {
					t.Errorf("the copy changed the audience to %v, want %v", got, want)
				}
			})
		}
	}
}

func TestCopyOfNothingForgets(t *testing.T) {
	into := messageTo(3)
	members(t, into)
	new(sdk.Envelope).Copy(into)
	if into.Kind != "" || into.Body != nil || into.Directory != nil || len(into.Attributes)+len(into.Records) != 0 || members(t, into) != nil {
		t.Errorf("still there: %+v", into)
	}
}

func TestCopyKeepsItsBuffers(t *testing.T) {
	env, into := messageTo(3), new(sdk.Envelope)
	members(t, env)
	if n := testing.AllocsPerRun(100, func() { env.Copy(into) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
