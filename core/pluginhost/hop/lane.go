package hop

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// lane carries batches to one process. The pump alone calls batch, outcomes and
// control, which wait only as long as the process does not read. What goes
// wrong is reported by [Hop.lost].
type lane interface {
	free() bool // whether a batch can be sent without waiting for another
	start()     // begins to bring answers; after this the hop hears from the lane
	encode(seq uint64, calls []*call) raw
	batch(seq uint64, b raw)
	outcomes(seq uint64, list [][]byte, missed uint64)
	control(cancels []uint64, ping uint64)
	close() // may be called at any time, and twice
}

// open makes the lane that the plugin can do.
func (h *Hop) open(s Session) (lane, error) {
	if s.Stream {
		return h.openStream(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &unary{h: h, who: h.identity(s), conn: s.Conn, instance: s.Instance, ctx: ctx, cancel: cancel, places: make(chan struct{}, unaryCalls)}, nil
}

// openTime bounds the opening of a stream, which the other side can put off.
const openTime = 5 * time.Second

// stream is the lane of plugins with "stream/1".
type stream struct {
	h      *Hop
	who    *resource.Resource // of the plugin's spans
	frames grpc.ClientStream
	cancel context.CancelFunc
}

func (h *Hop) openStream(s Session) (lane, error) {
	ctx, cancel := context.WithCancel(context.Background())
	// The stream outlives this call, so its context cannot have the deadline.
	late := time.AfterFunc(openTime, cancel)
	defer late.Stop()
	frames, err := s.Conn.NewStream(ctx, &pluginpb.Plugin_ServiceDesc.Streams[0],
		pluginpb.Plugin_Process_FullMethodName, grpc.ForceCodecV2(h.codec))
	if err == nil {
		err = frames.SendMsg(&pluginpb.HostFrame{Open: &pluginpb.Open{Instance: s.Instance}})
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{h: h, who: h.identity(s), frames: frames, cancel: cancel}, nil
}

func (*stream) free() bool { return true }

func (s *stream) start() { go s.read() }

func (s *stream) close() { s.cancel() }

func (s *stream) encode(seq uint64, calls []*call) raw {
	return encodeBatch(header{seq: seq, deadline: s.h.o.Deadline}, calls, true)
}

func (s *stream) batch(_ uint64, b raw) {
	_ = s.frames.SendMsg(&b) // read hears of it
}

func (s *stream) outcomes(seq uint64, list [][]byte, missed uint64) {
	b := encodeOutcomes(header{seq: seq, missed: missed}, list, true)
	_ = s.frames.SendMsg(&b)
}

func (s *stream) control(cancels []uint64, ping uint64) {
	_ = s.frames.SendMsg(controlFrame(cancels, ping))
}

// read brings what the plugin sends until the stream ends.
func (s *stream) read() {
	for {
		var f pluginpb.PluginFrame
		if err := s.frames.RecvMsg(&f); err != nil {
			s.h.lost(s, err)
			return
		}
		s.h.sign(s)
		if v := f.GetVerdicts(); v != nil {
			s.h.answered(s, v)
			s.h.collect(s.who, v.GetSpans())
		}
		if o := f.GetObserved(); o != nil {
			s.h.observed(s, o.GetSeq())
		}
		if c := f.GetCredit(); c != nil {
			s.h.credit(s, int(c.GetInFlight()))
		}
		s.h.collect(s.who, f.GetSpans())
		s.h.log(f.GetLogs())
	}
}

// unaryCalls is how many calls a plugin of the simple level has to serve at
// once.
const unaryCalls = 4

// unary is the lane of plugins without a stream.
type unary struct {
	h        *Hop
	who      *resource.Resource // of the plugin's spans
	conn     grpc.ClientConnInterface
	instance string
	ctx      context.Context
	cancel   context.CancelFunc
	places   chan struct{} // one for each call under way
}

func (u *unary) free() bool { return len(u.places) < cap(u.places) }

func (*unary) start() {}

func (u *unary) close() { u.cancel() }

func (u *unary) encode(seq uint64, calls []*call) raw {
	return encodeBatch(header{seq: seq, deadline: u.h.o.Deadline, instance: u.instance}, calls, false)
}

func (u *unary) batch(seq uint64, b raw) {
	u.call(func() {
		v := new(pluginpb.Verdicts)
		err := u.conn.Invoke(u.ctx, pluginpb.Plugin_ProcessBatch_FullMethodName, &b, v, grpc.ForceCodecV2(u.h.codec))
		if err != nil {
			u.failed(seq, err)
			return
		}
		u.h.answered(u, v)
		u.h.collect(u.who, v.GetSpans())
	})
}

func (u *unary) outcomes(seq uint64, list [][]byte, missed uint64) {
	b := encodeOutcomes(header{seq: seq, missed: missed, instance: u.instance}, list, false)
	u.call(func() {
		o := new(pluginpb.Observed)
		err := u.conn.Invoke(u.ctx, pluginpb.Plugin_ObserveBatch_FullMethodName, &b, o, grpc.ForceCodecV2(u.h.codec))
		if err != nil {
			u.h.counters.missed.Add(uint64(len(list)))
			u.failed(0, err)
		}
		u.h.observed(u, seq)
	})
}

// control asks for a sign of life. A call that was made cannot be taken back.
func (u *unary) control(_ []uint64, ping uint64) {
	if ping == 0 {
		return
	}
	go func() {
		c := grpc_health_v1.NewHealthClient(u.conn)
		if _, err := c.Check(u.ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"}); err == nil {
			u.h.sign(u)
		}
	}()
}

// call runs f beside the pump, as soon as there is a place.
func (u *unary) call(f func()) {
	select {
	case u.places <- struct{}{}:
	case <-u.ctx.Done():
		return
	}
	go func() {
		f()
		<-u.places
		u.h.wakePump()
	}()
}

// failed tells a plugin that has gone from one that refused a batch.
func (u *unary) failed(seq uint64, err error) {
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled:
		u.h.lost(u, err)
	default:
		u.h.refused(u, seq, err)
	}
}
