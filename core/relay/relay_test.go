package relay

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/presence"
)

// conn is a connection that remembers, and is full when it is told to be.
type conn struct {
	presence.Conn
	name string

	mu   sync.Mutex
	got  []string
	full bool
	gone bool
}

func (c *conn) Full(int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full
}

func (c *conn) fill(full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = full
}

func (c *conn) Send(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		c.got = append(c.got, string(frame))
	}
	return !c.gone
}

// heard returns what was written since the last call.
func (c *conn) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// node is a relay with its sessions among others.
type node struct {
	*Relay
	name string
	web  *web
}

// web is nodes, and the letters between them in the order in which they were
// posted.
type web struct {
	t        *testing.T
	nodes    map[string]*node
	sessions map[string]*node // by presence id
	conns    map[string]*conn
	mu       sync.Mutex // timers post too
	letters  []func()
	drop     func(l string) bool
	arrived  func() // behind each letter; nil for nothing
}

func newWeb(t *testing.T, names ...string) *web {
	w := &web{t: t, nodes: map[string]*node{}, sessions: map[string]*node{}, conns: map[string]*conn{}}
	for _, name := range names {
		n := &node{name: name, web: w}
		n.Relay = New(n, n)
		w.nodes[name] = n
	}
	return w
}

// join connects a session to a node.
func (w *web) join(id, node string) *conn {
	c := &conn{name: id}
	w.sessions[id], w.conns[id] = w.nodes[node], c
	return c
}

func (n *node) Reach(mesh, id string) (presence.Conn, string) {
	home := n.web.sessions[id]
	switch {
	case home == nil || mesh != "mesh":
		return nil, ""
	case home == n:
		return n.web.conns[id], ""
	default:
		return nil, home.name
	}
}

func (n *node) Self() string { return n.name }

func (n *node) Post(to string, message []byte) {
	n.web.mu.Lock()
	defer n.web.mu.Unlock()
	if n.web.drop != nil && n.web.drop(string(message)) {
		return
	}
	n.web.letters = append(n.web.letters, func() {
		if err := n.web.nodes[to].Read(message); err != nil {
			n.web.t.Error(err)
		}
	})
}

// run delivers letters until there are none.
func (w *web) run() {
	for {
		w.mu.Lock()
		list := w.letters
		w.letters = nil
		w.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, next := range list {
			next()
			if w.arrived != nil {
				w.arrived()
			}
		}
	}
}

// ask has a session ask another one, and returns the id that the question has for
// who is asked.
func (w *web) ask(from, to, reqID string) (id string, err error) {
	return w.askAs("member of "+from, from, to, reqID)
}

// askAs is ask for a session of a member.
func (w *web) askAs(member, from, to, reqID string) (id string, err error) {
	err = w.sessions[from].Ask(&Question{
		Mesh: "mesh", Asker: from, Conn: w.conns[from], Member: member, Asked: to, Kind: "k", Hint: "h" + from,
		ReqID: jsontext.Value(reqID), Within: time.Second,
		Frame:  func(x string) ([]byte, error) { id = x; return []byte("? " + from), nil },
		Failed: func(why Why) []byte { return []byte("failed: " + string(why)) },
	})
	w.run()
	return id, err
}

func (w *web) answer(from, id, text string) error {
	err := w.sessions[from].Answer(&Reply{
		Mesh: "mesh", Asked: from, Conn: w.conns[from], ID: id, Kind: "k", Hint: text,
		Frame: func(reqID jsontext.Value) ([]byte, error) { return []byte("! " + text + " " + string(reqID)), nil },
	})
	w.run()
	return err
}

func (w *web) want(id string, want ...string) {
	w.t.Helper()
	if got := w.conns[id].heard(); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s: got %.200q, want %.200q", id, got, want)
	}
}

// empty wants nothing to be left of any question.
func (w *web) empty() {
	w.t.Helper()
	synctest.Wait()
	for _, n := range w.nodes {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.waiting)+len(n.open)+len(n.queue)+len(n.sending)+n.bytes != 0 {
			w.t.Errorf("%s still has %d, %d, %d, %d, %d", n.name, len(n.waiting), len(n.open), len(n.queue), len(n.sending), n.bytes)
		}
	}
}

// each runs a test where all are on one node and where they are on two.
func each(t *testing.T, f func(*testing.T, *web)) {
	for name, second := range map[string]string{"on one node": "a", "on two nodes": "b"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWeb(t, "a", "b")
				w.join("ada", "a")
				w.join("bo", second)
				w.join("cy", second)
				f(t, w)
				w.run()
				w.empty()
			})
		})
	}
}

func TestAnswerComesBackToWhoAsked(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, err := w.ask("ada", "bo", `"r1"`)
		if err != nil {
			t.Fatal(err)
		}
		w.want("bo", "? ada")
		if err := w.answer("bo", id, "yes"); err != nil {
			t.Error(err)
		}
		w.want("ada", `! yes "r1"`)
		if err := w.answer("bo", id, "again"); !errors.Is(err, ErrNotAsked) {
			t.Errorf("a second answer: %v", err)
		}
		w.want("ada")
	})
}

