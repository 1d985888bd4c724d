package feature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// later is a deliverAt in so long.
func later(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).UnixMilli()) }

// schedule asks for a schedule with these fields, and returns its id.
func (p *peer) schedule(fields string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"schedule",` + fields + `}`)
	got, err := wire.Decode[wire.ScheduledAck]([]byte(answer))
	if err != nil || got.ScheduledID == "" || got.Error != "" || got.DeliverAt == 0 {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.ScheduledID
}

// scheduled returns what list_scheduled says, as "text state".
func (p *peer) scheduled(fields string) (list []string) {
	p.rig.t.Helper()
	for _, row := range p.scheduledRows(fields) {
		list = append(list, row.Message+" "+row.State)
	}
	return list
}

func (p *peer) scheduledRows(fields string) []wire.ScheduledMessage {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"list_scheduled"` + fields + `}`)
	got, err := wire.Decode[wire.ScheduledList]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.Messages
}

// cancelled reports whether a schedule was cancelled.
func (p *peer) cancelled(id string) bool {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"cancel_scheduled","scheduledId":` + quoted(id) + `}`)
	got, err := wire.Decode[wire.CancelScheduledAck]([]byte(answer))
	if err != nil || got.ScheduledID != id || got.OK != (got.Error == "") {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.OK
}

// changeSchedule edits a row as what fires it does.
func (r *rig) changeSchedule(id string, change func(*store.Schedule)) {
	r.t.Helper()
	_, err := r.store.ChangeSchedule(r.t.Context(), r.mesh.ID, id, func(row *store.Schedule) error { change(row); return nil })
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestScheduleLife(t *testing.T) {
	r := newRig(t)
	bo, sibling, cy := r.join("bo"), r.join("bo", named("bo-2")), r.join("cy")
	at := later(time.Hour)
	answer, records := bo.ask(`{"type":"schedule","to":"@ops","message":"tea","deliverAt":` + at + `,"subtype":"reminder","recurring":false,"_reqId":"s"}`)
	var ack struct{ ScheduledID string }
	if err := json.Unmarshal([]byte(answer), &ack); err != nil {
		t.Fatal(err)
	}
	wantText(t, answer, fmt.Sprintf(`{"type":"scheduled_ack","_reqId":"s","scheduledId":%q,"deliverAt":%s}`, ack.ScheduledID, at))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`schedule_created {"scheduledId":%q}`, ack.ScheduledID)})
	for _, p := range []*peer{bo, sibling} {
		wantList(t, "listed", p.scheduled(""), []string{"tea waiting"})
	}
	wantList(t, "listed for cy", cy.scheduled(`,"all":true`), nil)
	if cy.cancelled(ack.ScheduledID) {
		t.Error("cy has cancelled it")
	}
	answer, records = sibling.ask(`{"type":"cancel_scheduled","scheduledId":"` + ack.ScheduledID + `","_reqId":"c"}`)
	wantText(t, answer, fmt.Sprintf(`{"type":"cancel_scheduled_ack","_reqId":"c","scheduledId":%q,"ok":true}`, ack.ScheduledID))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`schedule_cancelled {"scheduledId":%q}`, ack.ScheduledID)})
	if _, records = bo.ask(`{"type":"cancel_scheduled","scheduledId":"` + ack.ScheduledID + `"}`); len(records) > 0 {
		t.Error("a repetition is recorded")
	}
	wantList(t, "listed", bo.scheduled(""), nil)
	wantList(t, "all", bo.scheduled(`,"all":true`), []string{" cancelled"})
}

func TestScheduleWakesBehindItsAnswer(t *testing.T) {
	r := newRig(t)
	bo, woken := r.join("bo"), 0
	reg := NewRegistry()
	reg.roster = r.roster
	Schedules(reg, r.store, SendOptions{MessageBytes: 1 << 16}, ScheduleOptions{Wake: func() { woken++ }})
	for range 2 { // a repetition wakes nobody
		bo.askOf(reg, `{"type":"schedule","to":"*","message":"tea","deliverAt":1,"_reqId":1}`)
	}
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
}

func TestScheduleTimes(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for name, tt := range map[string]struct {
		fields   string
		from, to time.Duration
	}{
		"a time":                {`"deliverAt":` + later(time.Hour), time.Hour - time.Minute, time.Hour},
		"part of a millisecond": {`"deliverAt":` + later(time.Hour) + ".5", time.Hour - time.Minute, time.Hour},
		"far away":              {`"deliverAt":` + later(9*365*24*time.Hour), 9*365*24*time.Hour - time.Minute, 9 * 365 * 24 * time.Hour},
		"a time that is over":   {`"deliverAt":1`, -time.Minute, 0},
		"a time before all":     {`"deliverAt":-1e300`, -time.Minute, 0},
		"each minute":           {`"cron":"* * * * *"`, 0, time.Minute},
		"with a zone":           {`"cron":"*/5 * * * *","timezone":"Asia/Kathmandu"`, 0, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			answer, _ := bo.ask(`{"type":"schedule","to":"*","message":"tea",` + tt.fields + `}`)
			got, err := wire.Decode[wire.ScheduledAck]([]byte(answer))
			if err != nil {
				t.Fatal(err)
			}
			at := time.UnixMilli(got.DeliverAt)
			if in := time.Until(at); in < tt.from-time.Minute || in > tt.to+time.Second {
				t.Errorf("it is due in %s: %s", in, answer)
			}
		})
	}
}

// A session that repeats a request makes no second schedule.
func TestScheduleAgain(t *testing.T) {
	r := newRig(t)
	bo, sibling := r.join("bo"), r.join("bo", named("bo-2"))
	fields := `"to":"*","message":"tea","deliverAt":` + later(time.Hour)
	first := bo.schedule(fields + `,"_reqId":"a"`)
	if bo.schedule(`"_reqId":"a", `+fields) != first {
		t.Error("the repetition is another schedule")
	}
	for name, other := range map[string]string{
		"another id": bo.schedule(fields + `,"_reqId":"b"`), "no id": bo.schedule(fields), "again no id": bo.schedule(fields),
		"another text":    bo.schedule(strings.Replace(fields, "tea", "rum", 1) + `,"_reqId":"a"`),
		"another session": sibling.schedule(fields + `,"_reqId":"a"`),
	} {
		if other == first {
			t.Errorf("%s: it is the same schedule", name)
		}
	}
	if !bo.cancelled(first) || bo.schedule(fields+`,"_reqId":"a"`) != first {
		t.Error("the repetition of what was cancelled is another schedule")
	}
}

func TestScheduleShowsHowItStands(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	ids := map[store.ScheduleState]string{}
	for i, state := range []store.ScheduleState{store.ScheduleWaiting, store.ScheduleFired, store.ScheduleFailed} {
		ids[state] = bo.schedule(fmt.Sprintf(`"to":"*","message":"%d","deliverAt":%s`, i, later(time.Duration(i+1)*time.Hour)))
		r.changeSchedule(ids[state], func(row *store.Schedule) {
			row.State, row.Failure = state, "blocked: no"
			if row.Ended() {
				row.EndedAt, row.FiredAt = time.Now(), time.Now()
			}
		})
	}
	wantList(t, "listed", bo.scheduled(""), []string{"0 waiting", "2 failed"})
	wantList(t, "all", bo.scheduled(`,"all":true`), []string{"0 waiting", "1 fired", "2 failed"})
	if row := bo.scheduledRows("")[1]; row.Error != "blocked: no" || row.FiredAt == 0 || row.FiredCount != nil {
		t.Errorf("got %+v", row)
	}
	for state, want := range map[store.ScheduleState]bool{store.ScheduleFired: false, store.ScheduleFailed: true, store.ScheduleWaiting: true} {
		if got := bo.cancelled(ids[state]); got != want {
			t.Errorf("one that has %s is cancelled: %v", state, got)
		}
	}
	wantList(t, "listed then", bo.scheduled(""), nil)
}

// What is being sent cannot be cancelled any more, so the answer waits for what
// becomes of it.
func TestFlawExt42CancelIsTrue(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	claim := func(id string, until time.Duration) {
		r.changeSchedule(id, func(row *store.Schedule) { row.Claim, row.WakeAt = "node", time.Now().Add(until) })
	}
	stuck, sent, dead := bo.schedule(`"to":"*","message":"x","deliverAt":1`), bo.schedule(`"to":"*","message":"x","cron":"* * * * *"`), bo.schedule(`"to":"*","message":"x","deliverAt":1`)
	claim(stuck, time.Hour)
	answer, records := bo.ask(`{"type":"cancel_scheduled","scheduledId":"` + stuck + `"}`)
	wantText(t, answer, fmt.Sprintf(`{"type":"cancel_scheduled_ack","scheduledId":%q,"ok":false,"error":"unavailable: it is being sent at this moment: list them, and try again"}`, stuck))
	wantList(t, "records", recorded(records), nil)

	claim(sent, time.Hour)
	go r.store.ChangeSchedule(context.Background(), r.mesh.ID, sent, func(row *store.Schedule) error {
		row.Claim, row.Fired = "", 1
		return nil
	})
	if !bo.cancelled(sent) {
		t.Error("one that was sent meanwhile cannot be cancelled")
	}
	claim(dead, -time.Second)
	if !bo.cancelled(dead) {
		t.Error("one whose node is dead cannot be cancelled")
	}
}

func TestScheduleNeedsAPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	id := bo.schedule(`"to":"*","message":"tea","cron":"0 9 * * *"`)
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanSend: false} })
	answer, _ := bo.ask(`{"type":"schedule","to":"*","message":"tea","deliverAt":1,"_reqId":1}`)
	if !strings.HasPrefix(answer, `{"type":"scheduled_ack","_reqId":1,"error":"forbidden: `) {
		t.Errorf("got %s", answer)
	}
	wantList(t, "listed", bo.scheduled(""), []string{"tea waiting"})
	if !bo.cancelled(id) {
		t.Error("it cannot be cancelled")
	}
}

