package feature

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// task creates a task and returns its id.
func (p *peer) task(title string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"create_task","title":` + quoted(title) + `}`)
	got, err := wire.Decode[wire.TaskCreated]([]byte(answer))
	if err != nil || got.ID == "" || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.ID
}

// do claims or completes a task, and returns where its list says it stands, or
// the code of a refusal.
func (p *peer) do(what, id string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"` + what + `","taskId":"` + id + `","result":"by ` + p.name + `"}`)
	if refused, err := wire.Decode[wire.Error]([]byte(answer)); err == nil && refused.Code != "" {
		return string(refused.Code)
	}
	for _, row := range p.tasksOf(answer) {
		if row.ID != id {
			continue
		}
		by := "nobody"
		if row.ClaimedBy != nil {
			by = *row.ClaimedBy
		}
		return row.Status + " " + by + " " + row.Result
	}
	return "not listed"
}

func (p *peer) tasksOf(answer string) []wire.TaskRow {
	p.rig.t.Helper()
	got, err := wire.Decode[wire.TaskList]([]byte(answer))
	if err != nil || got.Error != "" || !strings.HasPrefix(answer, `{"type":"task_list"`) {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.Tasks
}

// titles returns the titles of list_tasks with these fields.
func (p *peer) titles(fields string) []string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"list_tasks"` + fields + `}`)
	var list []string
	for _, row := range p.tasksOf(answer) {
		list = append(list, row.Title)
	}
	return list
}

func TestTaskLife(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy", named("Cyrus"))
	answer, records := bo.ask(`{"type":"create_task","title":"write it","assignee":"cy","priority":"high","tags":["x"],"_reqId":"c"}`)
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &created); err != nil {
		t.Fatal(err)
	}
	wantText(t, answer, fmt.Sprintf(`{"type":"task_created","_reqId":"c","id":%q}`, created.ID))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`task_created {"taskId":%q}`, created.ID)})
	step := func(p *peer, frame, want string, event string) {
		t.Helper()
		answer, records := p.ask(frame)
		begin := fmt.Sprintf(`{"type":"task_list","_reqId":7,"tasks":[{"id":%q,"title":"write it","assignee":"cy",%s,"priority":"high","createdBy":"bo","tags":["x"],"createdAt":"2`,
			created.ID, want)
		if !strings.HasPrefix(answer, begin) {
			t.Errorf("got  %s\nwant %s", answer, begin)
		}
		var list []string
		if event != "" {
			list = []string{fmt.Sprintf(`%s {"taskId":%q}`, event, created.ID)}
		}
		wantList(t, "records", recorded(records), list)
	}
	claim := fmt.Sprintf(`{"type":"claim_task","taskId":%q,"_reqId":7}`, created.ID)
	complete := fmt.Sprintf(`{"type":"complete_task","taskId":%q,"result":"done so","_reqId":7}`, created.ID)
	step(cy, `{"type":"list_tasks","_reqId":7}`, `"claimedBy":null,"status":"open"`, "")
	step(cy, claim, `"claimedBy":"cy","status":"claimed"`, "task_claimed")
	step(cy, claim, `"claimedBy":"cy","status":"claimed"`, "") // a repetition
	step(cy, complete, `"claimedBy":"cy","status":"done"`, "task_completed")
	step(cy, complete, `"claimedBy":"cy","status":"done"`, "")
	if answer, _ := bo.ask(`{"type":"list_tasks"}`); !strings.HasSuffix(answer, `Z","result":"done so"}]}`) {
		t.Errorf("got %s", answer)
	}
}

func TestTasksAreListed(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.task("one")
	bo.ask(`{"type":"create_task","title":"two","assignee":"cy","priority":null}`)
	bo.do("claim_task", bo.task("three"))
	wantList(t, "all", bo.titles(""), []string{"three", "two", "one"})
	wantList(t, "all", bo.titles(`,"status":"","assignee":""`), []string{"three", "two", "one"})
	wantList(t, "open", bo.titles(`,"status":"open"`), []string{"two", "one"})
	wantList(t, "cy's", bo.titles(`,"assignee":"cy"`), []string{"two"})
	wantList(t, "unknown", bo.titles(`,"status":"lost"`), nil)
	info, _ := bo.ask(`{"type":"mesh_info"}`)
	if !strings.Contains(info, `"tasks":{"open":2,"claimed":1,"done":0}`) || !strings.Contains(info, `"memoryCount":0`) {
		t.Errorf("got %s", info)
	}
	for n := range listedTasks {
		bo.task(fmt.Sprint(n))
	}
	if got := bo.titles(""); len(got) != listedTasks || got[0] != "99" {
		t.Errorf("%d tasks are listed, the first is %s", len(got), got[0])
	}
}

