package supervise_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	processtest.Run()
	goleak.VerifyTestMain(m)
}

// life is one in memory.
type life struct {
	once sync.Once
	done chan struct{}
	exit process.Exit
}

func newLife() *life { return &life{done: make(chan struct{})} }

func (l *life) end(e process.Exit) {
	l.once.Do(func() {
		l.exit = e
		close(l.done)
	})
}

func (l *life) Done() <-chan struct{} { return l.done }
func (l *life) Exit() process.Exit    { return l.exit }
func (l *life) Kill()                 { l.end(process.Exit{Code: -1, Signal: "killed"}) }

func (l *life) Stop(context.Context) error {
	l.end(process.Exit{})
	return nil
}

// plugin is a program in memory, and notes what happens to its lives.
type plugin struct {
	startErr func() error // nil: starts do not fail
	upErr    func() error

	mu     sync.Mutex
	begun  time.Time
	starts []time.Duration // since begun
	lives  []*life
	ups    int
	downs  []string
	rests  []time.Duration // how long it is to rest; -1: until it is resumed
}

func (p *plugin) options(log *slog.Logger) supervise.Options {
	return supervise.Options{
		Name: func() string { return "filter" }, Start: p.start, Up: p.up, Down: p.down, Rest: p.rest, Log: log,
		Restart: supervise.Restart{Jitter: -1},
	}
}

func (p *plugin) start(ctx context.Context) (supervise.Life, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	p.starts = append(p.starts, time.Since(p.begun))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if p.startErr != nil {
		if err := p.startErr(); err != nil {
			return nil, err
		}
	}
	l := newLife()
	p.lives = append(p.lives, l)
	return l, nil
}

func (p *plugin) up(supervise.Life) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ups++
	if p.upErr != nil {
		return p.upErr()
	}
	return nil
}

func (p *plugin) down(exit error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := "stopped"
	if exit != nil {
		text = exit.Error()
	}
	p.downs = append(p.downs, text)
}

func (p *plugin) rest(_ error, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next.IsZero() {
		p.rests = append(p.rests, -1)
		return
	}
	p.rests = append(p.rests, time.Until(next))
}

// crash ends the latest life and lets the supervisor do what it does at once.
func (p *plugin) crash() {
	p.mu.Lock()
	l := p.lives[len(p.lives)-1]
	p.mu.Unlock()
	l.end(process.Exit{Code: 1, Stderr: "boom\n"})
	synctest.Wait()
}

func (p *plugin) started() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.starts)
}

// journal is a log to look at.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), what)
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

var errNo = errors.New("no")