func TestFlawExt31SchedulesHaveRoom(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	var last string
	for n := range schedulesPerMember {
		last = bo.schedule(fmt.Sprintf(`"to":"*","message":"%d","cron":"0 9 * * *"`, n))
	}
	got, records := bo.ask(`{"type":"schedule","to":"*","message":"tea","deliverAt":1,"_reqId":1}`)
	wantText(t, got, `{"type":"scheduled_ack","_reqId":1,"error":"capacity: 200 schedules that wait are yours, and that is all a member may have: cancel some"}`)
	wantList(t, "records", recorded(records), nil)
	r.join("cy").schedule(`"to":"*","message":"tea","deliverAt":1`)
	if !bo.cancelled(last) {
		t.Fatal("it cannot be cancelled")
	}
	for range schedulesPerMember + 10 { // those that have ended take no room, and do not grow for ever
		if !bo.cancelled(bo.schedule(`"to":"*","message":"tea","deliverAt":1`)) {
			t.Fatal("it cannot be cancelled")
		}
	}
	if n := len(bo.scheduled(`,"all":true`)); n > 2*schedulesPerMember+1 {
		t.Errorf("%d are kept", n)
	}
}

// A list of long texts leaves some out, and none of the schedules.
func TestScheduleListIsBounded(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	long := strings.Repeat("x", 40_000)
	for range 40 {
		bo.schedule(`"to":"*","message":"` + long + `","cron":"0 9 * * *"`)
	}
	answer, _ := bo.ask(`{"type":"list_scheduled"}`)
	rows, whole := bo.scheduledRows(""), 0
	for _, row := range rows {
		if row.Message == long && !row.LeftOut {
			whole++
		} else if !row.LeftOut || row.Message != "" {
			t.Error("a text is cut")
		}
	}
	if len(rows) != 40 || whole < 20 || whole == 40 || len(answer) > answerBytes+40*1000 {
		t.Errorf("%d rows, %d whole, %d bytes", len(rows), whole, len(answer))
	}
}

