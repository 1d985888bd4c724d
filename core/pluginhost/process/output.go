package process

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	tailBytes  = 64 << 10 // of stderr that are kept for the report of a crash
	lineBytes  = 8 << 10  // of a line that are forwarded; the rest is cut off
	panicBytes = 500      // of the line that a panic starts with
	lineBudget = 200      // lines that are forwarded in a second
)

// output is where everything that a plugin prints ends. It never holds more
// than a few limits' worth, and blocks only in forward.
type output struct {
	forward func(stream, line string) // may be nil

	mu      sync.Mutex
	tail    []byte // of stderr; up to twice tailBytes
	panic   string // last line on stderr that a panic starts with
	since   time.Time
	lines   int // forwarded since then
	left    int // left out since then
	timer   *time.Timer
	closed  bool
	streams []*stream
}

// stream returns a writer for one of the ways on which a plugin prints.
func (o *output) stream(name string) *stream {
	s := &stream{out: o, name: name}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams = append(o.streams, s)
	return s
}

// stream cuts what is written to it into lines.
type stream struct {
	out  *output
	name string

	// Guarded by out.mu.
	partial []byte // a line without its end, up to lineBytes
	cut     bool   // the line was longer
}

// Write never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.name == stderrName {
		s.out.keep(p)
	}
	for rest := p; ; {
		line, more, ended := bytes.Cut(rest, []byte{'\n'})
		s.add(line)
		if !ended {
			return len(p), nil
		}
		s.endLine()
		rest = more
	}
}

func (s *stream) add(part []byte) {
	if room := lineBytes - len(s.partial); len(part) > room {
		part, s.cut = part[:room], true
	}
	s.partial = append(s.partial, part...)
}

func (s *stream) endLine() {
	line := strings.TrimSuffix(string(s.partial), "\r")
	if s.cut {
		line += " …"
	}
	s.partial, s.cut = s.partial[:0], false
	if s.name == stderrName && startsPanic(line) {
		s.out.panic = line[:min(len(line), panicBytes)]
	}
	s.out.line(s.name, line)
}

func startsPanic(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}

// keep appends to the tail. The caller holds the lock.
func (o *output) keep(p []byte) {
	p = p[max(0, len(p)-tailBytes):]
	if len(o.tail)+len(p) > 2*tailBytes {
		o.tail = o.tail[:copy(o.tail, o.tail[len(o.tail)-tailBytes:])]
	}
	o.tail = append(o.tail, p...)
}

// line forwards a line or counts it. The caller holds the lock.
func (o *output) line(stream, line string) {
	if o.forward == nil || o.closed {
		return
	}
	if now := time.Now(); now.Sub(o.since) >= time.Second {
		o.tellLeft()
		o.since, o.lines = now, 0
	}
	if o.lines < lineBudget {
		o.lines++
		o.forward(stream, line)
		return
	}
	if o.left++; o.left == 1 {
		o.timer = time.AfterFunc(time.Until(o.since.Add(time.Second)), o.tick)
	}
}

// tick tells what was left out when no further line does.
func (o *output) tick() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.tellLeft()
	}
}

func (o *output) tellLeft() {
	if o.left == 0 {
		return
	}
	o.forward(stderrName, fmt.Sprintf("%d more lines were left out: a plugin may print %d in a second", o.left, lineBudget))
	o.left = 0
	o.timer.Stop()
}

// close forwards what waits and nothing after it.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.streams {
		if len(s.partial) > 0 {
			s.endLine()
		}
	}
	o.tellLeft()
	o.closed = true
}

// report returns the end of stderr and the line of a panic.
func (o *output) report() (tail, panicLine string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.tail[max(0, len(o.tail)-tailBytes):]), o.panic
}
