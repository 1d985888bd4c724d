package server

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/traceparent"
	"github.com/claudemesh/broker/sdk"
)

// read makes a request a call. It has refused it when ok is false.
func (s *routes) read(w http.ResponseWriter, r *http.Request, route *api.Route) (call *feature.Call, ok bool) {
	if wait, ok := s.mayGuess(r, route); !ok {
		s.tooManyGuesses(w, r, route, wait)
		return nil, false
	}
	body, ok := s.body(w, r, route)
	if !ok {
		return nil, false
	}
	req, err := route.Decode(body, r.PathValue, r.URL.Query().Get, r.Header.Get)
	if err != nil {
		s.turnedAway(r, route, decisionOf(err), detailOf(err))
		s.refused(w, r, route, decisionOf(err), detailOf(err))
		return nil, false
	}
	if len(r.Header["Authorization"]) > 1 && route.Access != feature.Anyone {
		s.turnedAway(r, route, sdk.Refuse(sdk.ReasonMalformed, "several Authorization headers"), "")
		s.refuse(w, r, http.StatusBadRequest, sdk.ReasonMalformed, "the request has several Authorization headers: send one")
		return nil, false
	}
	call = s.call(w, r, route, req, body)
	if call.HTTP.UserID != "" { // all that legacy-auth has for a proof
		if wait, ok := s.Guesses.Allowed(edge.Address(r)); !ok {
			s.tooManyGuesses(w, r, route, wait)
			return nil, false
		}
	}
	return call, true
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
