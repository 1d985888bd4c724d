package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

const (
	// dryRunEvery is how often the files are looked at while somebody watches, and
	// dryRunTimeout bounds a dry run, which starts the programs that are new.
	dryRunEvery   = 5 * time.Second
	dryRunTimeout = 2 * time.Minute
)

// dryRun is what a reload would do.
type dryRun struct {
	done    bool
	answer  *admin.Reload
	refused string // why it would be refused
	at      time.Time
}

// lookAtFiles returns what makes a dry run when the config file, or a program of
// the chain that runs, is another than at the last one. A file that has just
// changed is left alone until the next look finds the same: somebody may still
// be writing it, and the broker may be about to reload by itself.
func (s *consoleSource) lookAtFiles() func(context.Context) (dryRun, error) {
	var last dryRun
	var seen, made string // marks of the files at the last look, and at the last dry run
	return func(ctx context.Context) (dryRun, error) {
		mark := s.mark()
		settled := mark == seen || !last.done
		seen = mark
		if mark == made || !settled || s.options.Check == nil {
			return last, nil
		}
		made = mark
		last = s.dryRunNow(ctx)
		return last, nil
	}
}

// dryRunNow makes a dry run.
func (s *consoleSource) dryRunNow(ctx context.Context) dryRun {
	ctx, cancel := context.WithTimeout(ctx, dryRunTimeout)
	defer cancel()
	answer, err := s.options.Check(ctx)
	run := dryRun{done: true, answer: answer, at: time.Now()}
	if err != nil {
		_, run.refused = admin.Explain(err)
		run.answer = nil
	}
	return run
}

// mark tells one state of the files, and of what runs, from another.
func (s *consoleSource) mark() string {
	h := sha256.New()
	if f, err := os.Open(s.options.File); err == nil {
		_, err = io.Copy(h, f)
		fmt.Fprint(h, err, f.Close())
	}
	if s.options.Loaded != nil {
		fmt.Fprintln(h, s.options.Loaded().Generation)
	}
	for _, l := range s.app.Config().Pipeline {
		if l.Plugin == nil {
			continue
		}
		if info, err := os.Stat(l.Plugin.Path); err == nil {
			fmt.Fprintln(h, l.Plugin.Path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return string(h.Sum(nil))
}
