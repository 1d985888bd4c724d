package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// life is a process that has said what it is.
type life struct {
	process *process.Process
	client  pluginpb.PluginClient
	program *Program
	number  int  // of the worker's lives, the first is 1
	killed  bool // guarded by worker.mu
}

// refusal is an error that the next process would repeat: what is wrong is the
// config or the program.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func isRefusal(err error) bool {
	_, ok := errors.AsType[refusal](err)
	return ok
}

// called is the error of a call. A program that does not know what it is asked
// for will not know it in its next process.
func called(what string, err error) error {
	text := fmt.Errorf("%s: %s", what, reason(err))
	switch status.Code(err) {
	case codes.NotFound, codes.InvalidArgument, codes.Unimplemented:
		return refusal{text}
	default:
		return text
	}
}

// configure makes a stage's instance, of a name that was not used before, and
// opens the way to it. With an error there is no instance.
func (l *life) configure(ctx context.Context, s *Stage, instance string, broken func(string, error)) error {
	info, err := l.judge(ctx, s)
	if err != nil {
		return err
	}
	p := s.link.Plugin
	r, err := l.client.Configure(ctx, &pluginpb.ConfigureRequest{
		Instance: instance, Stage: info.Name, Link: s.link.Name, Options: s.options,
		Granted: p.Grants, InFlight: uint32(p.InFlight),
	})
	if err != nil {
		l.discard(instance) // it may be made when nobody waits for it any more
		return called("the plugin could not be configured", err)
	}
	if err := diagnosed(s.link.Name, r.GetDiagnostics()); err != nil {
		return refusal{err}
	}
	if err := l.connect(s, info, instance, r, broken); err != nil {
		l.discard(instance)
		return err
	}
	return nil
}

// connect opens the way to an instance.
func (l *life) connect(s *Stage, info *Info, instance string, r *pluginpb.ConfigureResponse, broken func(string, error)) error {
	said := info.match
	if r.GetHasMatch() {
		said = r.GetMatch()
	}
	match, err := matchOf(said)
	if err != nil {
		return refusal{err}
	}
	s.kinds.Store(&info.Kinds)
	s.match.Store(&match) // before the first envelope
	err = s.hop.Load().Up(hop.Session{
		Conn: l.process.Conn(), Instance: instance, Stream: l.program.has(featureStream),
		Window: int(r.GetInFlight()), Idempotent: info.Idempotent,
		Observes: info.Observes && s.observes() && l.program.has(featureObserve),
		Traces:   l.program.has(featureTrace), Program: l.program.Name, Version: l.program.Version,
		Broken: broken,
	})
	if err != nil {
		return fmt.Errorf("no stream to the plugin: %s", reason(err))
	}
	return nil
}

// judge returns the stage's description, or what is wrong with its link.
func (l *life) judge(ctx context.Context, s *Stage) (*Info, error) {
	info, err := fit(s.link, l.program)
	if err == nil {
		err = checkSchema(s.link.Name, info.Schema, s.options)
	}
	if err != nil {
		return nil, refusal{err}
	}
	if err := validate(ctx, l.client, s.link, info.Name, s.options); err != nil {
		return nil, err
	}
	return info, nil
}

// drain has the process finish what an instance has in hand and let go of it;
// of all instances, when none is named.
func (l *life) drain(ctx context.Context, link, instance string) error {
	left := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	r, err := l.client.Drain(ctx, &pluginpb.DrainRequest{Instance: instance, DeadlineNanos: int64(left)})
	switch {
	case err != nil:
		return fmt.Errorf("plugin stage %s: not drained: %s", link, reason(err))
	case r.GetUnfinished() > 0:
		return fmt.Errorf("plugin stage %s: gave up %d envelopes or outcomes", link, r.GetUnfinished())
	}
	return nil
}

// discard has the process let go of an instance that nobody will ask, if it has
// it.
func (l *life) discard(instance string) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	_, _ = l.client.Drain(ctx, &pluginpb.DrainRequest{Instance: instance, DeadlineNanos: int64(callTime)})
}
