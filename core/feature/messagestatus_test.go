package feature

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// send lets a session send a message and returns its id.
func (p *peer) send(target string) (id string) {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"send","targetSpec":"` + target + `","priority":"now","nonce":"","ciphertext":"aGk="}`)
	ack, err := wire.Decode[wire.Ack]([]byte(answer))
	if err != nil || !ack.Queued {
		p.rig.t.Fatalf("send: %s, %v", answer, err)
	}
	return ack.MessageID
}

// accept takes a message with a chosen id from bo to cy's member key, and
// calls before its transaction.
func (r *rig) accept(id string, before func()) {
	r.t.Helper()
	bo, cy := r.members["bo"], r.members["cy"]
	a := r.engine.Accept(&store.Message{
		ID: id, MeshID: r.mesh.ID, SenderMemberID: bo.ID, SenderMember: bo.Key, TargetSpec: cy.Key.String(),
	}, []sdk.Recipient{{MemberID: cy.ID, Member: cy.Key}}, nil, time.Now())
	before()
	r.committer.Submit(a)
	r.settle()
}

// stranger enrols a plain member and lets it join.
func (r *rig) stranger(name string) *peer {
	r.t.Helper()
	m := &store.Member{ID: identity.NewID(), MeshID: r.mesh.ID, Key: keyOf(name), DisplayName: name, Role: store.RoleMember, JoinedAt: time.Now()}
	if err := r.store.AddMember(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
	r.members[name] = m
	return r.join(name)
}

// fate asks what became of a message and returns the answer in few words.
func (p *peer) fate(reg *Registry, id string) string {
	p.rig.t.Helper()
	answer, _ := p.askOf(reg, `{"type":"message_status","messageId":"`+id+`"}`)
	if refused, err := wire.Decode[wire.Error]([]byte(answer)); err == nil && refused.Code != "" {
		return string(refused.Code)
	}
	res, err := wire.Decode[wire.MessageStatusResult]([]byte(answer))
	if err != nil {
		p.rig.t.Fatalf("%s: %v", answer, err)
	}
	text := "waits:"
	if res.Delivered {
		text = "delivered:"
	}
	if res.Delivered != (res.DeliveredAt != nil) {
		p.rig.t.Errorf("delivered %v at %v", res.Delivered, res.DeliveredAt)
	}
	for _, x := range res.Recipients {
		if len(x.Pubkey) != 2*sdk.KeySize {
			p.rig.t.Errorf("pubkey %q is not a whole key", x.Pubkey)
		}
		text += " " + x.Name + " " + x.Status
	}
	return text
}

// fromDisk returns a registry whose memory of messages is empty, as it is after
// a restart.
func (r *rig) fromDisk() *Registry {
	reg := NewRegistry()
	MessageStatus(reg, r.dir, noRecents{}, r.store, r.roster)
	return reg
}

type noRecents struct{}

func (noRecents) Recent(string, string) []*store.Status { return nil }

func TestMessageStatusAnswer(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	key := keyOf("session of cy").String()
	id := bo.send(key)
	want := `{"type":"message_status_result","_reqId":"s","messageId":"` + id + `","targetSpec":"` + key + `",` +
		`"delivered":false,"deliveredAt":null,"recipients":[{"name":"cy","pubkey":"` + key + `","status":"held"}]}`
	got, _ := bo.ask(`{"type":"message_status","messageId":"` + id + `","_reqId":"s"}`)
	wantText(t, got, want)
	cy.confirm(id)
	got, _ = bo.ask(`{"type":"message_status","messageId":"` + id[:8] + `","_reqId":"s"}`)
	if !strings.Contains(got, `"messageId":"`+id+`"`) || !strings.Contains(got, `"delivered":true,"deliveredAt":"2`) ||
		!strings.Contains(got, `"status":"delivered"`) {
		t.Errorf("after its confirmation: %s", got)
	}
}

// toMany remembers one message, to many recipients that wait for it.
type toMany struct{ status *store.Status }

func (m toMany) Recent(string, string) []*store.Status { return []*store.Status{m.status} }

// However many a message is for, its status fits into an outbox, and says whether
// all have it.
func TestMessageStatusFits(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	const many = 20_000
	status := &store.Status{Message: &store.Message{ID: strings.Repeat("a", 32), MeshID: r.mesh.ID, SenderMemberID: bo.member.ID}}
	for n := range many {
		status.Deliveries = append(status.Deliveries, store.DeliveryStatus{
			Recipient: sdk.Key{1, byte(n), byte(n >> 8)}, MemberID: r.members["cy"].ID, DeliveredAt: time.Now(),
		})
	}
	status.Deliveries[many-1].DeliveredAt = time.Time{}
	reg := NewRegistry()
	MessageStatus(reg, r.dir, toMany{status}, r.store, r.roster)
	answer, _ := bo.askOf(reg, `{"type":"message_status","messageId":"aaaaaaaa"}`)
	got, err := wire.Decode[wire.MessageStatusResult]([]byte(answer))
	if err != nil || len(answer) > 2*answerBytes || len(got.Recipients) < many/4 || got.Delivered {
		t.Errorf("%d bytes with %d recipients, delivered %v, %v", len(answer), len(got.Recipients), got.Delivered, err)
	}
}

