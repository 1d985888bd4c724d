package feature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// topic makes a topic and returns its id.
func (p *peer) topic(name, visibility string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"topic_create","name":` + quoted(name) + `,"visibility":"` + visibility + `"}`)
	got, err := wire.Decode[wire.TopicCreated]([]byte(answer))
	if err != nil || got.Topic.ID == "" || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	return got.Topic.ID
}

// on asks something about a topic and returns the reason of a refusal, or "ok".
func (p *peer) on(typ, topic, more string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"` + typ + `","topic":` + quoted(topic) + `,"_reqId":"q"` + more + `}`)
	if !strings.Contains(answer, `"_reqId":"q"`) {
		p.rig.t.Errorf("%s: the answer lacks the _reqId: %s", typ, answer)
	}
	return verdict(p.rig.t, answer)
}

// say sends a message to a topic and returns its id, or the reason of a refusal.
func (p *peer) say(topic, body, more string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"send","id":"s","targetSpec":` + quoted("#"+topic) + `,"priority":"now","nonce":"n","ciphertext":` + quoted(body) + more + `}`)
	ack, err := wire.Decode[wire.Ack]([]byte(answer))
	if err != nil {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	if ack.Queued {
		return ack.MessageID
	}
	reason, _, _ := strings.Cut(ack.Error, ":")
	return reason
}

// verdict returns the reason of a refusal, or "ok".
func verdict(t testing.TB, answer string) string {
	t.Helper()
	_, text, refused := strings.Cut(answer, `"error":"`)
	if !refused {
		return "ok"
	}
	reason, _, _ := strings.Cut(text, ":")
	return reason
}

// bodies returns what a topic's history says, the newest first, or the reason of a
// refusal.
func (p *peer) bodies(topic, more string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"topic_history","topic":` + quoted(topic) + more + `}`)
	got, err := wire.Decode[wire.TopicHistoryResponse]([]byte(answer))
	if err != nil || got.Topic != topic {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	if got.Error != "" {
		return verdict(p.rig.t, answer)
	}
	var list []string
	for _, m := range got.Messages {
		list = append(list, m.Ciphertext)
	}
	return strings.Join(list, " ")
}

// crew returns who is in a topic, with roles, or the reason of a refusal.
func (p *peer) crew(topic string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"topic_members","topic":` + quoted(topic) + `}`)
	got, err := wire.Decode[wire.TopicMembersResponse]([]byte(answer))
	if err != nil || got.Topic != topic {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	if got.Error != "" {
		return verdict(p.rig.t, answer)
	}
	var list []string
	for _, m := range got.Members {
		list = append(list, m.DisplayName+" "+m.Role)
	}
	return strings.Join(list, ", ")
}

