package app_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// ask sends a request and returns the answer of a type.
func (s *socket) ask(frame, answer string) string {
	s.t.Helper()
	s.write(frame)
	return s.wantFrame(answer)
}

// idOf returns the id in an answer.
func idOf(tb testing.TB, answer string) string {
	tb.Helper()
	var got struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.ID == "" {
		tb.Fatalf("%v: %s", err, answer)
	}
	return got.ID
}

func (s *socket) recall(query string) string {
	s.t.Helper()
	answer := s.ask(`{"type":"recall","query":"`+query+`"}`, "memory_results")
	s.wantFrame("memory_recall_result")
	return answer
}

func TestMemoryCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	id := idOf(t, ada.ask(`{"type":"remember","content":"Quick brown foxes"}`, "memory_stored"))
	if got := bo.recall("the fox"); !strings.Contains(got, id) {
		t.Errorf("the other node finds %s", got)
	}
	if got := bo.ask(`{"type":"forget","memoryId":"`+id+`"}`, "ack"); !strings.Contains(got, "forbidden") {
		t.Errorf("got %s", got)
	}
	ada.ask(`{"type":"forget","memoryId":"`+id+`"}`, "ack")
	if got := bo.recall("fox"); !strings.Contains(got, `"memories":[]`) {
		t.Errorf("the other node finds %s", got)
	}
}

func TestContextCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	id := a.member("ada", store.RoleMember)
	ada, sibling, bo := a.joined(id), b.joined(id), b.joined(b.member("bo", store.RoleMember))
	ada.ask(`{"type":"share_context","summary":"first"}`, "context_shared")
	for _, s := range []*socket{sibling, bo} {
		s.wantTold(`_context:ada="first"`)
	}
	if got := bo.ask(`{"type":"get_context","query":"FIRST"}`, "context_results"); !strings.Contains(got, `"peerName":"ada"`) {
		t.Errorf("got %s", got)
	}
	sibling.ask(`{"type":"share_context","summary":"second"}`, "context_shared")
	ada.wantTold(`_context:ada="second"`) // and nothing of its own before
	bo.wantTold(`_context:ada="second"`)
}

// Sessions of one member on two nodes share their first context at once, and
// each is answered: the member has one context.
func TestFlawExt55FirstContextsAtOnce(t *testing.T) {
	n := newNodes(t, 2, nil)
	for round := range 5 {
		id := n.list[0].member(fmt.Sprint("ada", round), store.RoleMember)
		var ids [6]string
		var all sync.WaitGroup
		for i := range ids {
			s := n.list[i%2].joined(id)
			all.Go(func() {
				s.write(fmt.Sprintf(`{"type":"share_context","summary":"by %d"}`, i))
				ids[i] = idOf(t, s.wantAnswer("context_shared"))
			})
		}
		all.Wait()
		for _, other := range ids {
			if other != ids[0] {
				t.Fatalf("the member has the contexts %q", ids)
			}
		}
	}
}

// wantAnswer waits for a frame of a type, past notices.
func (s *socket) wantAnswer(typ string) string {
	s.t.Helper()
	for {
		if frame := s.next(false); strings.Contains(frame, `"type":"`+typ+`"`) {
			return frame
		} else if !strings.Contains(frame, `"type":"state_change"`) {
			s.t.Errorf("got %s, want %s", frame, typ)
			return "{}"
		}
	}
}

// Of many sessions on two nodes that claim a task at the same time exactly one
// gets it, sessions of one member too.
func TestTaskIsClaimedOnceOverNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	creator, shared := a.joined(a.member("ada", store.RoleMember)), a.member("bo", store.RoleMember)
	var peers []*socket
	for i, r := range []*rig{a, b, a, b, a, b} {
		if i < 2 {
			peers = append(peers, r.joined(shared))
		} else {
			peers = append(peers, r.joined(r.member(fmt.Sprint("peer ", i), store.RoleMember)))
		}
	}
	for round := range 15 {
		id := idOf(t, creator.ask(`{"type":"create_task","title":"`+fmt.Sprint(round)+`"}`, "task_created"))
		answers := make([]string, len(peers))
		var all sync.WaitGroup
		for i, p := range peers {
			all.Go(func() {
				p.write(`{"type":"claim_task","taskId":"` + id + `"}`)
				answers[i] = p.next(false)
			})
		}
		all.Wait()
		won := 0
		for _, answer := range answers {
			switch {
			case strings.Contains(answer, `"type":"task_list"`):
				won++
			case !strings.Contains(answer, `"code":"task_not_claimable"`):
				t.Errorf("got %s", answer)
			}
		}
		if won != 1 {
			t.Fatalf("%d have claimed it: %q", won, answers)
		}
	}
}

func TestNotesOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	id := before.member("ada", store.RoleMember)
	ada := before.joined(id)
	ada.ask(`{"type":"remember","content":"a fox"}`, "memory_stored")
	ada.ask(`{"type":"share_context","summary":"a fox"}`, "context_shared")
	task := idOf(t, ada.ask(`{"type":"create_task","title":"a fox"}`, "task_created"))
	ada.ask(`{"type":"claim_task","taskId":"`+task+`"}`, "task_list")
	before.stop()

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	ada = after.joined(id)
	for frame, want := range map[string]string{
		`{"type":"get_context","query":"fox"}`: `"summary":"a fox"`, `{"type":"list_tasks"}`: `"claimedBy":"ada","status":"claimed"`,
	} {
		answer := map[bool]string{true: "task_list", false: "context_results"}[strings.Contains(frame, "tasks")]
		if got := ada.ask(frame, answer); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", frame, got)
		}
	}
	if got := ada.recall("foxes"); !strings.Contains(got, `"content":"a fox"`) {
		t.Errorf("got %s", got)
	}
	bo := after.joined(after.member("bo", store.RoleMember))
	bo.ask(`{"type":"claim_task","taskId":"`+task+`"}`, "error")
}
