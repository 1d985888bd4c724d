package sse

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"
)

// retry is what callers are told to wait before they come back.
const retry = time.Second

// Answer writes a stream to one caller.
type Answer struct {
	streams *Streams
	held    *held
	turn    uint64
	resumed bool
	online  func() // nil where the session has the stream

	// Good reports whether what proved the caller still does; nil for always. It is
	// asked between signs of life.
	Good func(ctx context.Context) bool
}

// Ready is the first event of an answer.
type Ready struct {
	Resumed bool   `json:"resumed"` // the stream goes on behind Last-Event-ID; else all that is not confirmed comes again
	Session string `json:"session"` // presence id
	Seconds int    `json:"seconds"` // how long the answer lasts
}

// Write writes events until the answer, the stream or the caller is gone.
func (a *Answer) Write(w http.ResponseWriter, r *http.Request) {
	how := mayResume
	defer func() { a.streams.release(a.held, a.turn, how) }()
	a.streams.begun(a.held, a.turn)
	Head(w)
	out := &writer{w: w, c: http.NewResponseController(w), by: a.streams.options.WriteBy}
	defer func() {
		if errors.Is(out.err, os.ErrDeadlineExceeded) {
			a.streams.Counters.Slow.Add(1)
		}
	}()
	_ = out.c.SetReadDeadline(time.Time{}) // the request is read; that its caller goes is seen without it
	out.text("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\n")
	out.json("ready", Ready{
		Resumed: a.resumed, Session: a.held.session.ID, Seconds: int(a.streams.options.Lasts.Seconds()),
	})
	if !out.flush() {
		return
	}
	if a.online != nil {
		a.online()
	}
	how = a.write(r.Context(), out)
}

// ending says what becomes of a stream when its answer has ended.
type ending int

const (
	mayResume ending = iota // its caller may come back
	isOver                  // its session may come back
	goodbye                 // its session ends
)

// write returns what becomes of the stream.
func (a *Answer) write(ctx context.Context, out *writer) ending {
	end, beat := time.NewTimer(a.streams.options.Lasts), time.NewTicker(a.streams.options.Beat)
	defer end.Stop()
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return mayResume
		case <-a.held.wake:
		case <-beat.C:
			out.text(":\n\n")
			if a.Good != nil && !a.Good(ctx) {
				out.json("closed", Closed{Reason: reasonCredential})
				out.flush()
				return goodbye
			}
		case <-end.C:
			out.json("closed", Closed{Reason: reasonResume})
			out.flush()
			return mayResume
		}
		b := a.held.next(a.turn)
		for _, e := range b.events {
			out.event(e)
		}
		if b.end != nil {
			out.json("closed", b.end)
		}
		sent := out.flush()
		if sent {
			a.held.written(time.Now())
		}
		switch {
		case b.over:
			return isOver
		case !sent || b.end != nil:
			return mayResume
		}
	}
}

// Head writes the header of an answer.
func Head(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that know it pass on what comes
	w.WriteHeader(http.StatusOK)
}

// writer writes events, each flush by its own deadline.
type writer struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	by  time.Duration
	set bool
	err error
}

func (o *writer) text(parts ...string) {
	if !o.set {
		o.set = true
		_ = o.c.SetWriteDeadline(time.Now().Add(o.by)) // without deadlines the caller is only believed for longer
	}
	for _, p := range parts {
		if o.err == nil {
			_, o.err = o.w.Write([]byte(p))
		}
	}
}

func (o *writer) event(e event) {
	if e.id != "" {
		o.text("id: ", e.id, "\n")
	}
	o.text("event: ", e.name, "\ndata: ", string(e.data), "\n\n")
}

func (o *writer) json(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		o.err = err
		return
	}
	o.event(event{name: name, data: data})
}

// flush reports whether all that was written has gone out.
func (o *writer) flush() bool {
	if o.err == nil {
		o.err = o.c.Flush()
	}
	o.set = false
	return o.err == nil
}
