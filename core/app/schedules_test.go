package app_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// schedule asks for a schedule and returns its id.
func (s *socket) schedule(fields string) string {
	s.t.Helper()
	var got struct{ ScheduledID string }
	answer := s.ask(`{"type":"schedule",`+fields+`}`, "scheduled_ack")
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.ScheduledID == "" {
		s.t.Fatalf("%v: %s", err, answer)
	}
	return got.ScheduledID
}

// wantReminder waits for a message that a schedule has sent, and confirms it.
func (s *socket) wantReminder(text string) {
	s.t.Helper()
	_, ciphertext := dial.Plain(text)
	got := s.wantFrame("push")
	for _, want := range []string{`"senderPubkey":""`, `"ciphertext":"` + ciphertext + `"`, `"subtype":"reminder"`} {
		if !strings.Contains(got, want) {
			s.t.Errorf("got %s, want %s", got, want)
		}
	}
	var push struct{ MessageID string }
	if err := json.Unmarshal([]byte(got), &push); err != nil {
		s.t.Fatal(err)
	}
	s.write(`{"type":"client_ack","brokerMessageId":"` + push.MessageID + `"}`)
}

// soon is a deliverAt that is not over yet.
func soon() int64 { return time.Now().Add(time.Second).UnixMilli() }

// The program that sets a reminder for itself ends at once, and so does its session.
// The reminder comes to whatever session of the member is here then.
func TestFlawExt36ReminderOutlivesItsSession(t *testing.T) {
	r := newRig(t, nil)
	member := r.member("ada", store.RoleMember)
	id := session(member)
	ada := r.greet(r.vouched(id, time.Now()), socketOptions{})
	ada.schedule(fmt.Sprintf(`"to":%q,"message":"tea","deliverAt":%d,"subtype":"reminder"`, id.RoutingKey(), soon()))
	ada.bye()
	r.joined(member).wantReminder("tea")
}

// Nobody is here when a reminder is due, and no broker either: it comes when both
// are back, once.
func TestFlawExt35And37And41RemindersOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	member := before.member("ada", store.RoleMember)
	id := session(member)
	ada := before.greet(before.vouched(id, time.Now()), socketOptions{})
	at := soon()
	ada.schedule(fmt.Sprintf(`"to":%q,"message":"tea","deliverAt":%d,"subtype":"reminder"`, id.RoutingKey(), at))
	ada.schedule(`"to":"@ops","message":"stand up","cron":"0 9 * * *","subtype":"reminder"`)
	before.stop()
	eventually(t, "the reminder to be due", func() bool { return time.Now().UnixMilli() > at })

	for round := range 2 {
		after := start(t, path, nil)
		after.mesh, after.owner = before.mesh, before.owner
		if round == 0 { // nobody is here yet
			eventually(t, "the reminder to be sent", func() bool { return after.app.SentSchedules() == 1 })
		}
		s := after.joined(member)
		if round == 0 {
			s.wantReminder("tea")
			eventually(t, "it to be confirmed", func() bool {
				n, _, err := after.store.QueueDepth(t.Context())
				return err == nil && n == 0
			})
		}
		if got := s.ask(`{"type":"list_scheduled"}`, "scheduled_list"); !strings.Contains(got, `"state":"waiting"`) || strings.Contains(got, "tea") {
			t.Errorf("got %s", got)
		}
		after.stop()
	}
}

