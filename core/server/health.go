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

// Why a broker should get no traffic.
const (
	Draining         = "draining"
	DatabaseDown     = "db_down"
	LeaseLost        = "lease_lost"
	CheckFailed      = "readiness_check_error"
	MigrationMissing = "migration_missing"
	StageDown        = "stage_down"
)

// UnreadyReasons returns all reasons why a broker may not be ready.
func UnreadyReasons() []string {
	return []string{Draining, DatabaseDown, LeaseLost, CheckFailed, MigrationMissing, StageDown}
}

// Health is what the health routes report, of all addresses that have them. It is
// not copied. Its methods may be called concurrently.
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

	pinged   last[bool]
	migrated last[migrated]
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

func (h *Health) up() bool {
	return h.pinged.get(func(ctx context.Context) bool { return h.Ping(ctx) == nil })
}

func (h *Health) uptime() int64 { return int64(time.Since(h.Started).Seconds()) }

// health says that the process lives: always 200.
func (s *routes) health(w http.ResponseWriter, _ *http.Request) {
	db := "down"
	if s.Health.up() {
		db = "up"
	}
	s.reply(w, http.StatusOK, map[string]any{
		"status": "ok", "db": db, "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	})
}

// ready says whether the broker should get traffic. It names the links whose
// stages are down, and not why: the cause is for the operator.
func (s *routes) ready(w http.ResponseWriter, _ *http.Request) {
	if body := s.Health.unready(); body != nil {
		body["status"] = "not_ready"
		s.reply(w, http.StatusServiceUnavailable, body)
		return
	}
	body := map[string]any{
		"status": "ready", "version": s.Health.Version, "gitSha": s.Health.GitSHA, "uptime": s.Health.uptime(),
	}
	if _, others := s.Health.Down(); len(others) > 0 {
		body["degraded"] = others
	}
	s.reply(w, http.StatusOK, body)
}

// Unready returns why /health/ready answers 503 now, one of [UnreadyReasons], or "" when
// it answers 200. The store is asked as for the route: what it answered within the
// last quarter of a second counts, and one that does not answer costs up to 4 s.
func (h *Health) Unready() string {
	reason, _ := h.unready()["reason"].(string)
	return reason
}

// unready returns why the broker is not ready, nil when it is.
func (h *Health) unready() map[string]any {
	if h.Draining() {
		return map[string]any{"reason": Draining}
	}
	if !h.up() {
		return map[string]any{"reason": DatabaseDown}
	}
	if h.Held != nil && !h.Held() {
		return map[string]any{"reason": LeaseLost}
	}
	now := h.migrated.get(func(ctx context.Context) migrated {
		missing, err := h.missing(ctx)
		return migrated{missing, err}
	})
	switch {
	case now.err != nil:
		return map[string]any{"reason": CheckFailed, "error": "the store did not answer"}
	case now.missing != "":
		return map[string]any{"reason": MigrationMissing, "expected": now.missing}
	}
	if required, _ := h.Down(); len(required) > 0 {
		return map[string]any{"reason": StageDown, "stages": required}
	}
	return nil
}

// version tells what runs.
func (s *routes) version(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, map[string]any{"version": s.Health.Version, "gitSha": s.Health.GitSHA})
}
