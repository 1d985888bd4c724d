package feature

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// What one member may send that is dropped, with all its sessions on this node: the
// chain may not have come to its rate limit, and each leaves a row.
const (
	dropRate  = 5 // a second
	dropBurst = 100
	droppers  = 1 << 16 // members that are remembered
)

// newDrops returns the buckets of members whose messages are dropped.
func newDrops() *bucket.Set[memberID] {
	return bucket.New[memberID](bucket.Size{Count: dropRate, Per: time.Second, Burst: dropBurst, Most: droppers}, time.Now())
}

// Dropped does for an envelope that a stage has dropped what its sender could tell it
// from others by, and returns the decision that stands then: a message is refused for
// what every message is refused for, and otherwise it stays dropped with an answer
// that waits for the disk.
func (r *Registry) Dropped(ctx context.Context, env *sdk.Envelope, d sdk.Decision) sdk.Decision {
	c := Of(env)
	if c == nil || r.pretend == nil {
		return d
	}
	m, ok := c.Request.(*wire.Send)
	if !ok {
		return d
	}
	if refused := r.permitted(ctx, c, store.CanSend); refused != nil {
		c.Err = refused.Err
		return refused.Decision()
	}
	err := r.pretend(ctx, c, m)
	if refused, is := errors.AsType[*core.Error](err); is {
		c.Err, c.Detail = refused.Err, refused.Detail
		return refused.Decision()
	}
	return d
}

// pretend is send for a message that nobody gets. Its errors are all refusals.
func (s *sends) pretend(ctx context.Context, c *Call, m *wire.Send) error {
	if err := s.fits(m); err != nil {
		return err
	}
	if wait, ok := s.drops.Take(memberID(c.Env.Sender.MemberID), time.Now()); !ok {
		return &core.Error{Code: sdk.ReasonRateLimit, RetryAfter: wait, Message: "rate_limit: too many messages: send less often"}
	}
	// Who was left out is among those whom the message would have waited for.
	audience, err := c.Env.Directory.Resolve(ctx, c.Env, nil)
	if err != nil {
		return core.Unavailable(err)
	}
	if audience, err = s.reached(c, audience); err != nil {
		return err
	}
	if m.ClientMessageID != "" {
		if c.Earlier, err = s.earlier(ctx, c, m); c.Earlier != nil || err != nil {
			return err
		}
	}
	if err := s.admit(c, m); err != nil {
		return err
	}
	c.Env.MessageID = identity.NewMessageID(c.Env.Arrived)
	c.Accepted = s.engine.Pretend(messageOf(c, m), audience, c.Env.Arrived)
	return nil
}
