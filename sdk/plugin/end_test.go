package plugin

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// never is a stage that lets nothing through.
type never struct{}

func (never) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Refuse("no", "denied"), nil
}

// An instance may end while a batch is handed to its workers: an envelope that
// none of them gets has failed, and never goes on.
func TestEndBesideSubmit(t *testing.T) {
	s := newService(Plugin{}, io.Discard, func(error) {})
	const envelopes = 8
	for round := range 20_000 {
		in := newInstance(s, &pluginpb.ConfigureRequest{Instance: "i", Stage: "s"}, parts{judge: never{}, whole: never{}})
		in.begin(4)
		c := caller{judged: make(chan *batch, 1)}
		pb := &pluginpb.Batch{Seq: 1}
		for n := range envelopes {
			pb.Envelopes = append(pb.Envelopes, &pluginpb.Envelope{Conn: uint64(n + 1)})
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = in.submit(pb, c) })
		wg.Go(in.end)
		wg.Wait()
		b := <-c.judged
		if v := b.conclude(); len(v.GetExceptions()) != envelopes {
			t.Fatalf("round %d: %d envelopes of a stage that lets nothing through go on", round, envelopes-len(v.GetExceptions()))
		}
		in.release(b, false)
		<-in.stopped
	}
}
