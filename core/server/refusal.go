package server

import (
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/edge"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// refused answers a refusal in the route's words, with a detail beside them where
// there is one.
func (s *routes) refused(w http.ResponseWriter, r *http.Request, route *api.Route, d sdk.Decision, detail string) {
	status := route.StatusFor(d.Reason)
	if route.Guessable && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
		s.Guesses.Failed(edge.Address(r))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="broker"`)
	}
	s.retryAfter(w, d.RetryAfter)
	text := d.Text
	switch {
	case status == http.StatusInternalServerError:
		text, detail = "the broker could not do this; its operator finds the cause in the log, under the request_id", ""
		s.Log.ErrorContext(r.Context(), "request failed", slog.String("kind", string(route.Kind)), slog.String("reason", string(d.Reason)),
			slog.String("request", edge.RequestID(r)), slog.String("text", d.Text))
	case text == string(d.Reason) && whatToDo[d.Reason] != "":
		detail = whatToDo[d.Reason]
	case route.Words && (route.AllWords || d.Reason != sdk.ReasonMalformed && d.Reason != sdk.ReasonInvalid) || text == "":
		text, detail = string(d.Reason), d.Text
	}
	body := refusal{Error: text, Code: d.Reason, Detail: detail}
	if route.Finds {
		body.Found = new(bool)
	}
	s.answerRefused(w, r, status, body)
}

// whatToDo goes beside words that clients look for in the place of a sentence.
var whatToDo = map[sdk.Reason]string{
	feature.ReasonNoBearer: "this route asks who calls: sign in and send the token as Authorization: Bearer; " +
		"where a member alone will do, sign the request with its key",
	feature.ReasonBadBearer: "the token is wrong, revoked or over, or its account is disabled: sign in again",
}

// retryAfter says when to try again, in whole seconds.
func (*routes) retryAfter(w http.ResponseWriter, wait time.Duration) {
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// shown is a method, or that it is none that we know: the log is not the
// caller's to write to.
func shown(method string) string {
	if slices.Contains(methods, method) || method == http.MethodOptions {
		return method
	}
	return "other"
}

// refusal is the one shape of an error. Clients of the original look for ok or
// for error, whichever the route had.
type refusal struct {
	OK      bool       `json:"ok"`
	Error   string     `json:"error"`
	Code    sdk.Reason `json:"code"`
	Detail  string     `json:"detail,omitempty"` // the sentence, where the error is a word
	Request string     `json:"request_id,omitempty"`
	Found   *bool      `json:"found,omitempty"` // false where the answer would say true
}

func (s *routes) refuse(w http.ResponseWriter, r *http.Request, status int, code sdk.Reason, text string) {
	s.answerRefused(w, r, status, refusal{Error: text, Code: code})
}

// answerRefused leaves a line in the log for whoever looks for a request by its
// id. Strangers can cause as many as they like, so it is only for those who look
// closely.
func (s *routes) answerRefused(w http.ResponseWriter, r *http.Request, status int, body refusal) {
	body.Request = edge.RequestID(r)
	s.Log.DebugContext(r.Context(), "request refused", slog.String("method", shown(r.Method)), slog.String("route", r.Pattern),
		slog.Int("status", status), slog.String("reason", string(body.Code)), slog.String("request", body.Request))
	s.reply(w, status, body)
}