func TestFlawExt44ScheduleIsRefusedAloud(t *testing.T) {
	const wrong = `{"type":"scheduled_ack","_reqId":1,"error":"invalid: `
	tests := []struct{ name, fields, want string }{
		{"nobody", `"message":"x","deliverAt":1`, wrong + `to: is required: want a string"}`},
		{"an unknown target", `"to":"bo","message":"x","deliverAt":1`, wrong + `to: a target is `},
		{"a long target", `"to":"` + strings.Repeat("x", 257) + `","message":"x","deliverAt":1`, wrong + `to: at most 256 bytes"}`},
		{"nothing", `"to":"*","deliverAt":1`, wrong + `message: is required`},
		{"an empty text", `"to":"*","message":"","deliverAt":1`, wrong + `message: is required`},
		{"two bodies", `"to":"*","message":"x","ciphertext":"x","deliverAt":1`, wrong + `ciphertext: want it in the place of message`},
		{"a nonce alone", `"to":"*","message":"x","nonce":"x","deliverAt":1`, wrong + `nonce: want it with a ciphertext`},
		{"no time", `"to":"*","message":"x"`, wrong + `deliverAt: is required`},
		{"no time, as old clients write it", `"to":"*","message":"x","deliverAt":null`, wrong + `deliverAt: is required`},
		{"a time as text", `"to":"*","message":"x","deliverAt":"1"`, wrong + `deliverAt: want a number"}`},
		{"microseconds", `"to":"*","message":"x","deliverAt":1.8e15`, wrong + `deliverAt: want milliseconds`},
		{"a time beyond all", `"to":"*","message":"x","deliverAt":1e308`, wrong + `deliverAt: want milliseconds`},
		{"a zone without cron", `"to":"*","message":"x","deliverAt":1,"timezone":"Europe/Madrid"`, wrong + `timezone: want it with cron`},
		{"another subtype", `"to":"*","message":"x","deliverAt":1,"subtype":"system"`, wrong + `subtype: want `},
		{"a zero byte", `"to":"*","message":"a\u0000b","deliverAt":1`, wrong + `a text holds`},
		{"a long text", `"to":"*","message":"` + strings.Repeat("x", 50_000) + `","deliverAt":1`, `{"type":"scheduled_ack","_reqId":1,"error":"payload too large: `},
		{"no cron", `"to":"*","message":"x","cron":"soon"`, `{"type":"error","_reqId":1,"code":"invalid_cron","message":"Invalid cron expression: \"soon\": want five fields`},
		{"an unknown zone", `"to":"*","message":"x","cron":"* * * * *","timezone":"Mars/Olympus"`, `{"type":"error","_reqId":1,"code":"invalid_cron","message":"Invalid cron expression: \"* * * * \"…: timezone: want an IANA name`},
	}
	r := newRig(t)
	bo := r.join("bo")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, records := bo.ask(`{"type":"schedule",` + tt.fields + `,"_reqId":1}`)
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			wantList(t, "records", recorded(records), nil)
		})
	}
	got, _ := bo.ask(`{"type":"cancel_scheduled","_reqId":1}`)
	wantText(t, got, `{"type":"cancel_scheduled_ack","_reqId":1,"scheduledId":"","ok":false,"error":"invalid: scheduledId: is required: want a string"}`)
	got, _ = bo.ask(`{"type":"cancel_scheduled","scheduledId":"x","_reqId":1}`)
	wantText(t, got, `{"type":"cancel_scheduled_ack","_reqId":1,"scheduledId":"x","ok":false,"error":"not_found: you have no schedule with this id that waits: list them"}`)
	wantList(t, "kept", bo.scheduled(`,"all":true`), nil)
}

