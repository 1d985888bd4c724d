package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// posting is a message of a [feature.Post] on its way. It is a [commit.Work]
// while its answer waits for the disk.
type posting struct {
	x     *Exchange
	env   sdk.Envelope
	call  feature.Call
	trail *tracing.Trail
	since time.Time // submitted to the committer

	decision sdk.Decision
	done     chan error // holds what became of its transaction
}

var _ feature.Poster = (*Exchange)(nil)

// Post implements [feature.Poster]. A message that is accepted goes on its way
// although ctx ends; whoever gave up on it finds out by posting it again.
func (x *Exchange) Post(ctx context.Context, p *feature.Post) (messageID string, err error) {
	target, err := sdk.ParseTarget(p.Message.TargetSpec)
	if err != nil {
		return "", core.Refuse(sdk.ReasonInvalid, "invalid targetSpec: "+err.Error())
	}
	gate := x.options.Gate
	if !gate.begin() {
		return "", core.Refuse(sdk.ReasonShuttingDown, textStopping)
	}
	defer gate.end()
	post := &posting{x: x, done: make(chan error, 1)}
	post.env = sdk.Envelope{
		Kind: sdk.KindSend, Mesh: p.Mesh, Target: target, Priority: p.Message.Priority,
		Size: len(p.Message.Ciphertext) + len(p.Message.Nonce) + len(p.Message.TargetSpec), Arrived: time.Now(),
		Trace: traceparent.Checked(p.Message.Traceparent), Directory: x.resolver, Body: &post.call,
	}
	if p.Own {
		post.env.Directory = withOwn{x.resolver}
	}
	post.trail = x.options.Traces.Begin(&post.env, tracing.Who{Known: true, Proved: true})
	post.call = feature.Call{Env: &post.env, Post: p, Request: &p.Message, Traced: post.trail != nil}
	return post.run(ctx)
}

// run takes the message through the chain, and returns when it is on disk or
// refused.
func (p *posting) run(ctx context.Context) (messageID string, err error) {
	x, env := p.x, &p.env
	c := x.chains.Enter(env.Sender.Conn)
	defer c.Leave(env.Sender.Conn)
	d, link := c.Run(p.trail.Within(ctx), env)
	if d.Verdict == sdk.Drop {
		d = x.registry.Dropped(p.trail.Within(ctx), env, d)
	}
	p.decision = d
	took := time.Since(env.Arrived)
	c.Record(env, d)
	failure := p.write()
	out := sdk.Outcome{Decision: p.decision, Took: took, Settled: time.Since(env.Arrived), Err: failure}
	if link != nil {
		out.Stage = link.Name()
	}
	if a := p.call.Accepted; a != nil {
		out.Pushed, out.Queued, out.Recipients = a.Pushed, a.Waiting, a.Recipients()
	}
	c.Done(env, out)
	x.conclude(env, true, p.trail, out)
	return p.answer()
}

// write puts on disk what the message needs there, and returns when it is.
func (p *posting) write() (failure error) {
	if p.call.Accepted == nil && p.call.Earlier == nil && len(p.env.Records) == 0 {
		return p.call.Err
	}
	p.since = time.Now()
	p.x.committer.Submit(p)
	if p.call.Accepted != nil {
		p.x.options.Gate.submitted()
	}
	if err := <-p.done; err != nil {
		p.decision = sdk.Refuse(sdk.ReasonUnavailable, textNotWritten)
		return err
	}
	return p.call.Err
}

// Fill implements [commit.Work].
func (p *posting) Fill(b *store.Batch) {
	if p.call.Accepted != nil {
		p.call.Accepted.Fill(b)
	}
	b.Audit = append(b.Audit, auditEntries(&p.env)...)
	p.env.Records = nil
}

// Done implements [commit.Work].
func (p *posting) Done(err error) {
	if err = p.x.await(p.call.Earlier, p, err); errors.Is(err, errAwaits) {
		return
	}
	p.trail.Committed(p.since, err)
	if a := p.call.Accepted; a != nil {
		a.Done(err)
		if a.Conflicts() {
			p.decision = feature.RefuseReusedID()
		}
	}
	p.done <- err
}

// answer returns the id of the message that stands for this one, or why there is
// none.
func (p *posting) answer() (messageID string, err error) {
	d := p.decision
	switch {
	case d.Verdict == sdk.Drop:
		return pretendedID(&p.call), nil // whoever blocks a member does not tell it
	case d.Verdict != sdk.Answer:
		return "", &core.Error{Code: d.Reason, Message: d.Text, RetryAfter: d.RetryAfter}
	case p.call.Earlier != nil:
		return p.call.Earlier.MessageID(), nil
	default:
		return p.call.Accepted.MessageID(), nil
	}
}
