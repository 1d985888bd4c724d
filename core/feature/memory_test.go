package feature

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/wire"
)

// remember leaves a note and returns its id.
func (p *peer) remember(content string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"remember","content":` + quoted(content) + `}`)
	got, err := wire.Decode[wire.MemoryStored]([]byte(answer))
	if err != nil || got.ID == "" || got.ID != got.MemoryID {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.ID
}

// recall returns the contents that a query finds, in alphabetical order.
func (p *peer) recall(query string) []string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"recall","query":` + quoted(query) + `}`)
	got, err := wire.Decode[wire.MemoryResults]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	var list []string
	for _, m := range got.Memories {
		list = append(list, m.Content)
	}
	slices.Sort(list)
	return list
}

// leave bans a member.
func (r *rig) leave(name string) {
	r.t.Helper()
	if err := r.store.SetRevoked(r.t.Context(), r.members[name].ID, r.members[name].JoinedAt); err != nil {
		r.t.Fatal(err)
	}
	r.roster.Forget(r.members[name].ID)
}

func TestMemoryIsFound(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy", named("Cyrus"))
	answer, records := cy.ask(`{"type":"remember","content":"Foxes jump","tags":["zoo"],"_reqId":"r1"}`)
	var stored struct{ ID, MemoryID string }
	if err := json.Unmarshal([]byte(answer), &stored); err != nil {
		t.Fatal(err)
	}
	wantText(t, answer, fmt.Sprintf(`{"type":"memory_stored","_reqId":"r1","id":%[1]q,"memoryId":%[1]q}`, stored.ID))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`memory_stored {"memoryId":%q}`, stored.ID)})
	answer, _ = bo.ask(`{"type":"recall","query":"the fox","_reqId":2}`)
	begin := fmt.Sprintf(`{"type":"memory_results","_reqId":2,"memories":[{"id":%q,"content":"Foxes jump","tags":["zoo"],"rememberedBy":"cy","rememberedAt":"2`, stored.ID)
	if !strings.HasPrefix(answer, begin) || !strings.HasSuffix(answer, `Z"}]}`) {
		t.Errorf("got %s", answer)
	}
	answer, _ = bo.ask(`{"type":"recall","query":"zoo","_reqId":2}`)
	wantText(t, answer, `{"type":"memory_results","_reqId":2,"memories":[]}`)
}

// The newest clients wait for another type with the same rows.
func TestMemoryResultsHaveATwin(t *testing.T) {
	rows := []wire.MemoryRow{{ID: "1"}}
	twin, err := wire.Append(nil, wire.MemoryResults{Memories: rows, Error: "e"}.Twin())
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(twin), `{"type":"memory_recall_result","matches":[{"id":"1","content":"","tags":[],"rememberedBy":"","rememberedAt":"0001-01-01T00:00:00.000Z"}],"error":"e"}`)
}

func TestRememberAgainIsOneMemory(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	first := bo.remember("a fox")
	answer, records := bo.ask(`{"type":"remember","content":"a fox"}`)
	wantText(t, answer, fmt.Sprintf(`{"type":"memory_stored","id":%[1]q,"memoryId":%[1]q}`, first))
	wantList(t, "records", recorded(records), nil)
	if other := r.join("cy").remember("a fox"); other == first {
		t.Error("two members have one memory")
	}
}