// topicsSeen returns the topics of topic_list, with the asker's roles.
func (p *peer) topicsSeen() string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"topic_list"}`)
	got, err := wire.Decode[wire.TopicListResponse]([]byte(answer))
	if err != nil || got.Error != "" {
		p.rig.t.Fatalf("%v: %s", err, answer)
	}
	var list []string
	for _, row := range got.Topics {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d %s", row.Name, row.MemberCount, row.Role)))
	}
	return strings.Join(list, ", ")
}

func TestTopicLife(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	answer, records := bo.ask(`{"type":"topic_create","name":"deploys","description":"what goes out","_reqId":"c"}`)
	made, err := wire.Decode[wire.TopicCreated]([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	id := made.Topic.ID
	wantText(t, answer, fmt.Sprintf(`{"type":"topic_created","_reqId":"c","topic":{"id":%q,"name":"deploys","visibility":"public"},"created":true}`, id))
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`topic_created {"topicId":%q,"visibility":"public"}`, id)})
	answer, records = bo.ask(`{"type":"topic_create","name":"deploys","_reqId":"c"}`) // once more
	wantText(t, answer, fmt.Sprintf(`{"type":"topic_created","_reqId":"c","topic":{"id":%q,"name":"deploys","visibility":"public"},"created":false}`, id))
	wantList(t, "records", recorded(records), nil)

	wantText(t, cy.say("deploys", "x", ""), "forbidden")
	wantText(t, cy.on("topic_mark_read", id, ""), "forbidden")
	answer, records = cy.ask(`{"type":"topic_join","topic":"#deploys","_reqId":"j"}`)
	wantText(t, answer, `{"type":"ack","_reqId":"j","id":"j","messageId":"","queued":false}`)
	wantList(t, "records", recorded(records), []string{fmt.Sprintf(`topic_joined {"topicId":%q}`, id)})
	_, records = cy.ask(`{"type":"topic_join","topic":"deploys","role":"observer"}`) // a repetition keeps the role
	wantList(t, "records", recorded(records), nil)
	wantText(t, cy.crew(id), "bo lead, cy member")
	wantText(t, cy.topicsSeen(), "deploys 2 member, general 4 member")

	first, second := cy.say("deploys", "one", ""), bo.say(id, "two", `,"bodyVersion":2`)
	answer, _ = bo.ask(`{"type":"topic_history","topic":"deploys","limit":1,"beforeId":` + quoted(second) + `,"_reqId":5}`)
	page, err := wire.Decode[wire.TopicHistoryResponse]([]byte(answer))
	if err != nil || len(page.Messages) != 1 {
		t.Fatalf("%v: %s", err, answer)
	}
	wantText(t, answer, fmt.Sprintf(`{"type":"topic_history_response","_reqId":5,"topic":"deploys","messages":[{"id":%q,"senderPubkey":%q,`+
		`"senderMemberId":%q,"senderName":"cy","nonce":"n","ciphertext":"one","bodyVersion":1,"createdAt":%q}]}`,
		first, cy.session.Key, cy.member.ID, wire.AppendTime(nil, page.Messages[0].CreatedAt)))
	wantText(t, bo.bodies("deploys", ""), "two one")
	wantText(t, bo.bodies("deploys", `,"beforeId":"nothing"`), "")
	wantText(t, bo.bodies("deploys", `,"limit":-3`), "two")

	wantText(t, cy.on("topic_mark_read", "deploys", ""), "ok")
	wantText(t, cy.on("topic_leave", "deploys", ""), "ok")
	wantText(t, cy.on("topic_leave", "deploys", ""), "ok")
	wantText(t, cy.say("deploys", "x", ""), "forbidden")
	wantText(t, bo.crew("deploys"), "bo lead")
}

func TestTopicsThatAreNotThere(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for _, topic := range []string{"nothing", identity.NewID(), "#", " general"} {
		for _, typ := range []string{"topic_join", "topic_leave", "topic_mark_read", "topic_members", "topic_history"} {
			wantText(t, bo.on(typ, topic, ""), "topic_not_found")
		}
		if topic != "#" {
			wantText(t, bo.say(topic, "x", ""), "topic_not_found")
		}
	}
	for _, name := range []string{"", " a", "#a", "@a", "a\tb", "a\u200bb", strings.Repeat("a", 65), "a\u202eb",
		"general\u3164", "general\ufe0f", "general\u034f", "\u2800"} {
		answer, _ := bo.ask(`{"type":"topic_create","name":` + quoted(name) + `,"_reqId":"x"}`)
		if !strings.HasPrefix(answer, `{"type":"topic_created","_reqId":"x","topic":{"id":"","name":"","visibility":""},"created":false,"error":"invalid: `) {
			t.Errorf("%q: got %s", name, answer)
		}
	}
}

