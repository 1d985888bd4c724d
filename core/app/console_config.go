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

	// dryRunAgain is how long after a dry run that was refused the same files are
	// tried again: each time twice as long, up to dryRunSeldom.
	dryRunAgain  = 30 * time.Second
	dryRunSeldom = 30 * time.Minute
)

// dryRun is what a reload would do.
type dryRun struct {
	done    bool
	answer  *admin.Reload
	refused string    // why it would be refused
	at      time.Time // when that was known
	again   time.Time // when it is tried again, if the files stay as they are; zero: it is not
}

// dryRuns makes a dry run when one may say something else than the last. It
// belongs to the goroutine that calls look.
type dryRuns struct {
	check func(ctx context.Context) (*admin.Reload, error) // nil: nothing can be loaded
	mark  func() string                                    // tells one state of the files from another

	last       dryRun
	seen, made string        // marks at the last look, and at the last dry run
	pause      time.Duration // after the last dry run, if it was refused
}

// look returns the newest dry run, and makes one first where one is due. It never
// fails.
func (d *dryRuns) look(ctx context.Context) (dryRun, error) {
	mark := d.mark()
	settled := d.settled(mark)
	d.seen = mark
	if d.check != nil && settled && d.due(mark) {
		d.try(ctx, mark)
	}
	return d.last, nil
}

// settled reports whether the files may be tried as they are: a file that has
// just changed is left alone until the next look finds the same, since somebody
// may still be writing it, and the broker may be about to reload by itself. The
// first dry run waits for nothing.
func (d *dryRuns) settled(mark string) bool { return !d.last.done || mark == d.seen }

// due reports whether the files are others than at the last dry run, or that one
// was refused a while ago: what refused it may have been the machine, such as a
// program that was slow to start.
func (d *dryRuns) due(mark string) bool {
	again := d.last.again
	return mark != d.made || !again.IsZero() && !time.Now().Before(again)
}

// try makes a dry run of the files with a mark.
func (d *dryRuns) try(ctx context.Context, mark string) {
	if mark != d.made {
		d.made, d.pause = mark, 0
	}
	ctx, cancel := context.WithTimeout(ctx, dryRunTimeout)
	defer cancel()
	answer, err := d.check(ctx)
	d.last = dryRun{done: true, answer: answer, at: time.Now()}
	if err != nil {
		d.last.answer = nil
		_, d.last.refused = admin.Explain(err)
		d.pause = min(max(2*d.pause, dryRunAgain), dryRunSeldom)
		d.last.again = d.last.at.Add(d.pause)
	}
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
