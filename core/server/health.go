package server

import (
	"context"
	"net/http"
	"time"
)

// pingTimeout bounds the question to the store behind the health routes.
const pingTimeout = 2 * time.Second

// Health is what the health routes report.
type Health struct {
	Version  string
	GitSHA   string
	Started  time.Time
	Ping     func(context.Context) error // asks the store
	Draining func() bool                 // the broker is about to stop

	// Migration reports whether the migration that readiness waits for is
	// applied. An empty Expected means that it waits for none.
	Expected  string
	Migration func(ctx context.Context, expected string) (bool, error)
}

func (h *Health) up(r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	return h.Ping(ctx) == nil
}

func (h *Health) uptime() int64 { return int64(time.Since(h.Started).Seconds()) }

// health says that the process lives: always 200.
func (s *routes) health(w http.ResponseWriter, r *http.Request) {
	db := "down"
	if s.Health.up(r) {
		db = "up"
	}
	s.reply(w, http.StatusOK, map[string]any{
		"status": "ok", "db": db, "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	})
}

// ready says whether the broker should get traffic.
func (s *routes) ready(w http.ResponseWriter, r *http.Request) {
	if body := s.notReady(r); body != nil {
		body["status"] = "not_ready"
		s.reply(w, http.StatusServiceUnavailable, body)
		return
	}
	s.reply(w, http.StatusOK, map[string]any{
		"status": "ready", "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	})
}

// notReady returns why the broker is not ready, nil when it is.
func (s *routes) notReady(r *http.Request) map[string]any {
	h := &s.Health
	if h.Draining() {
		return map[string]any{"reason": "draining"}
	}
	if !h.up(r) {
		return map[string]any{"reason": "db_down"}
	}
	if h.Expected == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	applied, err := h.Migration(ctx, h.Expected)
	switch {
	case err != nil:
		return map[string]any{"reason": "readiness_check_error", "error": "the store did not answer"}
	case !applied:
		return map[string]any{"reason": "migration_missing", "expected": h.Expected}
	}
	return nil
}