func TestFlawExt21OnlyItsAuthorAndAdminsForget(t *testing.T) {
	const refused = "forbidden: only the member that left this memory, the owner of the mesh and its admins may forget it: ask one of them"
	tests := []struct {
		by   string
		want string
	}{{"bo", ""}, {"cy", refused}, {"gil", ""}, {"ada", ""}}
	for _, tt := range tests {
		t.Run(tt.by, func(t *testing.T) {
			r := newRig(t)
			id := r.join("bo").remember("a fox")
			by := r.join(tt.by, named("another"))
			frame := fmt.Sprintf(`{"type":"forget","memoryId":%q,"_reqId":"f"}`, id)
			for range 2 { // the second time it is gone, or still there
				got, records := by.ask(frame)
				if tt.want != "" {
					wantText(t, got, fmt.Sprintf(`{"type":"ack","_reqId":"f","id":%q,"messageId":"","queued":false,"error":%q}`, id, tt.want))
					wantList(t, "records", recorded(records), nil)
					continue
				}
				wantText(t, got, fmt.Sprintf(`{"type":"ack","_reqId":"f","id":%[1]q,"messageId":%[1]q,"queued":false}`, id))
			}
			if left := by.recall("fox"); (len(left) == 1) != (tt.want != "") {
				t.Errorf("left are %q", left)
			}
		})
	}
}

func TestForgetIsRecordedOnce(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	frame := fmt.Sprintf(`{"type":"forget","memoryId":%q}`, bo.remember("a fox"))
	_, first := bo.ask(frame)
	_, second := bo.ask(frame)
	if len(first) != 1 || first[0].Event != "memory_forgotten" || strings.Contains(string(first[0].Payload), "fox") || len(second) != 0 {
		t.Errorf("got %q and %q", recorded(first), recorded(second))
	}
	got, _ := bo.ask(`{"type":"forget","memoryId":"nothing"}`)
	wantText(t, got, `{"type":"ack","id":"nothing","messageId":"nothing","queued":false}`)
}

// What a member may not see takes no place among what it gets.
func TestRecallHeedsGrants(t *testing.T) {
	r := newRig(t)
	bo, cy, ada := r.join("bo"), r.join("cy"), r.join("ada")
	for n := range 2 * recalled {
		bo.remember(fmt.Sprintf("fox fox fox fox %d", n)) // it fits better than the others
	}
	cy.remember("cy tells at length of one fox and of nothing else")
	ada.remember("ada tells at length of one fox and of nothing else")
	if got := cy.recall("fox"); len(got) != recalled {
		t.Errorf("got %d", len(got))
	}
	r.allow("bo", "cy", store.CapDM)
	all := []string{"ada tells at length of one fox and of nothing else", "cy tells at length of one fox and of nothing else"}
	wantList(t, "found", cy.recall("fox"), all)
	r.allow("ada", "session of cy")
	wantList(t, "found", cy.recall("fox"), all[1:])
	if got := bo.recall("fox 7"); len(got) != 1 {
		t.Errorf("its own: got %q", got)
	}
	r.leave("bo")
	if got := cy.recall("fox"); len(got) != recalled {
		t.Errorf("of a member that is gone: got %d", len(got))
	}
}

func TestFlawExt44MemoryIsRefusedAloud(t *testing.T) {
	tests := []struct{ name, frame, want string }{
		{"no content", `{"type":"remember","_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: content: is required: want a string"}`},
		{"an empty content", `{"type":"remember","content":"","_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: content: want at least one byte"}`},
		{"a long content", `{"type":"remember","content":"` + strings.Repeat("x", 32769) + `","_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: content: at most 32768 bytes"}`},
		{"a zero byte", `{"type":"remember","content":"a\u0000b","_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: a text holds \\u0000, which the broker does not store: leave it out"}`},
		{"tags that are no list", `{"type":"remember","content":"x","tags":"zoo","_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: tags: want a list"}`},
		{"many tags", `{"type":"remember","content":"x","tags":["` + strings.Repeat(`","`, 32) + `"],"_reqId":1}`, `{"type":"memory_stored","_reqId":1,"error":"invalid: tags: at most 32 entries"}`},
		{"no query", `{"type":"recall","_reqId":1}`, `{"type":"memory_results","_reqId":1,"memories":[],"error":"invalid: query: is required: want a string"}`},
		{"a long query", `{"type":"recall","query":"` + strings.Repeat("x", 1025) + `","_reqId":1}`, `{"type":"memory_results","_reqId":1,"memories":[],"error":"invalid: query: at most 1024 bytes"}`},
		{"no id", `{"type":"forget","_reqId":1}`, `{"type":"ack","_reqId":1,"id":"","messageId":"","queued":false,"error":"invalid: memoryId: is required: want a string"}`},
	}
	r := newRig(t)
	bo := r.join("bo")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := bo.ask(tt.frame)
			wantText(t, got, tt.want)
			wantList(t, "records", recorded(records), nil)
		})
	}
}