// A session that repeats a request makes no second task.
func TestCreateTaskAgain(t *testing.T) {
	r := newRig(t)
	bo, other := r.join("bo"), r.join("bo", named("bo-2"))
	id := func(p *peer, fields string) string {
		t.Helper()
		answer, _ := p.ask(`{"type":"create_task",` + fields + `}`)
		got, err := wire.Decode[wire.TaskCreated]([]byte(answer))
		if err != nil || got.ID == "" {
			t.Fatalf("%v: %s", err, answer)
		}
		return got.ID
	}
	first := id(bo, `"title":"x","_reqId":"a"`)
	if id(bo, `"_reqId":"a", "title":"x"`) != first {
		t.Error("the repetition is another task")
	}
	for name, other := range map[string]string{
		"another id": id(bo, `"title":"x","_reqId":"b"`), "another title": id(bo, `"title":"y","_reqId":"a"`), "no id": id(bo, `"title":"x"`),
		"another session": id(other, `"title":"x","_reqId":"a"`), "again no id": id(bo, `"title":"x"`),
	} {
		if other == first {
			t.Errorf("%s: it is the same task", name)
		}
	}
	if n := len(bo.titles("")); n != 6 {
		t.Errorf("there are %d tasks", n)
	}
}

func TestClaimTask(t *testing.T) {
	r := newRig(t)
	bo, cy, sibling := r.join("bo"), r.join("cy"), r.join("cy", named("cy-2"))
	id := bo.task("x")
	wantText(t, cy.do("claim_task", id), "claimed cy ")
	wantText(t, sibling.do("claim_task", id), "task_not_claimable") // of two sessions of a member one works on it
	wantText(t, bo.do("claim_task", id), "task_not_claimable")
	wantText(t, cy.do("claim_task", id), "claimed cy ")
	wantText(t, bo.do("claim_task", "nothing"), "task_not_claimable")
	wantText(t, sibling.do("complete_task", id), "done cy by cy-2")
	wantText(t, bo.do("claim_task", id), "task_not_claimable")
	wantText(t, bo.do("complete_task", "nothing"), "task_not_found")
}

// What somebody claimed who was banned then can be claimed again, once.
func TestClaimTaskOfWhoLeft(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	id := bo.task("x")
	wantText(t, cy.do("claim_task", id), "claimed cy ")
	r.leave("cy")
	wantText(t, gil.do("claim_task", id), "claimed gil ")
	wantText(t, bo.do("claim_task", id), "task_not_claimable")
}

func TestFlawExt21OnlyWhoMayCompletes(t *testing.T) {
	tests := []struct{ by, claimer, want string }{
		{"bo", "", "done nobody by bo"}, // who created it
		{"bo", "cy", "done cy by bo"},
		{"cy", "cy", "done cy by cy"}, // who claimed it
		{"cy", "", "forbidden"},
		{"cy", "bo", "forbidden"},
		{"gil", "", "done nobody by gil"}, // an admin
		{"ada", "cy", "done cy by ada"},   // the owner
	}
	for _, tt := range tests {
		t.Run(tt.by+" completes what is claimed by "+tt.claimer, func(t *testing.T) {
			r := newRig(t)
			peers := map[string]*peer{"bo": r.join("bo"), "cy": r.join("cy"), "gil": r.join("gil"), "ada": r.join("ada")}
			id := peers["bo"].task("x")
			if tt.claimer != "" {
				peers[tt.claimer].do("claim_task", id)
			}
			wantText(t, peers[tt.by].do("complete_task", id), tt.want)
			if tt.want == "forbidden" {
				wantList(t, "done", peers["bo"].titles(`,"status":"done"`), nil)
			}
		})
	}
}

func TestTasksHeedGrants(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	hers, open := bo.task("claimed by cy"), bo.task("open")
	gil.task("gil's")
	cy.do("claim_task", hers)
	r.allow("bo", "cy")
	wantList(t, "listed", cy.titles(""), []string{"gil's"})
	wantText(t, cy.do("claim_task", open), "task_not_claimable")
	wantText(t, cy.do("complete_task", open), "task_not_found")
	wantText(t, cy.do("complete_task", hers), "not listed")
	wantList(t, "done", bo.titles(`,"status":"done"`), []string{"claimed by cy"})
}

