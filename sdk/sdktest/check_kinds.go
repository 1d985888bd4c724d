package sdktest

import (
	"fmt"
	"regexp"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

var kindName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// kinds checks that each kind that a stage owns is answered or refused.
func (h *host) kinds() {
	for _, s := range h.stages {
		if len(s.Kinds) == 0 {
			continue
		}
		if !slices.Contains(h.greeted.Features, "kinds/1") {
			h.add("%s owns kinds, and kinds/1 is not among its features %v", s.Name, h.greeted.Features)
		}
		h.addErr(s.Name, h.with(s, "kinds", func(*stream) error { return h.owns(s) }))
	}
}

func (h *host) owns(s *pluginpb.Stage) error {
	instance := s.Name + "/kinds"
	for _, k := range s.Kinds {
		if !kindName.MatchString(k.Name) || k.Summary == "" || len(k.Replies) == 0 {
			return fmt.Errorf("the kind %q needs a name of a-z, 0-9 and _, a summary (plugin.About), and a type of answer", k.Name)
		}
		r, err := h.askKind(instance, k.Name, "{}")
		switch {
		case status.Code(err) == codes.Aborted: // what it works with may be away
		case err != nil:
			return fmt.Errorf("an empty %s: %w", k.Name, err)
		case r.Type == "" && r.Reason == "", r.Type != "" && !slices.Contains(k.Replies, r.Type):
			return fmt.Errorf("an empty %s is answered by %q, refused with %q", k.Name, r.Type, r.Reason)
		}
	}
	if _, err := h.askKind(instance, "no_such_kind", "{}"); err == nil {
		return fmt.Errorf("it answers a kind that it does not own")
	}
	return nil
}

func (h *host) askKind(instance, kind, fields string) (*pluginpb.AnswerResponse, error) {
	return h.Answer(h.ctx, &pluginpb.AnswerRequest{
		Instance: instance, DeadlineNanos: int64(patience), Fields: []byte(fields),
		Envelope: &pluginpb.Envelope{Kind: kind, Mesh: "mesh-1", Conn: 1, Member: make([]byte, 32), Size: 2, Arrived: 1},
	})
}
