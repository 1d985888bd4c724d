package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// topic makes a topic and returns its id.
func (s *socket) topic(name, visibility string) string {
	s.t.Helper()
	answer := s.ask(`{"type":"topic_create","name":"`+name+`","visibility":"`+visibility+`"}`, "topic_created")
	_, id, _ := strings.Cut(answer, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if id == "" {
		s.t.Fatalf("got %s", answer)
	}
	return id
}

// say sends a message to a topic and returns its id.
func (s *socket) say(topic, body string) string {
	s.t.Helper()
	return s.wantAck(`{"type":"send","id":1,"targetSpec":"#`+topic+`","priority":"now","nonce":"","ciphertext":"`+body+`"}`, `"queued":true`)
}

// wantAck sends a frame and returns the messageId of its ack, which has to have a
// part.
func (s *socket) wantAck(frame, part string) string {
	s.t.Helper()
	answer := s.ask(frame, "ack")
	if !strings.Contains(answer, part) {
		s.t.Errorf("%s: got %s", frame, answer)
	}
	_, id, _ := strings.Cut(answer, `"messageId":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// history returns a topic's history as it is on the wire.
func (s *socket) history(topic string) string {
	s.t.Helper()
	return s.ask(`{"type":"topic_history","topic":"`+topic+`"}`, "topic_history_response")
}

// wantSaid waits for a push from a topic.
func (s *socket) wantSaid(topic, id string) {
	s.t.Helper()
	if got := s.wantFrame("push"); !strings.Contains(got, `"messageId":"`+id+`"`) || !strings.Contains(got, `"topic":"`+topic+`"`) {
		s.t.Errorf("got %s, want %s", got, id)
	}
}

func TestTopicsCrossNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	adaID, boID := a.member("ada", store.RoleMember), b.member("bo", store.RoleMember)
	ada, bo := a.joined(adaID), b.joined(boID)
	id := ada.topic("deploys", "public")
	bo.wantAck(`{"type":"topic_join","topic":"deploys","_reqId":"j"}`, `"_reqId":"j"`)
	first := ada.say("deploys", "b25l")
	bo.wantSaid("deploys", first)
	second := bo.say(id, "dHdv")
	ada.wantSaid("deploys", second)
	for _, s := range []*socket{ada, bo} {
		if got := s.history("deploys"); !strings.Contains(got, first) || strings.Index(got, second) > strings.Index(got, first) {
			t.Errorf("got %s", got)
		}
	}
	bo.ask(`{"type":"topic_leave","topic":"deploys"}`, "ack")
	ada.say("deploys", "ZHJlaQ==") // to nobody
	bo.wantAck(`{"type":"send","id":2,"targetSpec":"#deploys","nonce":"","ciphertext":""}`, "forbidden")
}

// Two nodes take the same send, under one client_message_id: it is in the history
// once.
func TestTopicSendIsOneMessageOverNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	id := a.member("ada", store.RoleMember)
	on := []*socket{a.joined(id), b.joined(id)}
	on[0].topic("deploys", "public")
	for round := range 5 {
		var all sync.WaitGroup
		var ids [2]string
		for i, s := range on {
			all.Go(func() {
				frame := fmt.Sprintf(`{"type":"send","id":1,"client_message_id":"c%d","targetSpec":"#deploys","nonce":"","ciphertext":"YQ=="}`, round)
				s.write(frame)
				for {
					if got := s.next(false); strings.Contains(got, `"type":"ack"`) {
						_, rest, _ := strings.Cut(got, `"messageId":"`)
						ids[i], _, _ = strings.Cut(rest, `"`)
						return
					}
				}
			})
		}
		all.Wait()
		if ids[0] == "" || ids[0] != ids[1] {
			t.Fatalf("got %q", ids)
		}
	}
	topic, err := a.store.FindTopic(t.Context(), a.mesh.ID, "deploys")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := a.store.TopicHistory(t.Context(), store.TopicQuery{TopicID: topic.ID, Now: time.Now(), Limit: 100})
	if err != nil || len(kept) != 5 {
		t.Errorf("%d are in the history, %v", len(kept), err)
	}
}

func TestTopicsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	adaID, boID := before.member("ada", store.RoleMember), before.member("bo", store.RoleMember)
	ada, bo := before.joined(adaID), before.joined(boID)
	ada.topic("deploys", "private")
	ada.ask(`{"type":"topic_join","topic":"deploys","member":"`+boID.MemberID+`"}`, "ack")
	bo.ask(`{"type":"topic_join","topic":"deploys"}`, "ack")
	bo.bye()
	sent := ada.say("deploys", "YQ==")
	before.stop()

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	bo = after.joined(boID)
	bo.wantSaid("deploys", sent)
	if got := bo.history("deploys"); !strings.Contains(got, sent) {
		t.Errorf("got %s", got)
	}
	stranger := after.joined(after.member("cy", store.RoleMember))
	if got := stranger.history("deploys"); !strings.Contains(got, "topic_not_found") {
		t.Errorf("got %s", got)
	}
}

// Topics are pushed at once, to each member, by their name too; the author gets
// none of its own messages, and nothing is acknowledged that goes nowhere.
func TestFlawLater07TopicsArePushed(t *testing.T) {
	r := newRig(t, nil)
	ada, bo, cy := r.joined(r.member("ada", store.RoleMember)), r.joined(r.member("bo", store.RoleMember)), r.joined(r.member("cy", store.RoleMember))
	id := ada.topic("deploys", "public")
	for _, s := range []*socket{bo, cy} {
		s.ask(`{"type":"topic_join","topic":"deploys"}`, "ack")
	}
	for _, name := range []string{"deploys", id} {
		sent := ada.say(name, "YQ==")
		bo.wantSaid("deploys", sent)
		cy.wantSaid("deploys", sent)
	}
	ada.wantAck(`{"type":"send","id":1,"targetSpec":"#no-such","nonce":"","ciphertext":""}`, `"queued":false,"error":"topic_not_found`)
	for _, frame := range ada.settle() {
		if strings.Contains(string(frame), `"type":"push"`) && strings.Contains(string(frame), `"topic"`) {
			t.Errorf("the author got %s", frame)
		}
	}
}

