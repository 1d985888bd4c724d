package plugin

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// A program whose code panics this often is not to be trusted with more: it
// ends, and the broker decides whether to start it again.
const (
	mostPanics   = 3
	panicsWithin = time.Minute
	longestStack = longestText
)

// panics counts the last panics. Safe for concurrent use.
type panics struct {
	mu   sync.Mutex
	last [mostPanics]time.Time // of the last ones, the oldest first
}

// count reports whether this panic was one too many.
func (p *panics) count(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	copy(p.last[:], p.last[1:])
	p.last[mostPanics-1] = now
	return !p.last[0].IsZero() && now.Sub(p.last[0]) < panicsWithin
}

// panicked logs a panic of the author's code and returns what the broker is
// told. It is called from the deferred function that recovered, with the context
// of the call.
func (s *service) panicked(ctx context.Context, where string, in *instance, value any) error {
	stack := debug.Stack()
	if len(stack) > longestStack {
		stack = stack[:longestStack]
	}
	s.log.LogAttrs(ctx, slog.LevelError, "panic in "+where,
		slog.String("stage", in.stage), slog.Any("panic", value), slog.String("stack", string(stack)))
	if s.panics.count(time.Now()) {
		s.fatal(fmt.Errorf("%d panics within %v; the last in %s of %s: %v\n%s", mostPanics, panicsWithin, where, in.stage, value, stack))
	}
	return &panicError{value}
}

// panicError is a panic of the author's code that was recovered.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }
