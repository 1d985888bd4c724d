package exchange

import (
	"errors"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// prepare fills the envelope from a frame. The error is a [*wire.DecodeError].
func (r *request) prepare(b []byte, head wire.Head) error {
	c, env := r.conn, &r.env
	env.Kind = sdk.Kind(head.Type)
	env.Directory = r.x.resolver
	env.Trace = traceparent.Checked(string(head.Traceparent))
	known := r.owner != nil || r.x.chains.Current().Outside(env.Kind) != nil
	r.trail = r.x.options.Traces.Begin(env, tracing.Who{Known: known, Proved: c.session != nil})
	env.Body = &r.call
	r.call.Env, r.call.Session, r.call.Peer = env, c.session, link{c.peer}
	r.call.Traced = r.trail != nil
	if r.owner == nil {
		if len(head.Type) == 0 {
			return &wire.DecodeError{Code: sdk.ReasonMalformed, Field: "type", Message: "type: want the name of a message"}
		}
		return nil // the route stage says that nobody knows the type
	}
	if c.session == nil && !isHello(env.Kind) {
		return nil // the auth stage refuses it; no need to look inside
	}
	req, err := r.owner.Decode(b)
	if err != nil {
		return err
	}
	r.call.Request = req
	if isHello(env.Kind) {
		r.call.Hello = b
	}
	return r.address(req)
}

// identify says whose frame it is, as far as the connection is known.
func (r *request) identify(size int) {
	c, env := r.conn, &r.env
	env.Size, env.Arrived = size, time.Now()
	env.Sender.Conn, env.Sender.Remote = c.peer.ID(), c.peer.Remote()
	if s := c.session; s != nil {
		env.Mesh = s.Mesh
		env.Sender.MemberID, env.Sender.Member, env.Sender.Session = s.MemberID, s.Member, s.Key
		env.Sender.Name, r.live = r.x.dir.Live(s)
	}
}

// address parses the target of a message.
func (r *request) address(req any) error {
	m, ok := req.(*wire.Send)
	if !ok {
		return nil
	}
	target, err := sdk.ParseTarget(m.TargetSpec)
	if err != nil {
		return &wire.DecodeError{Code: sdk.ReasonInvalid, Field: "targetSpec", Message: "invalid targetSpec: " + err.Error()}
	}
	r.env.Target, r.env.Priority = target, m.Priority
	return nil
}

// run takes the request through the chain and sees to its answer. Where it has
// to wait for a remote stage, the rest is done later, and the reader goes on.
func (r *request) run(frame []byte) {
	c, env := r.conn, &r.env
	r.chain = r.x.chains.Enter(env.Sender.Conn)
	// The context has no end of its own: links have deadlines, and one that can be
	// cancelled costs each query of the store an allocation and a timer.
	ctx := r.trail.Context()
	if r.mayWaitInLine() {
		behind := !c.line.empty()
		r.ended = r.chain.Begin(ctx, env, &r.walk, behind)
		if behind || !r.ended {
			c.line.add(r, r.x.options.Window)
			return
		}
		r.goOn()
		return
	}
	if c.line.wait() {
		_, r.live = r.x.dir.Live(c.session) // it was asked before the wait
	}
	switch {
	case c.session != nil && !r.live:
		r.decide(sdk.Refuse(sdk.ReasonUnauthorized, textEnded), nil)
	case env.Kind == sdk.KindSend && r.x.options.Gate.Draining():
		r.decide(sdk.Refuse(sdk.ReasonShuttingDown, textStopping), nil)
	case r.owner.Open() && r.goAside(frame):
	default:
		r.decide(r.chain.Run(ctx, env))
	}
}

// decide takes the chain's decision to the answer.
func (r *request) decide(d sdk.Decision, link *chain.Link) {
	c, env := r.conn, &r.env
	if d.Verdict == sdk.Drop {
		d = r.x.registry.Dropped(r.trail.Context(), env, d)
	}
	r.decision = d
	if link != nil {
		r.stage = link.Name()
	}
	// A message that comes too late for a stop gets no answer: the connection ends
	// in a moment, and a sender without an answer sends again where it lands next.
	r.silent = env.Kind == sdk.KindSend && d.Reason == sdk.ReasonShuttingDown && r.x.options.Gate.Draining()
	r.took = time.Since(env.Arrived)
	r.chain.Record(env, r.decision)
	if r.decision.Verdict == sdk.Answer && r.call.Bound != nil {
		c.bind(r.call.Bound)
	}
	after := r.call.After
	if r.decision.Verdict != sdk.Answer {
		after = nil
	}
	var answered chan struct{}
	if r.mustWait() {
		r.held = true
		c.acquire()
		if after != nil {
			answered = make(chan struct{})
			r.answered = answered
		}
		if r.trail != nil {
			r.submitted = time.Now()
		}
		accepted, gate := r.call.Accepted != nil, r.x.options.Gate
		r.x.committer.Submit(r)
		if accepted {
			gate.submitted()
		}
	} else {
		if len(r.env.Records) > 0 {
			r.x.journal.Append(auditEntries(&r.env)...)
		}
		r.finish(nil)
	}
	if after == nil {
		return
	}
	if answered != nil {
		<-answered
	}
	after()
}

// mustWait reports whether the answer has to wait for the disk, or behind one
// that does.
func (r *request) mustWait() bool {
	return r.call.Accepted != nil || r.call.Earlier != nil || r.call.AwaitDisk || r.conn.waiting.Load() > 0
}

// Fill implements [commit.Work].
func (r *request) Fill(b *store.Batch) {
	if r.call.Accepted != nil {
		r.call.Accepted.Fill(b)
	}
	b.Audit = append(b.Audit, auditEntries(&r.env)...)
	r.env.Records = r.env.Records[:0]
}

// Done implements [commit.Work].
func (r *request) Done(err error) {
	if err = r.x.await(r.call.Earlier, r, err); errors.Is(err, errAwaits) {
		return
	}
	r.trail.Committed(r.submitted, err)
	if a := r.call.Accepted; a != nil {
		a.Done(err)
		r.settled(a)
	}
	r.finish(err)
}

// settled corrects the answer to a message that another node had accepted first
// under the same client_message_id.
func (r *request) settled(a *delivery.Acceptance) {
	ack, ok := r.decision.Reply.(wire.Ack)
	switch {
	case a.Conflicts():
		r.decision = feature.RefuseReusedID()
	case ok && ack.MessageID != a.MessageID():
		ack.MessageID = a.MessageID()
		r.decision.Reply = ack
	}
}

// finish writes the answer and tells the observers.
func (r *request) finish(err error) {
	c, env := r.conn, &r.env
	if err != nil && (r.call.Accepted != nil || r.call.Earlier != nil || r.call.AwaitDisk) {
		r.decision = sdk.Refuse(sdk.ReasonUnavailable, textNotWritten)
		r.call.Err = err
	}
	r.answer()
	out := sdk.Outcome{Decision: r.decision, Stage: r.stage, Took: r.took, Settled: time.Since(env.Arrived), Err: r.call.Err}
	if a := r.call.Accepted; a != nil {
		out.Pushed, out.Queued = a.Pushed, a.Waiting
		out.Recipients = a.Recipients()
		r.x.Counters.Latency.Observe(out.Settled)
	}
	r.chain.Done(env, out)
	r.x.conclude(env, r.owner != nil || r.call.Outside != nil, r.trail, out)
	r.chain.Leave(env.Sender.Conn)
	if r.held {
		c.free()
	}
	if r.answered != nil {
		close(r.answered)
	}
	r.x.release(r)
}

// answer writes the reply, or the refusal in the shape that its type has.
func (r *request) answer() {
	c, d := r.conn, r.decision
	switch d.Verdict {
	case sdk.Answer:
		if e := r.call.Earlier; e != nil {
			if ack, ok := d.Reply.(wire.Ack); ok {
				ack.MessageID = e.MessageID()
				d.Reply = ack
			}
		}
		if reply, ok := d.Reply.(wire.Frame); ok && reply != nil {
			c.send(reply, r.call.ReqID)
		}
	case sdk.Drop:
		c.send(r.pretended(), r.call.ReqID)
	default:
		r.refuse()
	}
}

// refuse tells the sender why, and closes the connection after a refused hello.
func (r *request) refuse() {
	c, d, x := r.conn, r.decision, r.x
	if r.call.Err != nil {
		x.log.WarnContext(tracing.Join(r.trail.Context(), r.env.Trace), "request failed", slog.String("type", string(r.env.Kind)), slog.String("reason", string(d.Reason)), slog.Any("err", r.call.Err))
	}
	owner := r.owner
	if d.Reason == sdk.ReasonNoHello {
		owner = nil // clients look for an error frame, whatever they asked
	}
	if !r.silent {
		c.send(owner.Refusal(&r.call, d.Reason, d.Text), r.call.ReqID)
	}
	switch {
	case isHello(r.env.Kind) && d.Reason == sdk.ReasonSecondHello:
		x.Counters.Refused.Add(d.Reason)
	case isHello(r.env.Kind):
		x.Counters.Hellos.Add(d.Reason)
		end := wire.Refused(d.Reason)
		if d.Reason == sdk.ReasonRevoked {
			end = wire.CloseBanned
		}
		c.peer.Close(end.Code, end.Reason)
	default:
		x.Counters.Refused.Add(d.Reason)
		if d.Reason == sdk.ReasonNoHello {
			c.countInvalid()
		}
	}
}

// pretended is the answer that hides a block: the sender believes that its
// message was queued.
func (r *request) pretended() wire.Frame {
	id := r.call.ID
	if id == nil {
		id = []byte(`""`)
	}
	return wire.Ack{ID: id, MessageID: pretendedID(&r.call), Queued: true}
}

// pretendedID is the id that a dropped envelope has for its sender.
func pretendedID(c *feature.Call) string {
	switch env := c.Env; {
	case c.Earlier != nil:
		return c.Earlier.MessageID()
	case c.Accepted != nil:
		return c.Accepted.MessageID()
	case env.MessageID == "":
		env.MessageID = identity.NewMessageID(env.Arrived)
		fallthrough
	default:
		return env.MessageID
	}
}

// auditEntries turns an envelope's records into entries of its mesh's chain.
func auditEntries(env *sdk.Envelope) []*audit.Entry {
	if len(env.Records) == 0 || env.Mesh == "" {
		return nil
	}
	at := time.Now()
	entries := make([]*audit.Entry, len(env.Records))
	for i, rec := range env.Records {
		entries[i] = &audit.Entry{
			MeshID: env.Mesh, EventType: rec.Event, Payload: rec.Payload, CreatedAt: at,
			ActorMemberID: env.Sender.MemberID, ActorName: env.Sender.Name,
		}
	}
	return entries
}
