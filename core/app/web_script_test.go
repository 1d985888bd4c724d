package app_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
)

// script is a run of a client over HTTP and sockets while it is played. A line of
// it is one of
//
//	POST /cli/mesh/create           begins a call
//	> Authorization: Bearer $token  a header of it
//	> {"name":"Team"}               its body
//	200                             makes the call, and is the status that answers it
//	< Deprecation: !                a header of the answer; ! for one that must not be there
//	< {"id":"$mesh"}                its body has these keys, and maybe others
//	<~ You are invited              its body contains this text
//	ada opens                       ada connects a socket
//	ada> {"type":"list_peers"}      ada writes this frame, exactly
//	ada< {"type":"peers_list"}      the next frame that ada gets has these keys, and maybe others
//	ada closed 4002 mesh_archived   ada's socket was closed so
//	ada closes                      ada closes it
//	do key ada                      something that happens outside the wire; see [script.do]
//
// A "$name" in an answer is remembered, and has to be the same wherever it comes
// again; within a text it stands for what it was. "*" is any value, "text*" any
// text that begins so, and "!" a key that must not be there. $base and $ws are the
// broker's addresses, $now is the clock in milliseconds, $ada.key is a key that was
// made, sign(ada: text) ada's signature of a text, and proof(ada: mesh) what signs
// the call. Events come only where they are waited for.
type script struct {
	*play
	keys    map[string]*clientKeys
	sockets map[string]*socket
	call    *scriptCall // nil between calls

	status int // of the last answer
	header http.Header
	body   []byte
}

// clientKeys are what one client has made for itself.
type clientKeys struct {
	member, session ed25519.PrivateKey
	x25519          [32]byte // secret
}

// scriptCall is a call that is being read.
type scriptCall struct {
	method, target string
	header         [][2]string
	body           string
}

// agent is how the command line names itself.
const agent = "claudemesh-cli/1.0"

// playScript plays a file on a broker.
func playScript(t *testing.T, r *rig, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{
		play: &play{t: t, r: r, file: file, lines: strings.Split(string(text), "\n"), bound: map[string]string{}},
		keys: map[string]*clientKeys{}, sockets: map[string]*socket{},
	}
	base := "http" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws"), "/ws")
	s.bind("base", base)
	s.bind("ws", r.url)
	for s.at = range s.lines {
		s.line(s.lines[s.at])
	}
	if s.call != nil {
		s.fail("the last call has no status")
	}
}

// bind gives a name to a value.
func (s *script) bind(name string, value any) {
	s.t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		s.fail("%s: %v", name, err)
	}
	s.bound[name] = string(raw)
}

var (
	callLine   = regexp.MustCompile(`^(GET|HEAD|POST|PATCH|PUT|DELETE) (/\S*)$`)
	statusLine = regexp.MustCompile(`^(\d{3})$`)
	headerLine = regexp.MustCompile(`^([<>]) ([A-Z][A-Za-z-]*): (.*)$`)
)

func (s *script) line(text string) {
	s.t.Helper()
	switch {
	case text == "", strings.HasPrefix(text, "#"):
	case callLine.MatchString(text):
		if s.call != nil {
			s.fail("the call before has no status")
		}
		m := callLine.FindStringSubmatch(text)
		s.call = &scriptCall{method: m[1], target: m[2]}
	case strings.HasPrefix(text, "> "):
		s.requestLine(text)
	case statusLine.MatchString(text):
		s.make(text)
	case strings.HasPrefix(text, "<~ "):
		if want := s.plain(strings.TrimPrefix(text, "<~ ")); !bytes.Contains(s.body, []byte(want)) {
			s.wrong("the body has no %q", want)
		}
	case strings.HasPrefix(text, "< "):
		s.answerLine(text)
	case strings.HasPrefix(text, "do "):
		s.do(strings.Fields(text)[1:])
	default:
		s.socketLine(text)
	}
}

func (s *script) requestLine(text string) {
	s.t.Helper()
	if s.call == nil {
		s.fail("no call has begun")
	}
	if m := headerLine.FindStringSubmatch(text); m != nil {
		s.call.header = append(s.call.header, [2]string{m[2], m[3]})
		return
	}
	s.call.body = strings.TrimPrefix(text, "> ")
}

