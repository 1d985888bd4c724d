package app_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// refuser is a stage that refuses with a reason of its own.
type refuser sdk.Reason

func (r refuser) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Refuse(sdk.Reason(r), "not today"), nil
}

func (refuser) Match() sdk.Match { return sdk.Match{Kinds: []sdk.Kind{sdk.KindSend}} }

// TestAReasonThatTheOriginalHas has a stage refuse with the word under which the
// original counts what is no message. Both are counted, whichever comes first.
func TestAReasonThatTheOriginalHas(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) {
		putBeforeRoute(o, "refuser", refuser("parse_or_handler"))
		o.Refusals = refusals.New(4)
	})
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	const metric = `broker_messages_rejected_total{reason="parse_or_handler"}`
	for range 2 {
		r.send(ada, sdk.Key{1}.String(), sdk.PriorityNow, "one")
	}
	eventually(t, "two refusals to be counted", func() bool { return r.metric(metric) == "2" })
	if err := ada.Write([]byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is no message to be counted too", func() bool { return r.metric(metric) == "3" })
	const before = `broker_refusals_total{stage="-",reason="malformed"}`
	eventually(t, "it to be counted among all refusals", func() bool { return r.metric(before) == "1" })
	if got := r.metric(`broker_refusals_total{stage="refuser",reason="parse_or_handler"}`); got != "2" {
		t.Errorf("of the stage: %s refusals, want 2", got)
	}
}
