package plugin

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// logBudget is how many records a second go to the broker. What is above is
// counted and left out: a program in trouble must not take its broker along.
const logBudget = 200

// mostLogAttrs is how many attributes of a record go to the broker.
const mostLogAttrs = 32

// mostEarly is how many records of an instance wait for its stream.
const mostEarly = 64

// logs takes records to the broker. The stream of a record tells which link of
// the chain speaks: a record of an instance waits for the stream of the
// instance, as those of Start do, and one of no instance takes any. Where there
// is no stream, records are written as text. It never waits for the broker. Safe
// for concurrent use.
type logs struct {
	level slog.Leveler
	text  slog.Handler

	mu      sync.Mutex
	allowed bool      // the broker takes records
	outs    []*outbox // of the streams that are open
	second  time.Time // when the current second of the budget began
	spent   int       // in it
	missing uint64    // left out since the last record
	timer   *time.Timer
}

func newLogs(text io.Writer, level slog.Leveler) *logs {
	if level == nil {
		level = slog.LevelInfo
	}
	return &logs{level: level, text: slog.NewTextHandler(text, &slog.HandlerOptions{Level: level})}
}

func (l *logs) handler() slog.Handler { return &logHandler{logs: l, text: l.text} }

// allow says whether the broker takes records.
func (l *logs) allow(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allowed = yes
}

func (l *logs) connect(o *outbox) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outs = append(l.outs, o)
	o.in.heard = true
	for _, r := range o.in.early {
		if !o.log(r) {
			l.leaveOutLocked()
		}
	}
	o.in.early = nil
}

// giveUp says that an instance will have no stream, unless it has one: what
// waits for it is written as text.
func (l *logs) giveUp(in *instance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.heard = true
	early := in.early
	in.early = nil
	for _, r := range early {
		record := slog.NewRecord(time.Unix(0, r.Time), slog.Level(r.Level), r.Message, 0)
		for _, a := range r.Attributes {
			record.AddAttrs(slog.String(a.Key, a.Value))
		}
		_ = in.toText(l.text).Handle(in.ctx, record)
	}
}

// toText returns the handler with the name of the link, which a stream would
// tell.
func (in *instance) toText(text slog.Handler) slog.Handler {
	if in == nil || in.link == "" {
		return text
	}
	return text.WithAttrs([]slog.Attr{slog.String("link", in.link)})
}

func (l *logs) disconnect(o *outbox) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outs = slices.DeleteFunc(l.outs, func(other *outbox) bool { return other == o })
}

// send is false when there is no stream to send to, nor will be.
func (l *logs) send(from *instance, r *pluginpb.LogRecord) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, early := l.outLocked(from)
	if !l.allowed || out == nil && !early {
		return false
	}
	now := time.Now()
	if now.Sub(l.second) >= time.Second {
		l.second, l.spent = now, 0
	}
	if l.spent >= logBudget {
		l.leaveOutLocked()
		return true
	}
	l.spent++
	l.tellMissingLocked(now)
	switch {
	case early && len(from.early) < mostEarly:
		from.early = append(from.early, r)
	case early || !out.log(r):
		l.leaveOutLocked()
	}
	return true
}

// outLocked returns the outbox of an instance, or any for none. It reports
// whether the instance is to have one, and has not yet.
func (l *logs) outLocked(from *instance) (out *outbox, early bool) {
	for _, o := range l.outs {
		if from == nil || o.in == from {
			return o, false
		}
	}
	return nil, from != nil && !from.heard
}

// leaveOutLocked counts a record, and sees to it that the count is told even
// if no other record follows.
func (l *logs) leaveOutLocked() {
	l.missing++
	if l.timer != nil {
		return
	}
	l.timer = time.AfterFunc(time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = nil
		l.tellMissingLocked(time.Now())
	})
}

func (l *logs) tellMissingLocked(now time.Time) {
	if l.missing == 0 || len(l.outs) == 0 {
		return
	}
	if l.outs[0].log(&pluginpb.LogRecord{
		Time: now.UnixNano(), Level: int32(slog.LevelWarn), Message: "log records were left out",
		Attributes: []*pluginpb.Attribute{{Key: "records", Value: strconv.FormatUint(l.missing, 10)}},
	}) {
		l.missing = 0
	}
}

// logHandler is the slog.Handler of an author's logger.
type logHandler struct {
	logs   *logs
	text   slog.Handler // the same, for when there is no broker
	prefix string       // of open groups, with a dot at the end
	attrs  []*pluginpb.Attribute
}

// Enabled reports whether a level is logged.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.logs.level.Level()
}

// Handle sends a record, or writes it where there is no broker.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	record := &pluginpb.LogRecord{
		Level: int32(r.Level), Message: cut(r.Message), Attributes: slices.Clip(h.attrs),
	}
	if !r.Time.IsZero() {
		record.Time = r.Time.UnixNano()
	}
	r.Attrs(func(a slog.Attr) bool {
		record.Attributes = appendAttr(record.Attributes, h.prefix, a)
		return len(record.Attributes) < mostLogAttrs
	})
	within := trace.SpanContextFromContext(ctx)
	if within.IsSampled() {
		id, span := within.TraceID(), within.SpanID()
		record.TraceId, record.SpanId = id[:], span[:]
	}
	from := instanceOf(ctx)
	if h.logs.send(from, record) {
		return nil
	}
	if within.IsSampled() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", within.TraceID().String()), slog.String("span_id", within.SpanID().String()))
	}
	return from.toText(h.text).Handle(ctx, r)
}

// WithAttrs returns a handler that adds attributes to every record.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.text, more.attrs = h.text.WithAttrs(attrs), slices.Clip(h.attrs)
	for _, a := range attrs {
		more.attrs = appendAttr(more.attrs, h.prefix, a)
	}
	return &more
}

// WithGroup returns a handler that puts a name before those that follow.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	more := *h
	more.text, more.prefix = h.text.WithGroup(name), h.prefix+name+"."
	return &more
}

// appendAttr appends an attribute, or those of a group with dotted names.
func appendAttr(list []*pluginpb.Attribute, prefix string, a slog.Attr) []*pluginpb.Attribute {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		if a.Key == "" {
			return list
		}
		return append(list, &pluginpb.Attribute{Key: cut(prefix + a.Key), Value: cut(value.String())})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range value.Group() {
		list = appendAttr(list, prefix, member)
	}
	return list
}
