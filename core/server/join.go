package server

import (
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// join enrols a stranger who holds an invite.
func (s *routes) join(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.BodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		s.refuse(w, http.StatusRequestEntityTooLarge, "payload too large")
		return
	case err != nil:
		s.refuse(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	req := new(feature.JoinRequest)
	if err := json.Unmarshal(body, req); err != nil {
		s.refuse(w, http.StatusBadRequest, "the body must be a JSON object with invite_token, invite_payload, peer_pubkey, display_name")
		return
	}
	d := s.Exchange.Run(r.Context(), s.envelope(r, sdk.KindJoin, req, len(body)))
	if d.Verdict == sdk.Answer {
		s.reply(w, http.StatusOK, d.Reply)
		return
	}
	if d.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.RetryAfter.Seconds()))))
	}
	s.refuse(w, status(d.Reason), joinError(d))
}

// joinError is what the body's error says: the word where there is one, prose
// for a body that is wrong.
func joinError(d sdk.Decision) string {
	if d.Reason == sdk.ReasonMalformed {
		return d.Text
	}
	return string(d.Reason)
}

// status is the HTTP status of a refusal.
func status(r sdk.Reason) int {
	switch r {
	case sdk.ReasonUnavailable, sdk.ReasonShuttingDown:
		return http.StatusServiceUnavailable
	case sdk.ReasonRateLimit:
		return http.StatusTooManyRequests
	case sdk.ReasonStageFailed, sdk.ReasonUnanswered, sdk.ReasonInternal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

func (s *routes) refuse(w http.ResponseWriter, status int, text string) {
	s.reply(w, status, map[string]any{"ok": false, "error": text})
}

// envelope makes an HTTP request an envelope.
func (s *routes) envelope(r *http.Request, kind sdk.Kind, req any, size int) *sdk.Envelope {
	env := &sdk.Envelope{Kind: kind, Size: size, Arrived: time.Now(), Trace: r.Header.Get("Traceparent")}
	env.Sender.Remote = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		env.Sender.Remote = host
	}
	env.Body = &feature.Call{Env: env, Request: req}
	return env
}