// A step of zero hung the original for good, an impossible date for seconds.
func TestFlawExt03And05CronIsRefusedAtOnce(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for _, cron := range []string{"*/0 * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"} {
		got, _ := bo.ask(`{"type":"schedule","to":"*","message":"x","cron":"` + cron + `","_reqId":1}`)
		if !strings.HasPrefix(got, `{"type":"error","_reqId":1,"code":"invalid_cron","message":"Invalid cron expression: `) {
			t.Errorf("%s: got %s", cron, got)
		}
	}
}

// An expression may have had dates, and have none that is near.
func TestCronWithoutADateThatIsNear(t *testing.T) {
	sundays := &wire.Schedule{Cron: "0 0 29 2 */7"} // the 29th of February, where it is a Sunday
	for year, want := range map[int]int{2026: 2032, 2033: 0} {
		at, err := dueAt(sundays, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		refused, _ := errors.AsType[*core.Error](err)
		switch {
		case want > 0 && (err != nil || at.Year() != want):
			t.Errorf("in %d: got %s, %v", year, at, err)
		case want == 0 && (refused == nil || refused.Code != ReasonInvalidCron):
			t.Errorf("in %d: got %s, %v", year, at, err)
		}
	}
}

func TestFlawExt19SchedulesAtRest(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	reg := NewRegistry()
	reg.roster = r.roster
	Schedules(reg, r.store, SendOptions{MessageBytes: 1 << 16}, ScheduleOptions{Keys: identity.NewAtRest([identity.AtRestKeySize]byte{7})})
	bo.askOf(reg, `{"type":"schedule","to":"*","message":"a secret","deliverAt":1,"_reqId":1}`)
	bo.askOf(reg, `{"type":"schedule","to":"*","nonce":"n","ciphertext":"sealed","deliverAt":2e12}`)
	rows, err := r.store.ListSchedules(t.Context(), r.mesh.ID, bo.member.ID)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0].Form != store.ScheduleAtRest || strings.Contains(rows[0].Body, "secret") || rows[1].Form != store.SchedulePeer || rows[1].Body != "sealed" {
		t.Errorf("got %+v and %+v", rows[0], rows[1])
	}
	answer, _ := bo.askOf(reg, `{"type":"list_scheduled"}`)
	for _, want := range []string{`"message":"a secret"`, `"message":"","ciphertext":"sealed","nonce":"n"`} {
		if !strings.Contains(answer, want) {
			t.Errorf("got %s, want %s", answer, want)
		}
	}
	lost, _ := bo.ask(`{"type":"list_scheduled"}`) // by a broker without the key
	if strings.Contains(lost, "secret") || !strings.Contains(lost, `"error":"internal: `) {
		t.Errorf("got %s", lost)
	}
}