func TestOnlyWhoWasAskedAnswers(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, _ := w.ask("ada", "bo", "1")
		for _, who := range []string{"cy", "ada"} {
			if err := w.answer(who, id, "a lie"); !errors.Is(err, ErrNotAsked) {
				t.Errorf("%s: %v", who, err)
			}
		}
		if err := w.sessions["bo"].Answer(&Reply{Mesh: "other", Asked: "bo", Conn: w.conns["bo"], ID: id, Kind: "k"}); !errors.Is(err, ErrNotAsked) {
			t.Errorf("from another mesh: %v", err)
		}
		if err := w.sessions["bo"].Answer(&Reply{Mesh: "mesh", Asked: "bo", Conn: w.conns["bo"], ID: id, Kind: "x"}); !errors.Is(err, ErrNotAsked) {
			t.Errorf("of another kind: %v", err)
		}
		w.want("ada")
		if err := w.answer("bo", id, "true"); err != nil {
			t.Error(err)
		}
		w.want("ada", "! true 1")
	})
}

func TestAnswerWithoutAnIDIsFoundByItsHint(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		_, _ = w.ask("ada", "bo", "1")
		if err := w.answer("bo", "", "hnobody"); !errors.Is(err, ErrNotAsked) {
			t.Errorf("got %v", err)
		}
		if err := w.answer("bo", "", "hada"); err != nil {
			t.Error(err)
		}
		w.want("ada", "! hada 1")
	})
}

func TestQuestionEndsInTime(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, _ := w.ask("ada", "bo", "1")
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		w.want("ada", "failed: late")
		if err := w.answer("bo", id, "too late"); !errors.Is(err, ErrNotAsked) {
			t.Errorf("got %v", err)
		}
		w.want("ada")
	})
}

func TestQuestionEndsWithEitherSession(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		_, _ = w.ask("ada", "bo", "1")
		w.sessions["bo"].Left("bo", w.conns["cy"]) // another connection
		w.want("ada")
		w.sessions["bo"].Left("bo", w.conns["bo"])
		w.run()
		w.want("ada", "failed: away")

		id, _ := w.ask("ada", "bo", "2")
		w.sessions["ada"].Left("ada", w.conns["ada"])
		w.run()
		if err := w.answer("bo", id, "nobody waits"); !errors.Is(err, ErrNotAsked) {
			t.Errorf("got %v", err)
		}
		w.want("ada")
	})
}

func TestNobodyIsThere(t *testing.T) {
	each(t, func(_ *testing.T, w *web) {
		_, _ = w.ask("ada", "nobody", "1")
		w.want("ada", "failed: away")
		delete(w.sessions, "bo") // and no node knows yet
		w.sessions["cy"].asked(letter{Op: opAsk, Call: "x", Mesh: "mesh", Asker: "ada", Asked: "bo", Node: "a"})
	})
}

func TestRepeatedQuestionIsAskedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, _ := w.ask("ada", "bo", `"r1"`)
		if _, err := w.ask("ada", "bo", `"r1"`); err != nil {
			t.Error(err)
		}
		w.want("bo", "? ada")
		_ = w.answer("bo", id, "yes")
		w.want("ada", `! yes "r1"`)
	})
}

// A session that comes back and asks once more, before its earlier connection is
// over, is answered where it is now.
func TestRepeatedQuestionFollowsItsSession(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		id, _ := w.ask("ada", "bo", `"r1"`)
		earlier, node := w.conns["ada"], w.sessions["ada"]
		w.join("ada", node.name)
		if _, err := w.ask("ada", "bo", `"r1"`); err != nil {
			t.Error(err)
		}
		node.Left("ada", earlier)
		w.want("bo", "? ada")
		if err := w.answer("bo", id, "yes"); err != nil {
			t.Error(err)
		}
		w.want("ada", `! yes "r1"`)
		if got := earlier.heard(); len(got) > 0 {
			t.Errorf("the earlier connection got %q", got)
		}
	})
}

func TestQuestionsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, w *web) {
		for n := range mostAsking {
			if _, err := w.ask("ada", "bo", fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.ask("ada", "cy", "x"); !errors.Is(err, ErrCrowded) {
			t.Errorf("got %v", err)
		}
		// A member's other sessions do not make more of it than a member may.
		member := "member of ada"
		for n := range mostFrom {
			w.sessions["bo"].put(letter{Op: opAsk, Call: fmt.Sprint(n), Asker: "x", Asked: "bo", Member: member, Node: "a", Within: time.Second}, w.conns["bo"])
		}
		bo := w.sessions["bo"]
		bo.mu.Lock()
		if got := len(bo.open["bo"]); got != mostFrom {
			t.Errorf("%d wait, want %d", got, mostFrom)
		}
		bo.mu.Unlock()
		w.run()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.conns["ada"].heard()
	})
}

