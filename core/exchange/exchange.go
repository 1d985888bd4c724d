// Package exchange takes one frame to its answer: it decodes it, runs it
// through the chain, waits for the disk where the answer promises something,
// and writes the answer.
//
// Frames of a connection are worked on in order, one at a time. The answer to
// a message waits for its transaction, but the reader does not: up to a window
// of answers may be outstanding, and then the socket is not read until one is
// written. That is back-pressure on this connection alone.
package exchange

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// Committer is the group commit.
type Committer interface {
	Submit(commit.Work)

	// Flush returns when everything that was appended before is on disk.
	Flush(ctx context.Context) error
}

// Journal takes audit entries that nobody waits for.
type Journal interface {
	Append(entries ...*audit.Entry)
}

// Options are the limits of connections, and the gate that the handler of
// messages asks too.
type Options struct {
	Window       int // most answers of one connection that wait for the disk
	InvalidLimit int // most frames before a hello that are no hello
	Gate         *Gate

	Traces   *tracing.Tracer // nil: no spans
	Refusals *refusals.Ring  // nil: refusals are not remembered
}

// Exchange is the road of every frame. All methods may be called concurrently.
type Exchange struct {
	options   Options
	chains    *chain.Holder
	registry  *feature.Registry
	resolver  sdk.Resolver
	committer Committer
	journal   Journal
	dir       *presence.Directory
	log       *slog.Logger

	requests sync.Pool // of *request

	Counters Counters
}

// Counters count frames since the start.
type Counters struct {
	Frames  atomic.Int64 // frames read
	Refused Reasons      // frames refused, but hellos
	Hellos  Reasons      // hellos refused
	Invalid atomic.Int64 // frames that could not be decoded

	Latency telemetry.Histogram // of messages: from the frame to its answer
}

// New returns an exchange.
func New(o Options, chains *chain.Holder, r *feature.Registry, resolver sdk.Resolver,
	c Committer, j Journal, dir *presence.Directory, log *slog.Logger,
) *Exchange {
	return &Exchange{
		options: o, chains: chains, registry: r, resolver: resolver, committer: c, journal: j, dir: dir, log: log,
	}
}

// request is one frame on its way. It is a [commit.Work] while its answer waits
// for the disk.
type request struct {
	x     *Exchange
	conn  *Connection
	owner *feature.Owner
	env   sdk.Envelope
	call  feature.Call
	chain *chain.Chain

	decision sdk.Decision
	stage    string
	took     time.Duration
	live     bool          // the session was not over when the frame came, or had waited for others
	answered chan struct{} // closed when the answer is written; nil when nobody asks
	walk     chain.Walk    // of a request that may wait for a remote stage
	ended    bool          // the walk has
	silent   bool          // gets no answer
	held     bool          // holds one place of the connection's window

	trail     *tracing.Trail // nil unless the request is traced
	submitted time.Time      // to the committer; only of a request that is traced
}

func (x *Exchange) request() *request {
	if r, ok := x.requests.Get().(*request); ok {
		return r
	}
	return &request{x: x}
}

func (x *Exchange) release(r *request) {
	r.env.Reset()
	*r = request{x: x, env: r.env}
	x.requests.Put(r)
}

// Announce tells the chain's recorders and observers of something that the
// broker itself did. env may bring records of its own.
func (x *Exchange) Announce(env *sdk.Envelope) {
	c := x.chains.Enter(0)
	defer c.Leave(0)
	d := sdk.Decision{Verdict: sdk.Answer}
	c.Record(env, d)
	x.journal.Append(auditEntries(env)...)
	c.Done(env, sdk.Outcome{Decision: d})
}

// Run takes an envelope that did not come over a socket, such as an HTTP
// request, through the chain, and returns the decision. The effects are the
// handler's own business. What the audit log gets is on disk when Run returns;
// where that fails the answer says so, although the effects are there.
func (x *Exchange) Run(ctx context.Context, env *sdk.Envelope) sdk.Decision {
	env.Directory = x.resolver
	trail := x.options.Traces.Begin(env, tracing.Who{Known: true})
	c := x.chains.Enter(0)
	defer c.Leave(0)
	d, link := c.Run(trail.Within(ctx), env)
	took := time.Since(env.Arrived)
	c.Record(env, d)
	since := time.Now()
	wrote, err := x.record(ctx, env)
	if wrote {
		trail.Committed(since, err)
	}
	if err != nil {
		d = sdk.Refuse(sdk.ReasonUnavailable, "the broker could not write to its store: look whether it was done, and try again in a moment")
	}
	out := sdk.Outcome{Decision: d, Took: took, Settled: time.Since(env.Arrived), Err: err}
	if link != nil {
		out.Stage = link.Name()
	}
	c.Done(env, out)
	if call := feature.Of(env); call != nil && out.Err == nil {
		out.Err = call.Err
	}
	x.conclude(env, true, trail, out)
	return d
}

// record writes an envelope's records, and returns when they are on disk. It
// reports whether there were any.
func (x *Exchange) record(ctx context.Context, env *sdk.Envelope) (wrote bool, err error) {
	entries := auditEntries(env)
	if len(entries) == 0 {
		return false, nil
	}
	x.journal.Append(entries...)
	return true, x.committer.Flush(context.WithoutCancel(ctx)) // whoever asked may be gone; the log is not theirs
}
