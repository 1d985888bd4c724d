package relay

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// What one member does not read, with all its sessions, leaves room for others.
func TestOneMemberLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a")
		w.join("bo", "a")
		w.join("ada", "a").fill(true)
		frame := strings.Repeat("x", mostOfOne/2-64)
		const answers, fit = 2*mostWaiting/mostOfOne + 1, 2 * mostOfMember / mostOfOne
		refused := 0
		for n := range answers {
			id := fmt.Sprint("eve", n)
			w.join(id, "a").fill(true)
			last, _ := w.askAs("eve", id, "bo", "1")
			_ = w.answer("bo", last, frame)
			refused += len(w.conns[id].heard())
		}
		if refused != answers-fit {
			t.Errorf("%d answers had no room, want %d", refused, answers-fit)
		}
		last, _ := w.askAs("ada", "ada", "bo", "1")
		_ = w.answer("bo", last, frame)
		w.want("ada")
		w.conns["ada"].fill(false)
		time.Sleep(2 * retryEvery)
		synctest.Wait()
		if got := w.conns["ada"].heard(); len(got) != 1 || len(got[0]) < len(frame) {
			t.Errorf("got %.50q, want the answer", got)
		}
		time.Sleep(2 * time.Second)
		w.empty()
	})
}

// Of answers that go to one node, those of somebody else come between those of a
// member that has asked for many before.
func TestAnswersTakeTurnsByMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a", "b")
		w.join("bo", "b")
		w.join("ada", "a")
		w.join("eve", "a")
		long := strings.Repeat("x", 2*partBytes)
		var ids []string
		for n := range mostAsking {
			last, _ := w.askAs("eve", "eve", "bo", fmt.Sprint(n))
			ids = append(ids, last)
		}
		last, _ := w.askAs("ada", "ada", "bo", "1")
		ids = append(ids, last)
		for _, id := range ids { // all are there before the first part has come
			if err := w.nodes["b"].Answer(&Reply{
				Mesh: "mesh", Asked: "bo", Conn: w.conns["bo"], ID: id, Kind: "k",
				Frame: func(jsontext.Value) ([]byte, error) { return []byte(long), nil },
			}); err != nil {
				t.Fatal(err)
			}
		}
		before := -1
		w.arrived = func() {
			if before < 0 && len(w.conns["ada"].got) > 0 {
				before = len(w.conns["eve"].got)
			}
		}
		w.run()
		if before < 0 || before > 2*mostSending {
			t.Errorf("ada's answer came behind %d of eve's, want at most %d", before, 2*mostSending)
		}
		w.empty()
	})
}

// Somebody who has one session send much to another node takes the last place from
// nobody: what is not yet on its way gives way.
func TestAnswersGiveWayToThoseOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeb(t, "a", "b")
		w.join("bo", "b")
		w.join("ada", "a")
		w.join("eve", "a")
		long := strings.Repeat("x", mostOfOne/mostAsking-64)
		var ids []string
		for n := range mostAsking {
			id, _ := w.askAs("eve", "eve", "bo", fmt.Sprint(n))
			ids = append(ids, id)
		}
		id, _ := w.askAs("ada", "ada", "bo", "1")
		for _, id := range append(ids, id) {
			if err := w.nodes["b"].Answer(&Reply{
				Mesh: "mesh", Asked: "bo", Conn: w.conns["bo"], ID: id, Kind: "k",
				Frame: func(jsontext.Value) ([]byte, error) { return []byte(long), nil },
			}); err != nil {
				t.Fatal(err)
			}
		}
		w.run()
		w.want("ada", long)
		busy := 0
		for _, frame := range w.conns["eve"].heard() {
			if frame == "failed: busy" {
				busy++
			}
		}
		if busy != 1 {
			t.Errorf("%d of eve's gave way, want 1", busy)
		}
		w.empty()
	})
}