func TestMessageStatusArguments(t *testing.T) {
	bo := newRig(t).join("bo")
	tests := []struct{ name, id, want string }{
		{"nothing is refused", ``, "invalid_argument"},
		{"7 characters are too few", `abcdefg`, "invalid_argument"},
		{"33 characters are too many", strings.Repeat("a", 33), "invalid_argument"},
		{"a wildcard is no character of an id", `abcdefg%`, "invalid_argument"},
		{"a dash is none either", `abcdefg-`, "invalid_argument"},
		{"letters beyond ASCII are none", `abcdefgü`, "invalid_argument"},
		{"8 characters that begin no id find nothing", `abcdefgh`, "not_found"},
		{"a whole id that was never given finds nothing", strings.Repeat("a", 32), "not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantText(t, bo.fate(bo.rig.reg, tt.id), tt.want) })
	}
}

// Each test tells a message's story; what is on disk must tell the same as what
// memory adds to it.
func TestMessageStatusTellsWhatHappened(t *testing.T) {
	tests := []struct {
		name  string
		story func(r *rig, bo *peer) (id string)
		want  string
	}{
		{"a recipient that is here and has not confirmed", func(r *rig, bo *peer) string {
			r.join("cy")
			return bo.send(keyOf("session of cy").String())
		}, "waits: cy held"},
		{"a recipient that left waits to return", func(r *rig, bo *peer) string {
			cy := r.join("cy")
			id := bo.send(keyOf("session of cy").String())
			r.dir.Leave(cy.session, cy.conn, false)
			return id
		}, "waits: cy disconnected"},
		{"a member that was never here", func(_ *rig, bo *peer) string {
			return bo.send(keyOf("cy").String())
		}, "waits: cy disconnected"},
		{"what was delivered stays delivered when the recipient leaves", func(r *rig, bo *peer) string {
			cy := r.join("cy")
			id := bo.send(keyOf("session of cy").String())
			cy.confirm(id)
			r.dir.End(cy.session, 1000, "")
			return id
		}, "delivered: cy delivered"},
		{"a member key with sessions that have keys of their own", func(r *rig, bo *peer) string {
			_, phone := r.join("cy"), r.join("cy", named("cy-phone"))
			id := bo.send(keyOf("cy").String())
			phone.confirm(id)
			return id
		}, "delivered: cy delivered"},
		{"a member key whose sessions have not confirmed", func(r *rig, bo *peer) string {
			r.join("cy", named("cy-phone"))
			return bo.send(keyOf("cy").String())
		}, "waits: cy held"},
		{"a session without a key goes by its own name", func(r *rig, bo *peer) string {
			r.join("cy", func(a *presence.Arrival) { a.Key, a.About.Name = sdk.Key{}, "cy at home" })
			return bo.send(keyOf("cy").String())
		}, "waits: cy at home held"},
		{"a hidden recipient is not shown to be here", func(r *rig, bo *peer) string {
			cy := r.join("cy", named("cy-phone"))
			id := bo.send(keyOf("session of cy-phone").String())
			cy.ask(`{"type":"set_visible","visible":false}`)
			return id
		}, "waits: cy disconnected"},
		{"one of two has confirmed", func(r *rig, bo *peer) string {
			ada := r.join("ada")
			r.join("cy")
			id := bo.send("*")
			ada.confirm(id)
			return id
		}, "waits: ada delivered cy held"},
		{"two of two have", func(r *rig, bo *peer) string {
			ada, cy := r.join("ada"), r.join("cy")
			id := bo.send("*")
			ada.confirm(id)
			cy.confirm(id)
			return id
		}, "delivered: ada delivered cy delivered"},
		{"given up while the recipient is here", func(r *rig, bo *peer) string {
			r.join("cy")
			id := bo.send(keyOf("session of cy").String())
			if _, err := r.store.Expire(r.t.Context(), time.Now().Add(2*time.Hour), 10); err != nil {
				r.t.Fatal(err)
			}
			return id
		}, "waits: cy disconnected"},
	}
	st := openStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRigOn(t, st)
			bo := r.join("bo")
			id := tt.story(r, bo)
			wantText(t, sorted(bo.fate(r.reg, id)), tt.want)
			wantText(t, sorted(bo.fate(r.fromDisk(), id)), tt.want)
		})
	}
}