// make makes the call that has been read.
func (s *script) make(status string) {
	s.t.Helper()
	c := s.call
	if c == nil {
		s.fail("no call has begun")
	}
	s.call = nil
	s.bind("now", time.Now().UnixMilli())
	target, body := s.plain(c.target), s.json(c.body)
	base, _ := s.value("base")
	req, err := http.NewRequestWithContext(context.Background(), c.method, base+target, strings.NewReader(body))
	if err != nil {
		s.fail("%v", err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {agent}}
	for _, h := range c.header {
		req.Header.Set(h[0], s.proof(s.plain(h[1]), c.method, target, body))
	}
	res, err := web.Do(req)
	if err != nil {
		s.fail("%s %s: %v", c.method, target, err)
	}
	defer res.Body.Close()
	if s.body, err = io.ReadAll(res.Body); err != nil {
		s.fail("%v", err)
	}
	s.status, s.header = res.StatusCode, res.Header
	if strconv.Itoa(s.status) != status {
		s.t.Fatalf("%s:%d: got %d %s, want %s", s.file, s.at+1, s.status, s.body, status)
	}
}

func (s *script) answerLine(text string) {
	s.t.Helper()
	if m := headerLine.FindStringSubmatch(text); m != nil {
		got, want := s.header.Values(m[2]), s.plain(m[3])
		if want == "!" && len(got) == 0 || len(got) == 1 && isLike(want, got[0]) {
			return
		}
		s.wrong("the header %s is %q", m[2], got)
		return
	}
	s.same(strings.TrimPrefix(text, "< "), s.body)
}

// wrong says how an answer differs, and goes on.
func (s *script) wrong(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("%s:%d: %s\nwant %s\n got %.1500s", s.file, s.at+1, fmt.Sprintf(format, args...), s.lines[s.at], s.body)
}

// same compares JSON with what the script says. Names that stand for whole values
// are learnt first, so that others can be made of them.
func (s *script) same(want string, got []byte) {
	s.t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		s.fail("not JSON: %v", err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		s.fail("got no JSON but %.3000s", got)
	}
	if problem := s.differ("", s.filled(w, false), g); problem != "" {
		s.wrong("%s", problem)
		return
	}
	if problem := s.differ("", s.filled(w, true), g); problem != "" {
		s.wrong("%s", problem)
	}
}

var wholeName = regexp.MustCompile(`^\$[a-z][a-z0-9_.]*$`)

// filled puts values in for the names in texts and in keys, where know is set;
// else any text does. Texts that are a name stay.
func (s *script) filled(v any, know bool) any {
	s.t.Helper()
	switch v := v.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for k, value := range v {
			if strings.Contains(k, "$") {
				k = s.plain(k)
			}
			object[k] = s.filled(value, know)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = s.filled(v[i], know)
		}
		return list
	case string:
		switch {
		case !strings.Contains(v, "$") || wholeName.MatchString(v):
			return v
		case !know:
			return "*"
		}
		return s.plain(v)
	default:
		return v
	}
}

var (
	nameInText = regexp.MustCompile(`\$[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?`)
	signText   = regexp.MustCompile(`sign\(([a-z]+): ([^()]*)\)`)
	proofText  = regexp.MustCompile(`proof\(([a-z]+): ([^()]*)\)`)
)

// value returns what a name stands for: a text, or other JSON as it is written.
func (s *script) value(name string) (text string, isText bool) {
	s.t.Helper()
	raw, ok := s.bound[name]
	if !ok {
		s.fail("nothing is called $%s", name)
	}
	if json.Unmarshal([]byte(raw), &text) == nil {
		return text, true
	}
	return raw, false
}

// plain puts values in for names, and signatures.
func (s *script) plain(text string) string {
	s.t.Helper()
	return s.signed(nameInText.ReplaceAllStringFunc(text, func(v string) string {
		value, _ := s.value(v[1:])
		return value
	}))
}

// json is plain for texts that are JSON: what stands in quotes is escaped.
func (s *script) json(text string) string {
	s.t.Helper()
	return s.signed(nameInText.ReplaceAllStringFunc(text, func(v string) string {
		if _, isText := s.value(v[1:]); isText {
			raw := s.bound[v[1:]]
			return raw[1 : len(raw)-1]
		}
		return s.bound[v[1:]]
	}))
}

// signed puts in signatures of texts whose names are known.
func (s *script) signed(text string) string {
	s.t.Helper()
	return signText.ReplaceAllStringFunc(text, func(v string) string {
		m := signText.FindStringSubmatch(v)
		return hex.EncodeToString(ed25519.Sign(s.client(m[1]).member, []byte(m[2])))
	})
}

// proof puts in the proof of a call.
func (s *script) proof(text, method, target, body string) string {
	s.t.Helper()
	return proofText.ReplaceAllStringFunc(text, func(v string) string {
		m := proofText.FindStringSubmatch(v)
		return identity.SignHTTP(s.client(m[1]).member, method, target, m[2], []byte(body), time.Now())
	})
}

func (s *script) client(name string) *clientKeys {
	s.t.Helper()
	k := s.keys[name]
	if k == nil {
		s.fail("%s has no key", name)
	}
	return k
}

func (s *script) socketLine(text string) {
	s.t.Helper()
	if m := frameLine.FindStringSubmatch(text); m != nil {
		socket := s.socket(m[1])
		if m[2] == ">" {
			s.bind("now", time.Now().UnixMilli())
			socket.write(s.json(m[3]))
			return
		}
		s.body = []byte(socket.next(strings.Contains(m[3], `"subtype":"system"`)))
		s.same(m[3], s.body)
		return
	}
	if m := closedLine.FindStringSubmatch(text); m != nil {
		code, reason := s.socket(m[1]).closed()
		if strconv.Itoa(code) != m[2] || reason != m[3] {
			s.t.Errorf("%s:%d: closed with %d %s", s.file, s.at+1, code, reason)
		}
		return
	}
	switch name, verb, _ := strings.Cut(text, " "); verb {
	case "opens":
		ws, _ := s.value("ws")
		s.sockets[name] = open(s.t, ws, socketOptions{})
	case "closes":
		s.socket(name).bye()
		s.left(name)
	default:
		s.fail("cannot read %q", text)
	}
}

// left waits until the broker knows that a client's socket is closed.
func (s *script) left(name string) {
	s.t.Helper()
	k := s.keys[name]
	if k == nil {
		return
	}
	mesh, _ := s.value("mesh")
	eventually(s.t, name+" to be gone", func() bool {
		return !slices.ContainsFunc(s.r.app.Views(mesh), func(v presence.View) bool {
			return v.Online && v.Key == identity.PublicKey(k.session)
		})
	})
}

func (s *script) socket(name string) *socket {
	s.t.Helper()
	socket := s.sockets[name]
	if socket == nil {
		s.fail("%s has no socket", name)
	}
	return socket
}
