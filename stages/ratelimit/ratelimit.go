// Package ratelimit holds members to a number of messages in a time.
//
// Each member of each mesh has a token bucket, which all its sessions share. It
// lives in this process: a member that is connected to two brokers has two.
package ratelimit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
)

// Stage is the rate-limit stage. It may be used by many goroutines at once.
type Stage struct {
	options Options
	now     func() time.Time

	send, requests *class // nil: no limit
}

// class is a limit with its buckets, and what to say beyond it.
type class struct {
	buckets *bucket.Set[owner]
	denial  sdk.Decision
}

// New returns a rate-limit stage. now is the broker's clock, the one that
// envelopes get their time of arrival from.
func New(o Options, now func() time.Time) *Stage {
	s := &Stage{options: o, now: now}
	s.send = newClass(o.Send, o.Burst, "msg", now())
	burst := o.RequestsBurst
	if burst == 0 {
		burst = max(10, int(10*o.Requests.Rate.PerSecond()))
	}
	s.requests = newClass(o.Requests, burst, "requests", now())
	return s
}

// most is how many members are remembered, about: some 50 MB of them.
const most = 1 << 18

func newClass(l config.Limit, burst int, what string, epoch time.Time) *class {
	if l.Off() {
		return nil
	}
	_, unit, _ := strings.Cut(l.String(), "/")
	return &class{
		buckets: bucket.New[owner](bucket.Size{Count: l.Rate.Count, Per: l.Rate.Per, Burst: burst, Most: most}, epoch),
		denial: sdk.Refuse(sdk.ReasonRateLimit,
			fmt.Sprintf("rate_limit: max %d %s/%s (burst %d)", l.Rate.Count, what, unit, burst)),
	}
}

// Key says that stages with equal options are alike: a reload that changes
// something else fills nobody's bucket.
func (s *Stage) Key() string {
	return fmt.Sprintf("%v %d %v %d", s.options.Send, s.options.Burst, s.options.Requests, s.options.RequestsBurst)
}

// Kinds limits the stage to messages, unless requests are limited too.
func (s *Stage) Kinds() []sdk.Kind {
	if s.requests != nil {
		return nil
	}
	return []sdk.Kind{sdk.KindSend}
}

// Handle takes a token of the sender's, or denies the envelope and says when
// there will be one. Who is not proved yet has no bucket, and passes.
func (s *Stage) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	c := s.classOf(env.Kind)
	if c == nil || env.Sender.MemberID == "" {
		return sdk.Next(), nil
	}
	at := env.Arrived
	if at.IsZero() {
		at = s.now()
	}
	wait, ok := c.buckets.Take(owner{env.Mesh, env.Sender.MemberID}, at)
	if ok {
		return sdk.Next(), nil
	}
	d := c.denial
	d.RetryAfter = wait
	return d, nil
}

// classOf returns the limit for a kind. A hello is not limited, because its
// sender is not known before it, and a receipt is not, because one refused
// would only make the broker deliver again.
func (s *Stage) classOf(k sdk.Kind) *class {
	switch k {
	case sdk.KindSend:
		return s.send
	case sdk.KindHello, sdk.KindSessionHello, sdk.KindClientAck:
		return nil
	default:
		return s.requests
	}
}
