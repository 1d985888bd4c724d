package server

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

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
	if wait, ok := s.mayGuess(r, route); !ok {
		s.tooManyGuesses(w, r, route, wait)
		return
	}
	body, ok := s.body(w, r, route)
	if !ok {
		return
	}
	req, err := route.Decode(body, r.PathValue, r.URL.Query().Get, r.Header.Get)
	if err != nil {
		s.turnedAway(r, route, decisionOf(err), detailOf(err))
		s.refused(w, r, route, decisionOf(err), detailOf(err))
		return
	}
	if len(r.Header["Authorization"]) > 1 && route.Access != feature.Anyone {
		s.turnedAway(r, route, sdk.Refuse(sdk.ReasonMalformed, "several Authorization headers"), "")
		s.refuse(w, r, http.StatusBadRequest, sdk.ReasonMalformed, "the request has several Authorization headers: send one")
		return
	}
	call := s.call(w, r, route, req, body)
	if call.HTTP.UserID != "" { // all that legacy-auth has for a proof
		if wait, ok := s.Guesses.Allowed(edge.Address(r)); !ok {
			s.tooManyGuesses(w, r, route, wait)
			return
		}
	}
	d := s.Exchange.Run(r.Context(), call.Env)
	if call.Env.Trace != "" { // for the log
		r = r.WithContext(tracing.Join(r.Context(), call.Env.Trace))
	}
	if call.Err != nil {
		s.Log.Log(r.Context(), levelOf(d.Reason), "request failed", slog.String("kind", string(route.Kind)),
			slog.String("reason", string(d.Reason)), slog.String("request", edge.RequestID(r)), slog.Any("err", call.Err))
	}
	switch d.Verdict {
	case sdk.Answer:
		if stream, ok := d.Reply.(api.Streamed); ok {
			s.Counters.since(call.Env.Arrived, route.Pattern(), counting)
			stream.Stream(w, r)
			return
		}
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

// body reads what a route wants to have. It has answered when ok is false.
func (s *routes) body(w http.ResponseWriter, r *http.Request, route *api.Route) (body []byte, ok bool) {
	if route.Body == api.BodyNone {
		return nil, true
	}
	body, err := edge.ReadBody(w, r, s.BodyBytes)
	switch {
	case errors.Is(err, edge.ErrTooLarge):
		s.turnedAway(r, route, sdk.Refuse(sdk.ReasonTooLarge, "payload too large"), "")
		s.refuse(w, r, http.StatusRequestEntityTooLarge, sdk.ReasonTooLarge, "payload too large")
	case err != nil:
		s.turnedAway(r, route, sdk.Refuse(sdk.ReasonMalformed, "the body did not arrive whole"), "")
		s.refuse(w, r, http.StatusBadRequest, sdk.ReasonMalformed, "the body did not arrive whole")
	}
	return body, err == nil
}

// call makes a request an envelope with its call.
func (s *routes) call(w http.ResponseWriter, r *http.Request, route *api.Route, req any, body []byte) *feature.Call {
	env := &sdk.Envelope{Kind: route.Kind, Size: len(body), Arrived: time.Now(), Trace: traceparent.Checked(r.Header.Get("Traceparent"))}
	env.Sender.Remote = edge.Address(r).String()
	call := &feature.Call{Env: env, Request: req, HTTP: &feature.HTTP{
		Access: route.Access, KeyNeeds: route.Key, Legacy: route.Legacy, Request: edge.RequestID(r), Route: route.Path, Status: route.StatusFor,
		Method: r.Method, Target: r.RequestURI, Body: body,
		RequestHeader: r.Header.Get,
		Authorization: r.Header.Get("Authorization"), Local: edge.Local(r), Header: w.Header(),
	}}
	if route.Legacy {
		call.HTTP.UserID = userID(r, body)
	}
	env.Body = call
	return call
}

// userID returns the account that a request names without a proof: in its body,
// or in the query of a request that has none.
func userID(r *http.Request, body []byte) string {
	var named struct {
		UserID string `json:"user_id"`
	}
	if len(body) == 0 {
		named.UserID = r.URL.Query().Get("user_id")
	} else if err := json.Unmarshal(body, &named); err != nil {
		return ""
	}
	if len(named.UserID) > maxUserID || !utf8.ValidString(named.UserID) || strings.ContainsFunc(named.UserID, unicode.IsControl) {
		return ""
	}
	return named.UserID
}

// maxUserID is how long the id of an account may be, in bytes.
const maxUserID = 256

// mayGuess reports whether a caller whose attempts were refused too often may try
// again now.
func (s *routes) mayGuess(r *http.Request, route *api.Route) (wait time.Duration, ok bool) {
	if !route.Guessable {
		return 0, true // tokens are as long as their signature: there is nothing to guess
	}
	return s.Guesses.Allowed(edge.Address(r))
}