func TestAnswerWaitsForRoom(t *testing.T) {
	each(t, func(_ *testing.T, w *web) {
		id, _ := w.ask("ada", "bo", "1")
		w.conns["ada"].fill(true)
		_ = w.answer("bo", id, "later")
		w.want("ada")
		w.conns["ada"].fill(false)
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		w.want("ada", "! later 1")

		id, _ = w.ask("ada", "bo", "2")
		w.conns["ada"].fill(true)
		_ = w.answer("bo", id, "never")
		// And only so much waits.
		id, _ = w.ask("ada", "bo", "3")
		_ = w.answer("bo", id, strings.Repeat("x", mostOfOne))
		end := "failed: unread"
		if w.sessions["bo"] != w.sessions["ada"] {
			end = "failed: busy"
		}
		w.want("ada", end)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.want("ada", "failed: unread")
	})
}

func TestSessionThatDoesNotReadIsNotAsked(t *testing.T) {
	each(t, func(_ *testing.T, w *web) {
		w.conns["bo"].fill(true)
		_, _ = w.ask("ada", "bo", "1")
		w.want("ada", "failed: busy")
		w.conns["bo"].fill(false)
		w.conns["bo"].gone = true
		_, _ = w.ask("ada", "bo", "2")
		w.want("ada", "failed: away")
	})
}

func TestLargeAnswersCrossNodesInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a", "b")
		w.join("ada", "a")
		w.join("bo", "b")
		longest := 0
		w.drop = func(l string) bool { longest = max(longest, len(l)); return false }
		var ids []string
		for n := range 2 * mostSending {
			id, _ := w.ask("ada", "bo", fmt.Sprint(n))
			ids = append(ids, id)
		}
		w.conns["bo"].heard()
		for n, id := range ids {
			if err := w.nodes["b"].Answer(&Reply{
				Mesh: "mesh", Asked: "bo", Conn: w.conns["bo"], ID: id, Kind: "k",
				Frame: func(jsontext.Value) ([]byte, error) {
					return []byte(fmt.Sprint(n, strings.Repeat("x", 3*partBytes/2*(n%3)))), nil
				},
			}); err != nil {
				t.Error(err)
			}
			if n := w.nodes["b"].sending["a"]; n > mostSending {
				t.Errorf("%d answers are on their way", n)
			}
		}
		w.run()
		got := map[string]int{}
		for _, frame := range w.conns["ada"].heard() {
			got[frame[:1]] = len(frame)
		}
		for n := range ids {
			if want := 1 + 3*partBytes/2*(n%3); got[fmt.Sprint(n)] != want {
				t.Errorf("answer %d has %d bytes, want %d", n, got[fmt.Sprint(n)], want)
			}
		}
		if longest > 200<<10 {
			t.Errorf("a letter has %d bytes", longest)
		}
		w.empty()
	})
}

// Answers to a node that has died in the middle of them hold up nobody else's.
func TestDeadNodeHoldsUpNoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a", "b", "c")
		w.join("ada", "a")
		w.join("bo", "b")
		w.join("cy", "c")
		long := strings.Repeat("x", 3*partBytes)
		var ids []string
		for n := range 2 * mostSending {
			id, _ := w.ask("cy", "bo", fmt.Sprint(n))
			ids = append(ids, id)
		}
		last, _ := w.ask("ada", "bo", "1")
		w.nodes["c"].Relay = New(w.nodes["c"], w.nodes["c"]) // it has forgotten all
		for _, id := range ids {
			if err := w.answer("bo", id, long); err != nil {
				t.Error(err)
			}
		}
		if err := w.answer("bo", last, long); err != nil {
			t.Error(err)
		}
		w.want("ada", "! "+long+" 1")
		time.Sleep(2 * time.Second)
		w.empty()
	})
}

func TestLostPartEndsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a", "b")
		w.join("ada", "a")
		w.join("bo", "b")
		long := strings.Repeat("x", 3*partBytes)
		for _, op := range []string{opPart, opMore} {
			id, _ := w.ask("ada", "bo", "1")
			once := true
			w.mu.Lock()
			w.drop = func(l string) bool {
				if once && strings.Contains(l, `"op":"`+op+`"`) {
					once = false
					return true
				}
				return false
			}
			w.mu.Unlock()
			_ = w.answer("bo", id, long)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			w.run()
			w.want("ada", "failed: late")
			w.drop = nil
			w.empty()
		}
		// A part that is not the next one.
		id, _ := w.ask("ada", "bo", "2")
		w.nodes["a"].join(letter{Call: id, Asker: "ada", At: 7, Total: 10, Frame: []byte("abc")})
		w.run()
		w.want("ada", "failed: lost")
		w.empty()
	})
}