func TestFlawExt44TaskIsRefusedAloud(t *testing.T) {
	tests := []struct{ name, frame, want string }{
		{"no title", `{"type":"create_task","_reqId":1}`, `{"type":"task_created","_reqId":1,"error":"invalid: title: is required: want a string"}`},
		{"an empty title", `{"type":"create_task","title":"","_reqId":1}`, `{"type":"task_created","_reqId":1,"error":"invalid: title: want at least one byte"}`},
		{"a long title", `{"type":"create_task","title":"` + strings.Repeat("x", 4097) + `","_reqId":1}`, `{"type":"task_created","_reqId":1,"error":"invalid: title: at most 4096 bytes"}`},
		{"a priority that is no text", `{"type":"create_task","title":"x","priority":1,"_reqId":1}`, `{"type":"task_created","_reqId":1,"error":"invalid: priority: want a string"}`},
		{"a zero byte", `{"type":"create_task","title":"a\u0000b","_reqId":1}`, `{"type":"task_created","_reqId":1,"error":"invalid: a text holds \\u0000, which the broker does not store: leave it out"}`},
		{"no task to claim", `{"type":"claim_task","_reqId":1}`, `{"type":"error","_reqId":1,"code":"invalid","message":"taskId: is required: want a string"}`},
		{"no task to complete", `{"type":"complete_task","_reqId":1}`, `{"type":"error","_reqId":1,"code":"invalid","message":"taskId: is required: want a string"}`},
		{"a long result", `{"type":"complete_task","taskId":"x","result":"` + strings.Repeat("x", 8193) + `","_reqId":1}`, `{"type":"error","_reqId":1,"code":"invalid","message":"result: at most 8192 bytes"}`},
		{"a status that is no text", `{"type":"list_tasks","status":1,"_reqId":1}`, `{"type":"task_list","_reqId":1,"tasks":[],"error":"invalid: status: want a string"}`},
		{"an unknown task", `{"type":"claim_task","taskId":"x","_reqId":1}`, `{"type":"error","_reqId":1,"code":"task_not_claimable","message":"task is not open or does not exist"}`},
		{"an unknown task to complete", `{"type":"complete_task","taskId":"x","_reqId":1}`, `{"type":"error","_reqId":1,"code":"task_not_found","message":"task not found in this mesh"}`},
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

func TestFlawExt31TasksHaveRoom(t *testing.T) {
	r := newRig(t)
	r.cramp()
	bo, cy := r.join("bo"), r.join("cy")
	bo.task("one")
	bo.task("two")
	got, records := bo.ask(`{"type":"create_task","title":"three","_reqId":1}`)
	wantText(t, got, `{"type":"task_created","_reqId":1,"error":"capacity: 2 tasks that are not done are yours, and that is all a member may have: complete some"}`)
	wantList(t, "records", recorded(records), nil)
	cy.task("three")
	got, _ = cy.ask(`{"type":"create_task","title":"four","_reqId":1}`)
	wantText(t, got, `{"type":"task_created","_reqId":1,"error":"capacity: the mesh has 3 tasks that are not done, and that is all it may have: complete some"}`)
}

// Where a mesh has as many tasks as it may, the oldest that is done gives way.
func TestFlawExt57TasksDoNotGrowForEver(t *testing.T) {
	r := newRig(t)
	r.cramp()
	bo := r.join("bo")
	for n := range 20 {
		bo.do("complete_task", bo.task(fmt.Sprint(n)))
	}
	wantList(t, "left", bo.titles(""), []string{"19", "18", "17"})
}

func TestFlawExt28TasksNeedAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	id := bo.task("x")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	for _, what := range []string{"claim_task", "complete_task"} {
		wantText(t, bo.do(what, id), "forbidden")
	}
	wantList(t, "open", bo.titles(`,"status":"open"`), []string{"x"})
}

// Whatever comes, each request has an answer in its own shape, and a task is
// claimed once and done by those alone who may.
func TestTaskProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
	type task struct{ creator, claimer int }
	model := map[string]*task{}
	ids := []string{"nothing", "", "'"}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, len(peers)-1).Draw(rt, "peer")
		id := rapid.SampledFrom(ids).Draw(rt, "id")
		known := model[id]
		switch rapid.IntRange(0, 3).Draw(rt, "what") {
		case 0:
			title := rapid.String().Draw(rt, "title")
			answer, _ := peers[n].ask(`{"type":"create_task","_reqId":1,"title":` + quoted(title) + `}`)
			got, err := wire.Decode[wire.TaskCreated]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"task_created","_reqId":1,`) || (got.ID == "") != strings.HasPrefix(got.Error, "invalid: ") {
				rt.Fatalf("%q: got %s, %v", title, answer, err)
			}
			if got.ID != "" && model[got.ID] == nil {
				model[got.ID] = &task{creator: n, claimer: -1}
				ids = append(ids, got.ID)
			}
		case 1:
			got := peers[n].do("claim_task", id)
			switch {
			case known != nil && known.claimer < 0 && strings.HasPrefix(got, "claimed "+peers[n].name), known != nil && got == "not listed":
				known.claimer = n
			case known != nil && known.claimer == n && !strings.HasPrefix(got, "forbidden"):
			case got != "task_not_claimable":
				rt.Fatalf("got %s", got)
			}
		case 2:
			got := peers[n].do("complete_task", id)
			may := known != nil && (known.creator == n || known.claimer == n || n == 2)
			if done := strings.HasPrefix(got, "done ") || got == "not listed"; done != may {
				rt.Fatalf("got %s, may: %v", got, may)
			}
			if may && known.claimer < 0 {
				known.claimer = len(peers) // nobody can claim it any more
			}
		case 3:
			status := rapid.OneOf(rapid.SampledFrom([]string{"open", "done", "'"}), rapid.String()).Draw(rt, "status")
			answer, _ := peers[n].ask(`{"type":"list_tasks","_reqId":1,"status":` + quoted(status) + `}`)
			got, err := wire.Decode[wire.TaskList]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"task_list","_reqId":1,`) || got.Error != "" && !strings.HasPrefix(got.Error, "invalid: ") {
				rt.Fatalf("%q: got %s, %v", status, answer, err)
			}
		}
	})
}
