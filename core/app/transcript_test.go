package app_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite answers in testdata/transcripts that have changed")

// TestTranscripts plays what goes over each socket, in order. A line of a
// transcript is one of
//
//	peer ada owner; peer bo base    two peers come; see actor for the options
//	ada> {"type":"list_peers"}      ada writes this frame, exactly
//	ada< {"type":"peers_list"}      the next frame that ada gets has these keys, and maybe others
//	ada closed 1008 bad_signature   ada's connection was closed so
//	ada cut                         ada's connection breaks
//	ada closes                      ada says goodbye
//	ada back                        ada connects again
//	grant bo ada read dm            bo allows ada this, and nothing else
//
// In frames $ada is ada's routing key; see [actor.vars] for the rest. $mesh is
// the mesh. A value "$1" in an answer is remembered, and has to be the same
// wherever it comes again; "*" is any value, "text*" any text that begins so,
// and "!" a key that must not be there. Events are left out, but for peers that
// ask for them. At the end nobody may have got anything more.
func TestTranscripts(t *testing.T) {
	playAll(t, func(t *testing.T) *rig { return newRig(t, withFiles(t)) })
}

// The same on the other engine, by a broker that is one of possibly many.
func TestTranscriptsOnPostgres(t *testing.T) {
	if *update {
		t.Skip("the embedded store's answers are written down")
	}
	playAll(t, func(t *testing.T) *rig { return newNodes(t, 1, withFiles(t)).list[0] })
}

func playAll(t *testing.T, begin func(*testing.T) *rig) {
	t.Helper()
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &play{t: t, r: begin(t), file: file, peers: map[string]*actor{}, bound: map[string]string{}}
			p.lines = strings.Split(string(text), "\n")
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the last line played was %s:%d: %s", file, p.at+1, p.lines[p.at])
				}
			})
			for p.at = range p.lines {
				p.line(p.lines[p.at])
			}
			p.end()
			if after := strings.Join(p.lines, "\n"); *update && after != string(text) {
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// play is one transcript while it runs.
type play struct {
	t     *testing.T
	r     *rig
	file  string
	lines []string
	at    int // index of the current line
	peers map[string]*actor
	bound map[string]string // values of $1, $2 …, as JSON
}

var (
	frameLine  = regexp.MustCompile(`^([a-z0-9]+)([<>]) ?(.*)$`)
	closedLine = regexp.MustCompile(`^([a-z0-9]+) closed (\d+) (.*)$`)
)

func (p *play) line(text string) {
	p.t.Helper()
	if text == "" || strings.HasPrefix(text, "#") {
		return
	}
	if m := frameLine.FindStringSubmatch(text); m != nil {
		if m[2] == ">" {
			p.actor(m[1]).socket.write(p.fill(m[3]))
		} else {
			p.want(p.actor(m[1]), m[3])
		}
		return
	}
	if m := closedLine.FindStringSubmatch(text); m != nil {
		p.wantClosed(p.actor(m[1]), m[2], m[3])
		return
	}
	for command := range strings.SplitSeq(text, ";") {
		p.command(strings.Fields(command))
	}
}

func (p *play) command(words []string) {
	p.t.Helper()
	switch {
	case len(words) > 1 && words[0] == "peer":
		p.enter(words[1], words[2:])
	case len(words) > 2 && words[0] == "grant":
		p.grant(p.actor(words[1]), p.actor(words[2]), words[3:])
	case len(words) == 2 && words[1] == "cut":
		p.leave(p.actor(words[0]), (*socket).cut)
	case len(words) == 2 && words[1] == "closes":
		p.leave(p.actor(words[0]), (*socket).bye)
	case len(words) == 2 && words[1] == "back":
		p.connect(p.actor(words[0]))
	default:
		p.fail("cannot read %q", strings.Join(words, " "))
	}
}

// fail ends the play with the place in the transcript.
func (p *play) fail(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s:%d: %s", p.file, p.at+1, fmt.Sprintf(format, args...))
}

func (p *play) actor(name string) *actor {
	p.t.Helper()
	a := p.peers[name]
	if a == nil {
		p.fail("nobody is called %s", name)
	}
	return a
}

var (
	variable = regexp.MustCompile(`\$([a-z]+)(?:\.([a-z_]+))?`)
	binding  = regexp.MustCompile(`"?\$(\d+)"?`)
)

// named puts in what names stand for.
func (p *play) named(text string) string {
	p.t.Helper()
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		m := variable.FindStringSubmatch(v)
		if v == "$mesh" {
			return p.r.mesh.ID
		}
		value, ok := p.actor(m[1]).vars()[m[2]]
		if !ok {
			p.fail("%s: nothing is called %s", v, m[2])
		}
		return value
	})
}

// fill puts in all variables of a frame to write.
func (p *play) fill(text string) string {
	p.t.Helper()
	return binding.ReplaceAllStringFunc(p.named(text), func(v string) string {
		value, ok := p.bound[strings.Trim(v, `$"`)]
		if !ok {
			p.fail("%s was not in any answer yet", v)
		}
		return value
	})
}

// want takes a peer's next frame and compares.
func (p *play) want(a *actor, text string) {
	p.t.Helper()
	frame := a.socket.next(a.events)
	problem := p.match(p.named(text), frame)
	switch {
	case problem == "":
		a.greeted = a.greeted || strings.Contains(frame, `"type":"hello_ack"`)
	case *update:
		p.lines[p.at] = a.name + "< " + p.general(frame)
	default:
		p.t.Errorf("%s:%d: %s\n got %s\nwant %s", p.file, p.at+1, problem, frame, p.named(text))
	}
}

func (p *play) wantClosed(a *actor, code, reason string) {
	p.t.Helper()
	if frame, ok := a.socket.take(patience); !ok || frame != nil && !isEvent(frame) {
		p.fail("got %s, want the end of the connection", frame)
	}
	gotCode, gotReason := a.socket.closed()
	a.gone = true
	switch {
	case strconv.Itoa(gotCode) == code && isLike(reason, gotReason):
	case *update:
		p.lines[p.at] = fmt.Sprintf("%s closed %d %s", a.name, gotCode, gotReason)
	default:
		p.t.Errorf("%s:%d: closed with %d %s, want %s %s", p.file, p.at+1, gotCode, gotReason, code, reason)
	}
}

// end sees to it that nobody has got anything more.
func (p *play) end() {
	p.t.Helper()
	if err := p.r.app.Settle(context.Background()); err != nil {
		p.fail("settle: %v", err)
	}
	for _, a := range p.peers {
		if !a.greeted || a.gone {
			continue
		}
		for _, frame := range a.socket.settle() {
			if a.events || !isEvent(frame) {
				p.t.Errorf("%s: %s got one more frame: %s", p.file, a.name, frame)
			}
		}
	}
}

// words reports whether any of the options is one of these, and takes it out.
func words(options *[]string, any ...string) bool {
	i := slices.IndexFunc(*options, func(o string) bool { return slices.Contains(any, o) })
	if i < 0 {
		return false
	}
	*options = slices.Delete(*options, i, i+1)
	return true
}

// setting takes name=value out of the options.
func setting(options *[]string, name string) string {
	i := slices.IndexFunc(*options, func(o string) bool { return strings.HasPrefix(o, name+"=") })
	if i < 0 {
		return ""
	}
	value := strings.TrimPrefix((*options)[i], name+"=")
	*options = slices.Delete(*options, i, i+1)
	return value
}