// However much members write about their topics, and however many they are, an
// answer fits into an outbox, and topic_list has every topic.
func TestTopicAnswersFit(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	const many, overhead = 250, 512
	for n := range many {
		topic := &store.Topic{
			ID: identity.NewID(), MeshID: r.mesh.ID, Name: fmt.Sprintf("t%03d", n), Description: strings.Repeat("\x01", 1024),
			Visibility: store.TopicPublic, CreatorID: bo.member.ID, CreatedAt: time.Now(),
		}
		if _, _, err := r.store.CreateTopic(t.Context(), topic, nil, nil, store.Room{Mesh: many, Member: many}); err != nil {
			t.Fatal(err)
		}
		key := sdk.Key{1: byte(n), 2: 1}
		if err := r.store.AddMember(t.Context(), &store.Member{
			ID: identity.NewID(), MeshID: r.mesh.ID, Key: key, DisplayName: strings.Repeat("\x01", 1024), Role: store.RoleMember,
			MessageMode: "push", JoinedAt: time.Now(),
		}); err != nil {
			t.Fatal(err)
		}
	}
	answer, _ := bo.ask(`{"type":"topic_list"}`)
	list, err := wire.Decode[wire.TopicListResponse]([]byte(answer))
	if err != nil || len(answer) > answerBytes+many*overhead || len(list.Topics) != many+1 {
		t.Fatalf("%d bytes with %d topics, %v", len(answer), len(list.Topics), err)
	}
	if list.Topics[1].Description == nil || list.Topics[many].Description != nil {
		t.Error("the first topics have to keep their descriptions, and the last ones not")
	}
	answer, _ = bo.ask(`{"type":"topic_members","topic":"general"}`)
	crew, err := wire.Decode[wire.TopicMembersResponse]([]byte(answer))
	if err != nil || len(answer) > answerBytes+many*overhead || len(crew.Members) < many/2 {
		t.Errorf("%d bytes with %d members, %v", len(answer), len(crew.Members), err)
	}
}

// Topics that nobody knows the maker of, such as imported ones, take no room from
// general, which nobody makes either.
func TestGeneralBesideTopicsOfNobody(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	topic := &store.Topic{ID: identity.NewID(), MeshID: r.mesh.ID, Name: "imported", Visibility: store.TopicPublic, CreatedAt: time.Now()}
	if _, _, err := r.store.CreateTopic(t.Context(), topic, nil, nil, store.Room{Mesh: 1, Member: 1}); err != nil {
		t.Fatal(err)
	}
	wantText(t, bo.topicsSeen(), "general 4 member, imported 0")
}

// A topic general that the member may not see hides no other, and keeps nobody waiting.
func TestTopicsBesideAPrivateGeneral(t *testing.T) {
	r := newRig(t)
	for _, topic := range []*store.Topic{{Name: "general", Visibility: store.TopicPrivate}, {Name: "imported", Visibility: store.TopicPublic}} {
		topic.ID, topic.MeshID, topic.CreatedAt = identity.NewID(), r.mesh.ID, time.Now()
		if _, _, err := r.store.CreateTopic(t.Context(), topic, nil, nil, store.Room{Mesh: 2, Member: 2}); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, r.join("bo").topicsSeen(), "imported 0")
}

