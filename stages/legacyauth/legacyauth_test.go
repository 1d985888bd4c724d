package legacyauth_test

import (
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/legacyauth"
)

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage { return legacyauth.New() })
}

func TestHandleAdmitsNobodyItself(t *testing.T) {
	env := &sdk.Envelope{Kind: "http.join"}
	d, err := legacyauth.New().Handle(t.Context(), env)
	if d != sdk.Next() || err != nil || env.Sender != (sdk.Sender{}) {
		t.Errorf("got %+v, %v and sender %+v; want it to pass the envelope on as it is", d, err, env.Sender)
	}
}
