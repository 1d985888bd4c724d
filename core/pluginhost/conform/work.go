package conform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// instance is a stage that was configured for one case.
type instance struct {
	name  string
	match *pluginpb.Match
}

// configure makes an instance with the options that are checked.
func (t *talk) configure() (*instance, error) {
	if t.unusable {
		return nil, skip("not checked: there are no options that it takes")
	}
	ctx, cancel := t.within()
	defer cancel()
	t.instances++
	in := &instance{name: fmt.Sprintf("conform-%d", t.instances)}
	r, err := t.client.Configure(ctx, &pluginpb.ConfigureRequest{
		Instance: in.name, Stage: t.info.Name, Link: t.s.Link.Name, Options: t.s.Options,
		Granted: t.s.Link.Plugin.Grants, Generation: 1, InFlight: 4096,
	})
	if err != nil {
		return nil, fmt.Errorf("its Configure fails with %q", message(err))
	}
	if wrong := errorsOf(r.GetDiagnostics()); len(wrong) > 0 {
		return nil, fmt.Errorf("its Configure refuses %s, which Validate accepts: %s", t.s.Options, wrong[0])
	}
	in.match = r.GetMatch()
	return in, nil
}

// judged configures an instance and has it judge batches of these sizes, which
// are sent at once. With ping, a ping follows them.
func (t *talk) judged(ping bool, sizes ...int) error {
	if !t.info.Judges {
		return skip("not checked: the stage judges nothing")
	}
	in, err := t.configure()
	if err != nil {
		return err
	}
	return t.judgedBy(in, ping, sizes...)
}

func (t *talk) judgedBy(in *instance, ping bool, sizes ...int) error {
	batches := make([]*pluginpb.Batch, len(sizes))
	for i, n := range sizes {
		batches[i] = &pluginpb.Batch{Seq: uint64(i + 1), DeadlineNanos: int64(patience), Envelopes: t.envelopes(in.match, n)}
	}
	ctx, cancel := t.within()
	defer cancel()
	if t.stream {
		return t.overStream(ctx, in, batches, ping)
	}
	return t.overCalls(ctx, in, batches)
}

// overCalls sends batches at the simple level, four at a time as the broker.
func (t *talk) overCalls(ctx context.Context, in *instance, batches []*pluginpb.Batch) error {
	room := make(chan struct{}, 4)
	found := make(chan error, len(batches))
	for _, b := range batches {
		b.Instance = in.name
		room <- struct{}{}
		go func() {
			defer func() { <-room }()
			v, err := t.client.ProcessBatch(ctx, b)
			if err != nil {
				found <- fmt.Errorf("its ProcessBatch of %d envelopes fails with %q", len(b.GetEnvelopes()), message(err))
				return
			}
			found <- t.check(b, v)
		}()
	}
	var errs []error
	for range batches {
		errs = append(errs, <-found)
	}
	return first(errs)
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *talk) twoInstances() error {
	if !t.info.Judges {
		return skip("not checked: the stage judges nothing")
	}
	var both [2]*instance
	for i := range both {
		var err error
		if both[i], err = t.configure(); err != nil {
			return err
		}
	}
	for _, in := range both {
		if err := t.judgedBy(in, false, 3); err != nil {
			return err
		}
	}
	return nil
}

func (t *talk) batches() error {
	if err := t.judged(false, 1); err != nil {
		return err
	}
	return t.judged(false, 64)
}

func (t *talk) manyBatches() error {
	return t.judged(false, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
}

func (t *talk) ping() error {
	if !t.stream {
		return skip("not checked: it has no streams, and the broker watches the age of its calls")
	}
	return t.judged(true, 64, 64, 64, 64, 64, 64, 64, 64)
}

// unknownInstance checks that envelopes are not judged by nobody.
func (t *talk) unknownInstance() error {
	ctx, cancel := t.within()
	defer cancel()
	const nobody = "nobody"
	if has(t.probed.Program.Features, featureBatch) {
		b := &pluginpb.Batch{Seq: 1, Instance: nobody, DeadlineNanos: int64(time.Second), Envelopes: t.envelopes(nil, 1)}
		if _, err := t.client.ProcessBatch(ctx, b); err == nil {
			return errors.New("its ProcessBatch answers for an instance that was not configured: answer with the status NotFound")
		}
	}
	if t.stream {
		s, err := t.client.Process(ctx)
		if err == nil {
			if err = s.Send(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: nobody}}); err == nil {
				_, err = s.Recv()
			}
		}
		if err == nil || status.Code(err) == codes.DeadlineExceeded {
			return errors.New("its Process opens a stream for an instance that was not configured: end it with the status NotFound")
		}
	}
	return nil
}

func (t *talk) drains() error {
	in, err := t.configure()
	if err != nil {
		return err
	}
	ctx, cancel := t.within()
	defer cancel()
	r, err := t.client.Drain(ctx, &pluginpb.DrainRequest{Instance: in.name, DeadlineNanos: int64(time.Second)})
	switch {
	case err != nil:
		return fmt.Errorf("its Drain of an instance with nothing in hand fails with %q: it has to return at once", message(err))
	case r.GetUnfinished() > 0:
		return fmt.Errorf("its Drain says that %d envelopes are unfinished, and none was sent", r.GetUnfinished())
	}
	return nil
}
