package store

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// AskAgain is the pause between attempts to reach a database that does not
// answer.
const AskAgain = 100 * time.Millisecond

// Patience is how long those who do one kind of thing wait for a database that
// does not answer ([ErrUnavailable]): until it has not answered for a time,
// counted over all of them. From then on each tries once, until one gets an
// answer. Reads and writes need one each: a database may answer the one and not
// the other. Methods may be called concurrently.
type Patience struct {
	wait time.Duration
	log  *slog.Logger

	mu   sync.Mutex
	away time.Time // since when the database does not answer; zero while it does
}

// NewPatience returns a patience of a time, 0 for none. It logs when the database
// stops to answer, and when it answers again.
func NewPatience(wait time.Duration, log *slog.Logger) *Patience {
	return &Patience{wait: wait, log: log}
}

// Enough reports whether an answer, or its lack, is the last word. Who gets false
// tries again after [AskAgain].
func (p *Patience) Enough(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(err, ErrUnavailable) {
		if !p.away.IsZero() {
			p.log.Info("the database answers again", slog.Duration("after", time.Since(p.away)))
		}
		p.away = time.Time{}
		return true
	}
	if p.away.IsZero() {
		p.away = time.Now()
		p.log.Warn("the database does not answer", slog.Any("err", err))
	}
	return time.Since(p.away) >= p.wait
}
