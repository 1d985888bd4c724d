package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// pongTime is how long a plugin may take to answer a ping while it works. The
// broker kills one that is silent for hang_after, 1 s unless the link says
// otherwise.
const pongTime = time.Second

const nonce = 4711 // of the one ping

type stream = grpc.BidiStreamingClient[pluginpb.HostFrame, pluginpb.PluginFrame]

// overStream sends batches at once, and reads until each has its answer.
func (t *talk) overStream(ctx context.Context, in *instance, batches []*pluginpb.Batch, ping bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := t.client.Process(ctx)
	if err != nil {
		return fmt.Errorf("its Process fails with %q", message(err))
	}
	sent := make(chan time.Time, 1)
	go func() { sent <- send(s, in, batches, ping) }()
	if err := t.receive(s, batches, ping, sent); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		_, err := s.Recv()
		switch {
		case err == nil: // logs and credits
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("the stream ends with %q when the broker closes its side: it has to end without an error", message(err))
		}
	}
}

// send returns when the ping was sent. Its errors are found by the reader.
func send(s stream, in *instance, batches []*pluginpb.Batch, ping bool) time.Time {
	err := s.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: in.name}})
	for i := 0; err == nil && i < len(batches); i++ {
		err = s.Send(&pluginpb.HostFrame{Batch: batches[i]})
	}
	if err == nil && ping {
		_ = s.Send(&pluginpb.HostFrame{Ping: &pluginpb.Ping{Nonce: nonce}})
	}
	return time.Now()
}

func (t *talk) receive(s stream, batches []*pluginpb.Batch, ping bool, sent <-chan time.Time) error {
	answered := make(map[uint64]bool, len(batches))
	for len(answered) < len(batches) || ping {
		frame, err := s.Recv()
		if err != nil {
			return fmt.Errorf("%d of %d batches were answered, then the stream ended: %s", len(answered), len(batches), message(err))
		}
		if v := frame.GetVerdicts(); v != nil {
			seq := v.GetSeq()
			switch {
			case seq == 0 || seq > uint64(len(batches)):
				return fmt.Errorf("it answered the batch %d, which was not sent", seq)
			case answered[seq]:
				return fmt.Errorf("it answered the batch %d twice", seq)
			}
			if err := t.check(batches[seq-1], v); err != nil {
				return err
			}
			answered[seq] = true
		}
		if p := frame.GetPong(); p != nil {
			if p.GetNonce() != nonce {
				return fmt.Errorf("its pong has the nonce %d, the ping had %d: send back the one that came", p.GetNonce(), nonce)
			}
			ping = false
			if late := time.Since(<-sent); late > pongTime {
				return fmt.Errorf("a ping was answered after %v, while it judged: let the loop that reads the stream answer pings, and work elsewhere", late.Round(time.Millisecond))
			}
		}
	}
	return nil
}

// outcomes checks that an observer takes outcomes and says so.
func (t *talk) outcomes() error {
	if !t.info.Observes {
		return skip("not checked: the stage does not observe")
	}
	in, err := t.configure()
	if err != nil {
		return err
	}
	told := &pluginpb.Outcomes{Seq: 1, Instance: in.name}
	for _, e := range t.envelopes(in.match, 8) {
		told.Outcomes = append(told.Outcomes, &pluginpb.Outcome{Envelope: e, Verdict: 4, Stage: "route", TookNanos: 1e5, Recipients: 1})
	}
	ctx, cancel := t.within()
	defer cancel()
	if !t.stream {
		if _, err := t.client.ObserveBatch(ctx, told); err != nil {
			return fmt.Errorf("its ObserveBatch fails with %q", message(err))
		}
		return nil
	}
	s, err := t.client.Process(ctx)
	if err == nil {
		if err = s.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: in.name}}); err == nil {
			err = s.Send(&pluginpb.HostFrame{Outcomes: told})
		}
	}
	for err == nil {
		var frame *pluginpb.PluginFrame
		if frame, err = s.Recv(); err == nil && frame.GetObserved().GetSeq() == told.Seq {
			return nil
		}
	}
	return fmt.Errorf("outcomes were not acknowledged: answer Outcomes with Observed and its seq (%s)", message(err))
}