func TestFlawExt28MemoryNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	id := bo.remember("a fox")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	const text = "forbidden: you do not have the permission canWriteState in this mesh: ask its owner or an admin for it"
	got, _ := bo.ask(`{"type":"remember","content":"x"}`)
	wantText(t, got, `{"type":"memory_stored","error":"`+text+`"}`)
	got, _ = bo.ask(`{"type":"forget","memoryId":"` + id + `"}`)
	wantText(t, got, `{"type":"ack","id":"`+id+`","messageId":"","queued":false,"error":"`+text+`"}`)
	wantList(t, "found", bo.recall("fox"), []string{"a fox"})
}

// cramped is a store with little room.
type cramped struct{ *sqlite.Store }

func (s cramped) Remember(ctx context.Context, m *store.Memory, _ store.Room) (string, bool, error) {
	return s.Store.Remember(ctx, m, store.Room{Mesh: 3, Member: 2})
}

func (s cramped) CreateTask(ctx context.Context, t *store.Task, _ store.Room) (string, bool, error) {
	return s.Store.CreateTask(ctx, t, store.Room{Mesh: 3, Member: 2})
}

func (r *rig) cramp() {
	r.reg = All(Deps{Directory: r.dir, Engine: r.engine, Roster: r.roster, Store: cramped{r.store}, Sessions: r, Announcer: announcer{r}})
}

func TestFlawExt31MemoryHasRoom(t *testing.T) {
	r := newRig(t)
	r.cramp()
	bo, cy := r.join("bo"), r.join("cy")
	ids := []string{bo.remember("one"), bo.remember("two")}
	got, records := bo.ask(`{"type":"remember","content":"three","_reqId":1}`)
	wantText(t, got, `{"type":"memory_stored","_reqId":1,"error":"capacity: 2 memories are yours, and that is all a member may have: forget some"}`)
	wantList(t, "records", recorded(records), nil)
	if bo.remember("two") != ids[1] {
		t.Error("what is there already is refused, or written again")
	}
	cy.remember("three")
	got, _ = cy.ask(`{"type":"remember","content":"four","_reqId":1}`)
	wantText(t, got, `{"type":"memory_stored","_reqId":1,"error":"capacity: the mesh has 3 memories, and that is all it may have: forget some"}`)
	bo.ask(`{"type":"forget","memoryId":"` + ids[0] + `"}`)
	cy.remember("four")
}

// Times come back as they were written, in UTC.
func TestFlawExt56TimesAreUTC(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.remember("a fox")
	bo.share("a fox")
	bo.task("a fox")
	for _, frame := range []string{`{"type":"recall","query":"fox"}`, `{"type":"get_context","query":"fox"}`, `{"type":"list_tasks"}`} {
		answer, _ := bo.ask(frame)
		text := regexp.MustCompile(`2\d{3}-[-T:.\d]+Z`).FindString(answer)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("%s says that it is %s", answer, text)
		}
	}
}

func TestNoRoom(t *testing.T) {
	const member, mesh = "capacity: 7 %s are yours, and that is all a member may have: %s", "capacity: the mesh has 7 %s, and that is all it may have: %s"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", &store.FullError{Member: true, Most: 7}), member},
		{fmt.Errorf("x: %w", &store.FullError{Most: 7}), mesh},
	} {
		refused := noRoom(tt.err, "memories", "forget some")
		wantText(t, strings.TrimSpace(refused.Error()), fmt.Sprintf(tt.want, "memories", "forget some"))
	}
}

