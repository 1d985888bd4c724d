package server

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// serve takes a request through the chain, as an envelope of its route's kind.
func (s *routes) serve(w http.ResponseWriter, r *http.Request, route *api.Route) {
	counting := &counted{ResponseWriter: w, status: http.StatusOK}
	defer s.Counters.since(time.Now(), route.Pattern(), counting)
	w = counting
	call, ok := s.read(w, r, route)
	if !ok {
		return
	}
	d := s.Exchange.Run(r.Context(), call.Env)
	if call.Env.Trace != "" { // for the log
		r = r.WithContext(tracing.Join(r.Context(), call.Env.Trace))
	}
	if call.Err != nil {
		s.Log.Log(r.Context(), levelOf(d.Reason), "request failed", slog.String("kind", string(route.Kind)),
			slog.String("reason", string(d.Reason)), slog.String("request", edge.RequestID(r)), slog.Any("err", call.Err))
	}
	if stream, ok := d.Reply.(api.Streamed); ok && d.Verdict == sdk.Answer {
		s.Counters.since(call.Env.Arrived, route.Pattern(), counting)
		stream.Stream(w, r)
		return
	}
	s.answer(w, r, route, call, d)
}

// answer writes what became of a request.
func (s *routes) answer(w http.ResponseWriter, r *http.Request, route *api.Route, call *feature.Call, d sdk.Decision) {
	switch d.Verdict {
	case sdk.Answer:
		if more, ok := d.Reply.(api.Continued); ok {
			s.goOn(w, r, route, more)
			return
		}
		s.reply(w, http.StatusOK, d.Reply)
	case sdk.Drop:
		s.reply(w, http.StatusOK, map[string]any{"ok": true})
	default:
		if call.HTTP.UserID != "" && d.Reason == feature.ReasonNoBearer {
			s.Guesses.Failed(edge.Address(r))
		}
		s.refused(w, r, route, d, call.Detail)
	}
}

func (s *routes) tooManyGuesses(w http.ResponseWriter, r *http.Request, route *api.Route, wait time.Duration) {
	const text = "too many refused attempts: try again later"
	s.turnedAway(r, route, sdk.Refuse(sdk.ReasonRateLimit, text), "")
	s.retryAfter(w, wait)
	s.refuse(w, r, http.StatusTooManyRequests, sdk.ReasonRateLimit, text)
}

// turnedAway remembers a request that is refused before it is an envelope.
func (s *routes) turnedAway(r *http.Request, route *api.Route, d sdk.Decision, detail string) {
	env := &sdk.Envelope{Kind: route.Kind, Arrived: time.Now(), Trace: traceparent.Checked(r.Header.Get("Traceparent"))}
	env.Sender.Remote = edge.Address(r).String()
	env.Body = &feature.Call{Env: env, Detail: detail, HTTP: &feature.HTTP{Request: edge.RequestID(r), Route: route.Path, Method: r.Method, Status: route.StatusFor}}
	s.Exchange.Refused(env, d)
}

// levelOf says how loud a refusal is logged: one that is the broker's fault is
// for the operator.
func levelOf(reason sdk.Reason) slog.Level {
	if api.StatusOf(reason) >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func decisionOf(err error) sdk.Decision {
	if refused, ok := errors.AsType[*core.Error](err); ok {
		return refused.Decision()
	}
	return sdk.Refuse(sdk.ReasonMalformed, "the request cannot be read")
}

// detailOf returns what a refusal says beside its text.
func detailOf(err error) string {
	if refused, ok := errors.AsType[*core.Error](err); ok {
		return refused.Detail
	}
	return ""
}

// mayGuess reports whether a caller whose attempts were refused too often may try
// again now.
func (s *routes) mayGuess(r *http.Request, route *api.Route) (wait time.Duration, ok bool) {
	if !route.Guessable {
		return 0, true // tokens are as long as their signature: there is nothing to guess
	}
	return s.Guesses.Allowed(edge.Address(r))
}
