package pluginhost

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

// maxReply is how many bytes of JSON an answer may have. It has to fit into an
// outbox, beside what waits there already, and clients read 1 MiB.
const maxReply = 1 << 20

// Of what a plugin may have in hand, one mesh gets a half and one member an
// eighth, so that nobody keeps all others from it.
const (
	meshPart   = 2
	memberPart = 8
)

// owner is the stage of a link that answers requests. The stage is a field of it
// and not a part, so that the chain finds nothing of a stage that judges.
type owner struct {
	stage  *Stage
	places *places
}

// Compile-time list of what the chain looks for.
var (
	_ sdk.Stage      = owner{}
	_ sdk.Starter    = owner{}
	_ sdk.Stopper    = owner{}
	_ chain.Keyed    = owner{}
	_ chain.Health   = owner{}
	_ chain.Answerer = owner{}
)

func newOwner(s *Stage) owner {
	return owner{s, &places{most: s.link.Plugin.InFlight, taken: make(map[place]int)}}
}

// Handle implements [sdk.Stage]; the chain never asks an owner to judge.
func (owner) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// Start implements [sdk.Starter].
func (o owner) Start(ctx context.Context) error { return o.stage.Start(ctx) }

// Stop implements [sdk.Stopper].
func (o owner) Stop(ctx context.Context) error { return o.stage.Stop(ctx) }

// Key implements [chain.Keyed].
func (o owner) Key() string { return o.stage.Key() }

// Health implements [chain.Health].
func (o owner) Health() error { return o.stage.Health() }

// Terms implements [chain.Answerer].
func (o owner) Terms(kind sdk.Kind) chain.Terms {
	k := o.stage.kind(kind)
	if k == nil {
		return chain.Terms{}
	}
	return chain.Terms{Permission: k.Permission, Refusal: chain.Foreign{Type: k.Refusal, Fields: k.refusal}}
}

// Answer implements [chain.Answerer].
func (o owner) Answer(ctx context.Context, env *sdk.Envelope, fields []byte) (sdk.Decision, error) {
	free, busy := o.places.take(env.Mesh, env.Sender.MemberID)
	if busy != "" {
		return sdk.Refuse(sdk.ReasonCapacity, busy), nil
	}
	defer free()
	hop := o.stage.hop.Load()
	resp, err := hop.Answer(ctx, env, fields)
	if err != nil {
		return sdk.Decision{}, err
	}
	if resp.GetType() == "" {
		return hop.Refused(resp), nil
	}
	if err := o.check(env.Kind, resp.GetType(), resp.GetFields()); err != nil {
		return sdk.Decision{}, hop.Breach(err)
	}
	return sdk.Decision{Verdict: sdk.Answer, Reply: chain.Foreign{Type: resp.GetType(), Fields: resp.GetFields()}}, nil
}

// check says what is wrong with an answer.
func (o owner) check(kind sdk.Kind, typ string, fields []byte) error {
	k := o.stage.kind(kind)
	switch {
	case k == nil || !slices.Contains(k.Replies, typ):
		return fmt.Errorf("its answer to %s has the type %q, which it did not describe", kind, typ)
	case len(fields) > maxReply:
		return fmt.Errorf("its answer to %s has %d bytes; at most %d go to a peer", kind, len(fields), maxReply)
	}
	if err := plainFields(fields, "type", "_reqId"); err != nil {
		return fmt.Errorf("its answer to %s: %w", kind, err)
	}
	return nil
}

// kind returns what the stage said of a kind, nil before it was up.
func (s *Stage) kind(name sdk.Kind) *Kind {
	if list := s.kinds.Load(); list != nil {
		for i := range *list {
			if (*list)[i].Name == string(name) {
				return &(*list)[i]
			}
		}
	}
	return nil
}

// place is a mesh, or a member of it.
type place struct{ mesh, member string }

// places count the requests that a plugin has in hand.
type places struct {
	most int

	mu    sync.Mutex
	taken map[place]int
}

// take counts a request in, or says why there is no room for it. Free counts it
// out.
func (p *places) take(mesh, member string) (free func(), busy string) {
	ofMesh, ofMember := place{mesh: mesh}, place{mesh, member}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken[ofMember] >= max(p.most/memberPart, 1):
		return nil, fmt.Sprintf("%d requests of yours are being answered here: wait for one of them", p.taken[ofMember])
	case p.taken[ofMesh] >= max(p.most/meshPart, 1):
		return nil, "too many requests of this mesh are being answered here: try again in a moment"
	}
	p.taken[ofMesh]++
	p.taken[ofMember]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, one := range []place{ofMesh, ofMember} {
			if p.taken[one]--; p.taken[one] == 0 {
				delete(p.taken, one)
			}
		}
	}, ""
}
