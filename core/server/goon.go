package server

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/edge"
)

// goOn lets an answer go on with its request. The chain has heard how it began: a
// body that does not come is no decision of a stage's.
func (s *routes) goOn(w http.ResponseWriter, r *http.Request, route *api.Route, more api.Continued) {
	answer, err := more.Continue(w, r)
	switch {
	case err == nil && answer != nil:
		s.reply(w, http.StatusOK, answer)
	case err != nil:
		d := decisionOf(err)
		if refused, ok := errors.AsType[*core.Error](err); !ok || refused.Err != nil {
			s.Log.Log(r.Context(), levelOf(d.Reason), "request failed", slog.String("kind", string(route.Kind)),
				slog.String("reason", string(d.Reason)), slog.String("request", edge.RequestID(r)), slog.Any("err", errors.Join(err, causeOf(err))))
		}
		s.refused(w, r, route, d, detailOf(err))
	}
}

// causeOf returns what the caller is not told of a refusal.
func causeOf(err error) error {
	if refused, ok := errors.AsType[*core.Error](err); ok {
		return refused.Err
	}
	return nil
}
