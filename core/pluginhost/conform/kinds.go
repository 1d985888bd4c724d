package conform

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// kinds checks that a stage answers or refuses each kind of request that it owns,
// and no other.
func (t *talk) kinds() error {
	if len(t.info.Kinds) == 0 {
		return skip("not checked: the stage owns no kinds")
	}
	in, err := t.configure()
	if err != nil {
		return err
	}
	for _, k := range t.info.Kinds {
		r, err := t.ask(in.name, k.Name)
		switch {
		case status.Code(err) == codes.Aborted: // it failed, and says so: what it works with may be away
		case err != nil:
			return fmt.Errorf("its Answer to an empty %s fails with %q: refuse a request with a reason, and say that the stage failed with the status Aborted", k.Name, message(err))
		case r.GetType() == "" && r.GetReason() == "":
			return fmt.Errorf("its answer to %s has neither a type nor the reason of a refusal", k.Name)
		case r.GetType() != "" && !slices.Contains(k.Replies, r.GetType()):
			return fmt.Errorf("its answer to %s has the type %q, which Describe does not name", k.Name, r.GetType())
		}
	}
	if r, err := t.ask(in.name, "no_such_kind"); err == nil {
		return fmt.Errorf("it answers a kind that it does not own with %q: answer with the status InvalidArgument", r.GetType())
	}
	if _, err := t.ask("nobody", t.info.Kinds[0].Name); err == nil {
		return errors.New("its Answer answers for an instance that was not configured: answer with the status NotFound")
	}
	return nil
}

// ask sends an empty request.
func (t *talk) ask(instance, kind string) (*pluginpb.AnswerResponse, error) {
	ctx, cancel := t.within()
	defer cancel()
	env := t.envelope(nil, 0)
	env.Kind, env.Target, env.TargetKey, env.TargetName, env.MessageId = kind, 0, nil, "", ""
	return t.client.Answer(ctx, &pluginpb.AnswerRequest{
		Instance: instance, DeadlineNanos: int64(patience), Envelope: env, Fields: []byte("{}"),
	})
}