// An answer is cut where it gets longer than an outbox bears, whatever the texts
// become in JSON.
func TestAnswersAreBounded(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for n := range recalled {
		bo.remember(fmt.Sprintf("fox %d ", n) + strings.Repeat("\x01", 32_000))
	}
	answer, _ := bo.ask(`{"type":"recall","query":"fox"}`)
	got, err := wire.Decode[wire.MemoryResults]([]byte(answer))
	if err != nil || len(got.Memories) == 0 || len(got.Memories) == recalled || len(answer) > answerBytes+4096 {
		t.Errorf("%v: %d memories in %d bytes", err, len(got.Memories), len(answer))
	}
}

func TestFitting(t *testing.T) {
	for name, tt := range map[string]struct {
		rows []string
		want int
	}{
		"nothing":             {nil, 0},
		"few":                 {[]string{"a", "b"}, 2},
		"one that is too big": {[]string{strings.Repeat("x", answerBytes+1), "a"}, 1},
		"plain texts":         {slices.Repeat([]string{strings.Repeat("x", answerBytes/4)}, 9), 3},
		"escaped texts":       {slices.Repeat([]string{strings.Repeat("\n", answerBytes/4)}, 9), 1},
		"quoted texts":        {slices.Repeat([]string{strings.Repeat(`"`, answerBytes/5)}, 9), 2},
	} {
		if got := fitting(len(tt.rows), func(row int, add func(...string)) { add(tt.rows[row]) }); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// Whatever comes, each request has an answer in its own shape, and what is
// remembered is what was asked to be and is not forgotten.
func TestMemoryProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
	author := map[string]int{} // of each memory, by id
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, len(peers)-1).Draw(rt, "peer")
		switch rapid.IntRange(0, 2).Draw(rt, "what") {
		case 0:
			content := rapid.OneOf(rapid.SampledFrom([]string{"fox", "foxes", ""}), rapid.String()).Draw(rt, "content")
			tags := rapid.SliceOfN(rapid.String(), 0, 3).Draw(rt, "tags")
			list, _ := json.Marshal(tags)
			answer, _ := peers[n].ask(`{"type":"remember","_reqId":1,"content":` + quoted(content) + `,"tags":` + string(list) + `}`)
			got, err := wire.Decode[wire.MemoryStored]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"memory_stored","_reqId":1,`) || (got.ID == "") != strings.HasPrefix(got.Error, "invalid: ") {
				rt.Fatalf("%q: got %s, %v", content, answer, err)
			}
			if got.ID != "" {
				author[got.ID] = n
			}
		case 1:
			ids := []string{"nothing", "", "'"}
			for id := range author {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			answer, _ := peers[n].ask(`{"type":"forget","_reqId":1,"memoryId":` + quoted(id) + `}`)
			by, known := author[id]
			if forbidden := known && by != n && n < 2; forbidden != strings.Contains(answer, `"error":"forbidden: `) {
				rt.Fatalf("%s of %d by %d: got %s", id, by, n, answer)
			} else if !forbidden {
				delete(author, id)
			}
		case 2:
			query := rapid.OneOf(rapid.SampledFrom([]string{"fox", `"`, "fox*", "NEAR(", "content:fox", ""}), rapid.String()).Draw(rt, "query")
			answer, _ := peers[n].ask(`{"type":"recall","_reqId":1,"query":` + quoted(query) + `}`)
			got, err := wire.Decode[wire.MemoryResults]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"memory_results","_reqId":1,`) || got.Error != "" && !strings.HasPrefix(got.Error, "invalid: ") {
				rt.Fatalf("%q: got %s, %v", query, answer, err)
			}
			for _, m := range got.Memories {
				if _, known := author[m.ID]; !known {
					rt.Fatalf("%q finds %q, which is forgotten", query, m.Content)
				}
			}
		}
	})
}
