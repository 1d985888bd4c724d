package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store/migrate"
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

	// Down returns the names of the links whose stages are down: those that the
	// broker is not ready without, and the others.
	Down func() (required, others []string)

	// Held reports whether this broker may push to its peers; nil for a broker
	// that shares its store with nobody.
	Held func() bool

	// Expected is the migration that readiness waits for, by version, file name
	// or SHA-256, beside those that are pending; empty for none. Migrations is
	// nil when the store cannot tell.
	Expected   string
	Migrations Migrations
}

// Migrations tells what is applied to the store, asking it each time.
type Migrations interface {
	Migrations(ctx context.Context) ([]migrate.Migration, error)
	PendingMigrations(ctx context.Context) ([]migrate.Migration, error)
}

// missing returns the migration that readiness has to wait for, empty for none.
func (h *Health) missing(ctx context.Context) (string, error) {
	if h.Migrations == nil {
		return h.Expected, nil
	}
	pending, err := h.Migrations.PendingMigrations(ctx)
	switch {
	case err != nil && !errors.Is(err, migrate.ErrNewer): // that is an upgrade on its way
		return "", err
	case len(pending) > 0:
		return pending[0].Name, nil
	case h.Expected == "":
		return "", nil
	}
	applied, err := h.Migrations.Migrations(ctx)
	if err != nil || !slices.ContainsFunc(applied, h.isExpected) {
		return h.Expected, err
	}
	return "", nil
}

func (h *Health) isExpected(m migrate.Migration) bool {
	return h.Expected == m.Name || h.Expected == m.SHA256 || h.Expected == strconv.FormatInt(m.Version, 10)
}

// answerKept is for how long all who ask are told what the store answered last:
// anybody may ask, as often as they like.
const answerKept = 250 * time.Millisecond

// last remembers an answer for those who ask at about the same time.
type last[T any] struct {
	mu  sync.Mutex
	at  time.Time
	was T
}

// get returns the answer, which ask is asked for when there is none of late. Who
// comes meanwhile waits for it.
func (l *last[T]) get(ask func(context.Context) T) T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) >= answerKept {
		ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
		defer cancel()
		l.was = ask(ctx)
		l.at = time.Now()
	}
	return l.was
}

// migrated is what is known of the migrations.
type migrated struct {
	missing string
	err     error
}

func (s *routes) up() bool {
	return s.pinged.get(func(ctx context.Context) bool { return s.Health.Ping(ctx) == nil })
}

func (h *Health) uptime() int64 { return int64(time.Since(h.Started).Seconds()) }

// health says that the process lives: always 200.
func (s *routes) health(w http.ResponseWriter, _ *http.Request) {
	db := "down"
	if s.up() {
		db = "up"
	}
	s.reply(w, http.StatusOK, map[string]any{
		"status": "ok", "db": db, "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	})
}

// ready says whether the broker should get traffic. It names the links whose
// stages are down, and not why: the cause is for the operator.
func (s *routes) ready(w http.ResponseWriter, _ *http.Request) {
	required, others := s.Health.Down()
	body := s.notReady()
	if body == nil && len(required) > 0 {
		body = map[string]any{"reason": "stage_down", "stages": required}
	}
	if body != nil {
		body["status"] = "not_ready"
		s.reply(w, http.StatusServiceUnavailable, body)
		return
	}
	body = map[string]any{
		"status": "ready", "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	}
	if len(others) > 0 {
		body["degraded"] = others
	}
	s.reply(w, http.StatusOK, body)
}

// notReady returns why the broker is not ready, nil when it is.
func (s *routes) notReady() map[string]any {
	h := &s.Health
	if h.Draining() {
		return map[string]any{"reason": "draining"}
	}
	if !s.up() {
		return map[string]any{"reason": "db_down"}
	}
	if h.Held != nil && !h.Held() {
		return map[string]any{"reason": "lease_lost"}
	}
	now := s.migrated.get(func(ctx context.Context) migrated {
		missing, err := h.missing(ctx)
		return migrated{missing, err}
	})
	switch {
	case now.err != nil:
		return map[string]any{"reason": "readiness_check_error", "error": "the store did not answer"}
	case now.missing != "":
		return map[string]any{"reason": "migration_missing", "expected": now.missing}
	}
	return nil
}

// version tells what runs.
func (s *routes) version(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, map[string]any{"version": s.Health.Version, "gitSha": s.Health.GitSHA})
}