// A topic of another mesh is none: nobody writes to it, reads it or joins it. Of
// private ones strangers learn nothing, and who makes a topic that is there does
// not come to lead it.
func TestFlawLater24TopicsKeepToTheirMesh(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleMember))
	public, private := ada.topic("deploys", "public"), ada.topic("plans", "private")
	said := ada.say("deploys", "YQ==")

	stranger := r.joined(r.otherMesh(false))
	for _, id := range []string{public, private, "plans"} {
		stranger.wantAck(`{"type":"send","id":1,"targetSpec":"#`+id+`","nonce":"","ciphertext":"","mentions":["ada"]}`, "topic_not_found")
		if got := stranger.history(id); !strings.Contains(got, `"messages":[]`) || !strings.Contains(got, "topic_not_found") {
			t.Errorf("got %s", got)
		}
		stranger.wantAck(`{"type":"topic_join","topic":"`+id+`"}`, "topic_not_found")
	}
	if got := ada.history("deploys"); strings.Count(got, `"id"`) != 1 || !strings.Contains(got, said) {
		t.Errorf("got %s", got)
	}

	bo := r.joined(r.member("bo", store.RoleMember))
	if got := bo.history("plans"); !strings.Contains(got, "topic_not_found") {
		t.Errorf("got %s", got)
	}
	if got := bo.ask(`{"type":"topic_create","name":"plans"}`, "topic_created"); !strings.Contains(got, "topic_name_taken") {
		t.Errorf("got %s", got)
	}
	bo.ask(`{"type":"topic_create","name":"deploys"}`, "topic_created")
	got := bo.ask(`{"type":"topic_members","topic":"deploys"}`, "topic_members_response")
	if strings.Count(got, `"role":"lead"`) != 1 || strings.Count(got, `"role":"member"`) != 1 {
		t.Errorf("got %s", got)
	}
}

// Every request about topics is answered, with its _reqId and in its own type, also
// when it is refused.
func TestFlawLater33TopicRequestsAreAnswered(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleMember))
	for typ, answer := range map[string]string{
		"topic_join": "ack", "topic_leave": "ack", "topic_mark_read": "ack", "topic_members": "topic_members_response",
		"topic_history": "topic_history_response",
	} {
		for _, topic := range []string{`"general"`, `"nothing"`, `7`} {
			got := ada.ask(`{"type":"`+typ+`","topic":`+topic+`,"_reqId":"q"}`, answer)
			if !strings.Contains(got, `"_reqId":"q"`) || strings.Contains(got, `"error"`) != (topic != `"general"`) {
				t.Errorf("%s of %s: got %s", typ, topic, got)
			}
			if typ == "topic_leave" && topic == `"general"` {
				ada.ask(`{"type":"topic_join","topic":"general"}`, "ack")
			}
		}
	}
}

// A message to a topic waits for a member in its grace time, and for one that is
// busy, and comes once.
func TestFlawLater06TopicsWait(t *testing.T) {
	r := newRig(t, nil)
	adaID, boID, cyID := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember), r.member("cy", store.RoleMember)
	ada, bo, cy := r.joined(adaID), r.joined(boID), r.joined(cyID)
	cy.write(`{"type":"set_status","status":"dnd"}`)
	cy.ask(`{"type":"mesh_info"}`, "mesh_info_result")
	bo.cut()
	sent := ada.wantAck(`{"type":"send","id":1,"targetSpec":"#general","priority":"next","nonce":"","ciphertext":"YQ=="}`, `"queued":true`)
	bo = r.joined(boID)
	bo.wantSaid("general", sent)
	for _, frame := range cy.settle() {
		if strings.Contains(string(frame), sent) {
			t.Errorf("who is not to be disturbed got %s", frame)
		}
	}
	cy.write(`{"type":"set_status","status":"idle"}`)
	cy.wantSaid("general", sent)
	for _, s := range []*socket{bo, cy} {
		for _, frame := range s.settle() {
			if strings.Contains(string(frame), sent) {
				t.Errorf("it came again: %s", frame)
			}
		}
	}
}

// What the broker sends for a member to a topic is a message of the topic like any
// other, and reaches the member's own sessions too.
func TestPostToTopic(t *testing.T) {
	r := newRig(t, nil)
	adaID := r.member("ada", store.RoleMember)
	own, bo := r.joined(adaID), r.joined(r.member("bo", store.RoleMember))
	p := r.posted(adaID, "#general", "tea")
	p.Message.Mentions = []string{"BO"}
	var sent string
	for range 2 {
		id, err := r.app.Post(t.Context(), p)
		if err != nil || sent != "" && id != sent {
			t.Fatalf("got %s after %q, %v", id, sent, err)
		}
		sent = id
	}
	for _, s := range []*socket{own, bo} {
		got := s.wantFrame("push")
		for _, want := range []string{`"messageId":"` + sent + `"`, `"topic":"general"`, `"subtype":"reminder"`, `"senderPubkey":""`, `"mentions":["`} {
			if !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	if got := bo.history("general"); strings.Count(got, sent) != 1 {
		t.Errorf("got %s", got)
	}
	p.Message.TargetSpec = "#nothing"
	p.Message.ClientMessageID = "other"
	if got := r.refusal(p); got.Code != "topic_not_found" {
		t.Errorf("got %+v", got)
	}
}