// Whatever comes, each request has an answer in its own shape, and what is listed
// is what was accepted and not cancelled, for each member its own.
func TestScheduleProperty(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy")}
	mine := []map[string]bool{{}, {}}
	ids := []string{"nothing", "", "'"}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"*", "@ops", "x", "* * * * *", "0 0 30 2 *", "*/0 * * * *", "Europe/Madrid", "reminder"}))
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 1).Draw(rt, "peer")
		switch rapid.IntRange(0, 2).Draw(rt, "what") {
		case 0:
			frame := `{"type":"schedule","_reqId":1`
			for _, field := range []string{"to", "message", "cron", "timezone", "subtype", "ciphertext", "nonce"} {
				if rapid.Bool().Draw(rt, field+"?") {
					frame += `,"` + field + `":` + quoted(text.Draw(rt, field))
				}
			}
			if rapid.Bool().Draw(rt, "deliverAt?") {
				frame += fmt.Sprintf(`,"deliverAt":%g`, rapid.OneOf(rapid.Float64Range(-1e18, 1e18), rapid.Float64Range(0, 2e12)).Draw(rt, "deliverAt"))
			}
			answer, _ := peers[n].ask(frame + "}")
			if strings.HasPrefix(answer, `{"type":"error","_reqId":1,"code":"invalid_cron"`) {
				return
			}
			got, err := wire.Decode[wire.ScheduledAck]([]byte(answer))
			if err != nil || !strings.HasPrefix(answer, `{"type":"scheduled_ack","_reqId":1,`) || (got.ScheduledID == "") == (got.Error == "") {
				rt.Fatalf("%s: got %s, %v", frame, answer, err)
			}
			if got.ScheduledID != "" {
				mine[n][got.ScheduledID] = true
				ids = append(ids, got.ScheduledID)
			}
		case 1:
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			waits, known := mine[n][id]
			if got := peers[n].cancelled(id); got != known {
				rt.Fatalf("%s, which waits: %v, is cancelled: %v", id, waits, got)
			}
			if known {
				mine[n][id] = false
			}
		case 2:
			listed := map[string]bool{}
			for _, row := range peers[n].scheduledRows("") {
				listed[row.ID] = true
			}
			for id, waits := range mine[n] {
				if listed[id] != waits {
					rt.Fatalf("%s waits: %v, and is listed: %v", id, waits, listed[id])
				}
				delete(listed, id)
			}
			if len(listed) > 0 {
				rt.Fatalf("%v are listed, too", listed)
			}
		}
	})
}