// A restart ends all connections. What is due for a group or for everybody waits
// until clients had the time to come back; before that it would reach nobody.
func TestFlawExt37GroupsAreBackBeforeTheirMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	member := before.member("ada", store.RoleMember)
	ada := before.joined(member)
	at := soon()
	id := ada.schedule(fmt.Sprintf(`"to":"*","message":"tea","deliverAt":%d`, at))
	before.stop()
	eventually(t, "the message to be due", func() bool { return time.Now().UnixMilli() > at })

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	s, got := after.joined(member), ""
	eventually(t, "it to wait", func() bool {
		got = s.ask(`{"type":"list_scheduled"}`, "scheduled_list")
		return strings.Contains(got, `"error":"unavailable: the broker has just started`)
	})
	if !strings.Contains(got, `"state":"waiting"`) || after.app.SentSchedules() > 0 {
		t.Errorf("got %s", got)
	}
	s.schedule(`"to":"*","message":"new","deliverAt":1`) // whoever asks now means those that are here now
	eventually(t, "the new one to be sent", func() bool { return after.app.SentSchedules() == 1 })
	if _, err := after.store.ChangeSchedule(t.Context(), after.mesh.ID, id, func(row *store.Schedule) error {
		row.WakeAt = time.Now() // the test does not wait for it
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	after.stop()

	soonBack := start(t, path, func(c *config.Config) { c.Presence.Grace = 0 })
	eventually(t, "it to be sent", func() bool { return soonBack.app.SentSchedules() == 1 })
}

// Two nodes have the same rows, and each is sent by one of them. Any of them lists
// and cancels.
func TestFlawExt40And42SchedulesOverNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	id := a.member("ada", store.RoleMember)
	ada, sibling, bo := a.joined(id), b.joined(id), b.joined(b.member("bo", store.RoleMember))
	const all = 12
	at := soon()
	for i := range all {
		ada.schedule(fmt.Sprintf(`"to":"*","message":"%d","deliverAt":%d,"subtype":"reminder"`, i, at))
	}
	late := ada.schedule(fmt.Sprintf(`"to":"*","message":"never","deliverAt":%d`, at+3_600_000))
	if got := sibling.ask(`{"type":"list_scheduled"}`, "scheduled_list"); !strings.Contains(got, late) {
		t.Errorf("the other node lists %s", got)
	}
	if got := sibling.ask(`{"type":"cancel_scheduled","scheduledId":"`+late+`"}`, "cancel_scheduled_ack"); !strings.Contains(got, `"ok":true`) {
		t.Errorf("the other node says %s", got)
	}
	seen := map[string]bool{}
	for range all {
		var push struct{ Ciphertext, MessageID string }
		if err := json.Unmarshal([]byte(bo.wantFrame("push")), &push); err != nil || seen[push.Ciphertext] {
			t.Fatalf("%s came twice, or %v", push.Ciphertext, err)
		}
		seen[push.Ciphertext] = true
	}
	eventually(t, "all to have fired", func() bool {
		list := ada.ask(`{"type":"list_scheduled","all":true}`, "scheduled_list")
		return strings.Count(list, `"state":"fired"`) == all && strings.Count(list, `"state":"cancelled"`) == 1
	})
	if sent := a.app.SentSchedules() + b.app.SentSchedules(); sent != all {
		t.Errorf("%d were sent, want %d", sent, all)
	}
}

// A schedule is held to what its creator may do when it fires, and its creator can
// see what was refused.
func TestScheduleIsHeldToTheRules(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleMember))
	ada.schedule(`"to":"` + strings.Repeat("ab", 32) + `","message":"tea","deliverAt":1`)
	var got string
	eventually(t, "the refusal to be listed", func() bool {
		got = ada.ask(`{"type":"list_scheduled"}`, "scheduled_list")
		return strings.Contains(got, `"state":"failed"`)
	})
	if !strings.Contains(got, `"message":"tea"`) || !strings.Contains(got, "no connected peer for target") {
		t.Errorf("got %s", got)
	}
}

// Whoever is banned sends nothing any more, whatever it has scheduled.
func TestFlawExt25BannedMembersSchedulesEnd(t *testing.T) {
	r := newRig(t, nil)
	eve, bo := r.member("eve", store.RoleMember), r.joined(r.member("bo", store.RoleMember))
	e := r.joined(eve)
	e.schedule(fmt.Sprintf(`"to":"*","message":"boo","deliverAt":%d`, soon()))
	r.revoke(eve)
	eventually(t, "the schedule to end", func() bool {
		list, err := r.store.ListSchedules(t.Context(), r.mesh.ID, eve.MemberID)
		return err == nil && len(list) == 1 && list[0].State == store.ScheduleFailed
	})
	for _, frame := range bo.settle() {
		if strings.Contains(string(frame), `"Ym9v"`) {
			t.Errorf("got %s", frame)
		}
	}
}