// The topic general is in each mesh, with everybody in it, also who comes later.
func TestGeneral(t *testing.T) {
	r := newRig(t)
	bo, gil := r.join("bo"), r.join("gil")
	wantText(t, bo.crew("general"), "ada member, bo member, cy member, gil member")
	late := &store.Member{
		ID: identity.NewID(), MeshID: r.mesh.ID, Key: keyOf("dee"), DisplayName: "dee", Role: store.RoleMember, MessageMode: "push", JoinedAt: time.Now(),
	}
	if err := r.store.AddMember(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	r.members["dee"] = late
	dee := r.join("dee")
	wantText(t, dee.say("general", "hello", ""), bo.top("general"))
	wantText(t, dee.on("topic_leave", "general", ""), "ok")
	wantText(t, dee.topicsSeen(), "general 4")
	wantText(t, dee.say("general", "hello", ""), "forbidden")
	wantText(t, dee.on("topic_join", "general", ""), "ok")
	wantText(t, bo.on("topic_leave", "general", `,"member":"`+late.ID+`"`), "forbidden")
	wantText(t, gil.on("topic_join", "general", `,"role":"observer","member":"`+keyOf("dee").String()+`"`), "ok") // an admin leads
	wantText(t, dee.say("general", "hello", ""), "forbidden")
	wantText(t, dee.on("topic_leave", "general", ""), "ok")
	wantText(t, dee.on("topic_join", "general", `,"role":"member"`), "ok")
	wantText(t, dee.say("general", "hello", ""), "forbidden") // who observes does so when it comes back
	answer, _ := bo.ask(`{"type":"topic_create","name":"general"}`)
	if !strings.Contains(answer, `"created":false`) {
		t.Errorf("got %s", answer)
	}
	wantText(t, bo.crew("general"), "ada member, bo member, cy member, dee observer, gil member")
}

// top returns the id of the newest message of a topic.
func (p *peer) top(topic string) string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"topic_history","topic":` + quoted(topic) + `,"limit":1}`)
	got, err := wire.Decode[wire.TopicHistoryResponse]([]byte(answer))
	if err != nil || len(got.Messages) == 0 {
		return ""
	}
	return got.Messages[0].ID
}

func TestPrivateTopics(t *testing.T) {
	for _, visibility := range []string{"private", "dm"} {
		t.Run(visibility, func(t *testing.T) {
			r := newRig(t)
			bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
			id := bo.topic("secret", visibility)
			for _, p := range []*peer{cy, gil} { // admins too
				for _, name := range []string{"secret", id} {
					for _, typ := range []string{"topic_join", "topic_leave", "topic_mark_read", "topic_members", "topic_history"} {
						wantText(t, p.on(typ, name, ""), "topic_not_found")
					}
					wantText(t, p.say(name, "x", ""), "topic_not_found")
				}
				wantText(t, p.topicsSeen(), "general 4 member")
			}
			answer, _ := cy.ask(`{"type":"topic_create","name":"secret"}`)
			wantText(t, verdict(t, answer), "topic_name_taken")

			wantText(t, bo.on("topic_join", "secret", `,"role":"observer","member":"`+cy.member.Key.String()+`"`), "ok")
			wantText(t, cy.topicsSeen(), "general 4 member, secret 1 invited")
			for _, typ := range []string{"topic_mark_read", "topic_members", "topic_history"} {
				wantText(t, cy.on(typ, id, ""), "forbidden")
			}
			wantText(t, bo.crew(id), "bo lead")
			wantText(t, cy.on("topic_join", id, `,"role":"lead"`), "ok") // not more than it was invited for
			wantText(t, cy.crew(id), "bo lead, cy observer")
			wantText(t, cy.say(id, "x", ""), "forbidden")
			wantText(t, cy.on("topic_join", id, `,"member":"`+gil.member.ID+`"`), "forbidden")
			wantText(t, bo.on("topic_join", id, `,"member":"nobody"`), "not_found")
			wantText(t, bo.on("topic_join", id, `,"role":"member","member":"`+cy.member.ID+`"`), "ok")
			wantText(t, cy.say(id, "x", ""), bo.top(id))
			wantText(t, bo.on("topic_leave", id, `,"member":"`+cy.member.ID+`"`), "ok")
			wantText(t, cy.on("topic_history", id, ""), "topic_not_found")
			wantText(t, cy.on("topic_join", id, ""), "topic_not_found")
		})
	}
}

// A message reaches every member with all its sessions, the sender's others too,
// and waits for who is away.
func TestTopicReachesItsMembers(t *testing.T) {
	r := newRig(t)
	bo, bo2, cy, cy2, gil := r.join("bo").ready(), r.join("bo", named("bo2")).ready(), r.join("cy").ready(), r.join("cy", named("cy2")).ready(), r.join("gil").ready()
	daemon := r.join("bo", control)
	id := bo.topic("deploys", "public")
	wantText(t, cy.on("topic_join", id, ""), "ok")
	wantText(t, gil.on("topic_join", id, ""), "ok")
	wantText(t, r.passing("ada").on("topic_join", id, ""), "ok") // and goes away
	sent := bo.say(id, "one", "")
	for _, p := range []*peer{bo2, cy, cy2, gil} {
		p.wantPush(sent)
	}
	for _, p := range []*peer{bo, daemon} {
		if got := p.pushes(); slices.Contains(got, sent) {
			t.Errorf("%s was pushed %q", p.name, got)
		}
	}
	r.join("ada", named("later")).wantPush(sent)
}

// passing lets a member ask something that has gone already.
func (r *rig) passing(name string) *peer {
	r.t.Helper()
	p := r.join(name, named("passing "+name))
	r.dir.End(p.session, 1000, "")
	return p
}

// pushes returns the ids of what was pushed.
func (p *peer) pushes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.pushed...)
}

func (p *peer) wantPush(id string) {
	p.rig.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(p.pushes(), id); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.rig.t.Fatalf("%s was not pushed to %s", id, p.name)
		}
	}
}

func TestTopicMentionsAndReplies(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	id := bo.topic("deploys", "public")
	cy.on("topic_join", id, "")
	first := bo.say(id, "one", `,"mentions":["@CY","gil","bo","nobody"]`)
	notes := func(p *peer) (list []string) {
		book := NewTopicBook(r.store, r.roster)
		c := &Call{Env: &sdk.Envelope{Mesh: r.mesh.ID, Sender: sdk.Sender{MemberID: p.member.ID}}}
		found, err := book.Notifications(t.Context(), c, true, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range found {
			list = append(list, n.Topic+" "+n.MessageID+" "+n.Sender)
		}
		return list
	}
	wantList(t, "cy's", notes(cy), []string{"deploys " + first + " bo"})
	wantList(t, "gil's", notes(gil), nil) // is not in the topic
	wantList(t, "bo's", notes(bo), nil)

	reply := cy.say(id, "two", `,"replyToId":`+quoted(first))
	answer, _ := bo.ask(`{"type":"topic_history","topic":"deploys","limit":1}`)
	if !strings.Contains(answer, `"id":`+quoted(reply)) || !strings.Contains(answer, `"replyToId":`+quoted(first)) {
		t.Errorf("got %s", answer)
	}
	other := bo.topic("other", "public")
	wantText(t, bo.say(other, "x", `,"replyToId":`+quoted(first)), "invalid")
	wantText(t, bo.say(id, "x", `,"bodyVersion":3`), "invalid")
	wantText(t, bo.say("general", "x", `,"bodyVersion":2`), "invalid")
	wantText(t, bo.bodies("other", ""), "")
}

// Who does not take a member's broadcasts does not find its messages in a history
// either, and they take no place there.
func TestTopicHistoryHeedsGrants(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	for i := range 6 {
		bo.say("general", fmt.Sprint("b", i), "")
		gil.say("general", fmt.Sprint("g", i), "")
	}
	if _, records := cy.ask(`{"type":"set_grants","grants":{"` + bo.member.Key.String() + `":["dm"]}}`); records == nil {
		t.Fatal("nothing was granted")
	}
	wantText(t, cy.bodies("general", `,"limit":3`), "g5 g4 g3")
	wantText(t, gil.bodies("general", `,"limit":3`), "g5 b5 g4")
}

func TestTopicKeys(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	id := bo.topic("deploys", "public")
	book := NewTopicBook(r.store, r.roster)
	as := func(p *peer) *Call {
		return &Call{Env: &sdk.Envelope{Mesh: r.mesh.ID, Sender: sdk.Sender{MemberID: p.member.ID, Member: p.member.Key}}}
	}
	want := func(err error, reason sdk.Reason) {
		t.Helper()
		refused, ok := errors.AsType[*core.Error](err)
		if ok && refused.Code != reason || !ok && (err != nil || reason != "") {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
	topic, key, err := book.Key(t.Context(), as(bo), "deploys")
	if err != nil || topic.KeyPubkey == "" {
		t.Fatal(topic, err)
	}
	_, _, err = book.Key(t.Context(), as(cy), id)
	want(err, "forbidden")
	cy.on("topic_join", id, "")
	_, _, err = book.Key(t.Context(), as(cy), id)
	want(err, ReasonKeyNotSealed)
	_, err = book.PendingSeals(t.Context(), as(cy), id)
	want(err, ReasonKeyNotSealed)
	pending, err := book.PendingSeals(t.Context(), as(bo), id)
	if err != nil || len(pending) != 1 || pending[0].MemberID != cy.member.ID {
		t.Errorf("got %v, %v", pending, err)
	}
	want(book.Seal(t.Context(), as(cy), id, cy.member.ID, key.Encrypted, key.Nonce), ReasonKeyNotSealed)
	want(book.Seal(t.Context(), as(bo), id, gil.member.ID, key.Encrypted, key.Nonce), ReasonNotInTopic)
	want(book.Seal(t.Context(), as(bo), id, cy.member.ID, "AAAA", key.Nonce), "invalid")
	want(book.Seal(t.Context(), as(bo), id, cy.member.ID, key.Encrypted, "AAAA"), "invalid")
	for range 2 {
		want(book.Seal(t.Context(), as(bo), id, cy.member.ID, key.Encrypted, key.Nonce), "")
	}
	_, _, err = book.Key(t.Context(), as(cy), id)
	want(err, "")
	want(book.ClaimKey(t.Context(), as(cy), id, topic.KeyPubkey, key.Encrypted, key.Nonce), ReasonAlreadyEncrypted)

	_, _, err = book.Key(t.Context(), as(gil), "general")
	want(err, ReasonTopicUnencrypted)
	want(book.ClaimKey(t.Context(), as(gil), "general", "no key", key.Encrypted, key.Nonce), "invalid")
	want(book.ClaimKey(t.Context(), as(gil), "general", topic.KeyPubkey, key.Encrypted, key.Nonce), "")
	_, _, err = book.Key(t.Context(), as(gil), "general")
	want(err, "")
}

// However members come, go and invite, a topic that somebody is in has a lead, and
// nobody is in a private one who was not invited.
func TestTopicSeatsProperty(t *testing.T) {
	st := openStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := newRigOn(t, st)
		peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
		visibility := rapid.SampledFrom([]string{"public", "private"}).Draw(rt, "visibility")
		id := peers[0].topic("t", visibility)
		invited := map[*peer]bool{peers[0]: true}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			p := rapid.SampledFrom(peers).Draw(rt, "who")
			to := rapid.SampledFrom(peers).Draw(rt, "whom")
			role := rapid.SampledFrom([]string{"", `,"role":"lead"`, `,"role":"member"`, `,"role":"observer"`}).Draw(rt, "role")
			switch rapid.SampledFrom([]string{"join", "leave", "invite", "remove"}).Draw(rt, "what") {
			case "join":
				if got := p.on("topic_join", id, role); got == "ok" && visibility == "private" && !invited[p] {
					rt.Fatalf("%s joined without an invitation", p.name)
				}
			case "leave":
				if p.on("topic_leave", id, "") == "ok" {
					invited[p] = false
				}
			case "invite":
				if p.on("topic_join", id, role+`,"member":"`+to.member.ID+`"`) == "ok" {
					invited[to] = true
				}
			case "remove":
				if p.on("topic_leave", id, `,"member":"`+to.member.ID+`"`) == "ok" {
					invited[to] = false
				}
			}
			topic, err := r.store.FindTopic(t.Context(), r.mesh.ID, id)
			if errors.Is(err, store.ErrNotFound) {
				break // everybody has left
			}
			if err != nil {
				rt.Fatal(err)
			}
			seats, err := r.store.Seats(t.Context(), topic)
			if err != nil {
				rt.Fatal(err)
			}
			leads := 0
			for _, s := range seats {
				if s.Role == store.TopicLead {
					leads++
				}
			}
			if leads == 0 {
				rt.Fatalf("nobody of %d leads", len(seats))
			}
		}
		for _, p := range peers {
			r.dir.End(p.session, 1000, "")
		}
	})
}

// Whatever comes in a request about topics, the answer is one of the broker's
// own, in the type that clients wait for, with the _reqId.
func TestTopicRequestsProperty(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.topic("deploys", "public")
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"deploys", "#deploys", "general", "", "'", "%"}))
	rapid.Check(t, func(rt *rapid.T) {
		topic := quoted(text.Draw(rt, "topic"))
		asked := rapid.SampledFrom([][2]string{
			{`"topic_create","name":` + topic + `,"description":` + quoted(text.Draw(rt, "more")), "topic_created"},
			{`"topic_list"`, "topic_list_response"},
			{`"topic_join","topic":` + topic + `,"member":` + quoted(text.Draw(rt, "member")), "ack"},
			{`"topic_leave","topic":` + topic, "ack"},
			{`"topic_members","topic":` + topic, "topic_members_response"},
			{`"topic_history","topic":` + topic + `,"beforeId":` + quoted(text.Draw(rt, "before")), "topic_history_response"},
			{`"topic_mark_read","topic":` + topic, "ack"},
		}).Draw(rt, "request")
		answer, _ := bo.ask(`{"type":` + asked[0] + `,"_reqId":"r"}`)
		if !strings.HasPrefix(answer, `{"type":"`+asked[1]+`","_reqId":"r"`) || strings.Contains(answer, "unavailable") {
			rt.Errorf("%s: got %s", asked[0], answer)
		}
	})
}