// sorted puts the two recipients of a fate in order.
func sorted(fate string) string {
	if head, tail, two := strings.Cut(fate, " cy held ada"); two {
		return head + " ada" + tail + " cy held"
	}
	if head, tail, two := strings.Cut(fate, " cy delivered ada"); two {
		return head + " ada" + tail + " cy delivered"
	}
	return fate
}

func TestMessageStatusOfMessagesWithoutARow(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy").ready()
	id := strings.Repeat("x", 32)
	r.accept(id, func() { cy.session.Box.Acked(id, "") })
	wantText(t, bo.fate(r.fromDisk(), id), "not_found")
	wantText(t, bo.fate(r.reg, id), "delivered: cy delivered")
}

func TestMessageStatusOfAMessageToNobody(t *testing.T) {
	bo := newRig(t).join("bo")
	wantText(t, bo.fate(bo.rig.reg, bo.send("*")), "waits:")
}

func TestMessageStatusIsForThoseConcerned(t *testing.T) {
	r := newRig(t)
	ada, gil, bo, cy := r.join("ada"), r.join("gil"), r.join("bo"), r.join("cy")
	sibling := r.join("bo", named("bo-2"))
	toCy, toGil := bo.send(keyOf("session of cy").String()), bo.send(keyOf("session of gil").String())
	tests := []struct {
		name string
		asks *peer
		id   string
		want string
	}{
		{"the sender may ask", bo, toCy, "waits: cy held"},
		{"another session of the sender may", sibling, toCy, "waits: cy held"},
		{"a recipient may", cy, toCy, "waits: cy held"},
		{"an admin may", gil, toCy, "waits: cy held"},
		{"the owner may", ada, toCy, "waits: cy held"},
		{"others are told that there is no such message", cy, toGil, "not_found"},
		{"a prefix makes no difference", cy, toGil[:8], "not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantText(t, tt.asks.fate(r.reg, tt.id), tt.want)
			wantText(t, tt.asks.fate(r.fromDisk(), tt.id), tt.want)
		})
	}
}

func TestMessageStatusOfAnAmbiguousPrefix(t *testing.T) {
	r := newRig(t)
	bo, ada, dora := r.join("bo"), r.join("ada"), r.stranger("dora")
	one, two := "prefixed"+strings.Repeat("1", 24), "prefixed"+strings.Repeat("2", 24)
	r.accept(one, func() {})
	cy := r.join("cy").ready()
	r.accept(two, func() { cy.session.Box.Acked(two, "") }) // known to memory only
	tests := []struct {
		name string
		asks *peer
		id   string
		want string
	}{
		{"the first 8 are not enough", bo, "prefixed", "ambiguous_prefix"},
		{"an admin learns the same", ada, "prefixed", "ambiguous_prefix"},
		{"others learn nothing", dora, "prefixed", "not_found"},
		{"one more is", bo, "prefixed2", "delivered: cy delivered"},
		{"the whole id is", bo, one, "waits: cy held"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantText(t, tt.asks.fate(r.reg, tt.id), tt.want) })
	}
}

func TestMergedStatuses(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	message := &store.Message{ID: "one"}
	status := func(list ...store.DeliveryStatus) *store.Status {
		return &store.Status{Message: message, Deliveries: list}
	}
	ada, bo, cy := keyOf("ada"), keyOf("bo"), keyOf("cy")
	tests := []struct {
		name           string
		recent, stored []*store.Status
		want           []*store.Status
	}{
		{"nothing is nothing", nil, nil, nil},
		{"memory has deliveries that never needed a row",
			[]*store.Status{status(store.DeliveryStatus{Recipient: ada, DeliveredAt: at(1)}, store.DeliveryStatus{Recipient: bo})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo, DeliveredAt: at(2)})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: ada, DeliveredAt: at(1)}, store.DeliveryStatus{Recipient: bo, DeliveredAt: at(2)})}},
		{"a mark that is not on disk yet counts",
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo, DeliveredAt: at(1)})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo, DeliveredAt: at(1)})}},
		{"expiry is known to the disk only",
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo, Expired: true})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: bo, Expired: true})}},
		{"a delivery that memory lacks is added",
			[]*store.Status{status()},
			[]*store.Status{status(store.DeliveryStatus{Recipient: cy})},
			[]*store.Status{status(store.DeliveryStatus{Recipient: cy})}},
		{"different messages stay apart",
			[]*store.Status{status()},
			[]*store.Status{{Message: &store.Message{ID: "two"}}},
			[]*store.Status{status(), {Message: &store.Message{ID: "two"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mergeStatuses(tt.recent, tt.stored)
			if d := cmp.Diff(fmt.Sprintf("%v", flat(tt.want)), fmt.Sprintf("%v", flat(got))); d != "" {
				t.Error(d)
			}
		})
	}
}

func flat(list []*store.Status) (rows []string) {
	for _, s := range list {
		rows = append(rows, s.Message.ID, fmt.Sprint(s.Deliveries))
	}
	return rows
}
