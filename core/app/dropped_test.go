package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// dropping has the grants stage hide blocks.
func dropping(c *config.Config) {
	for i := range c.Pipeline {
		if c.Pipeline[i].Stage == "grants" {
			c.Pipeline[i].With = map[string]any{"on_block": "drop"}
		}
	}
}

// sendOnce is a send with the sender's own id.
func sendOnce(to dial.Identity, own, fingerprint string) string {
	return fmt.Sprintf(`{"type":"send","targetSpec":%q,"priority":"now","nonce":"","ciphertext":"aGk=","client_message_id":%q,"request_fingerprint":%q}`,
		keyText(to), own, fingerprint)
}

// Whoever is blocked and not told cannot find out by what it repeats: what was
// dropped is answered like what was delivered, before and behind a restart, and the
// id is used up.
func TestDroppedSendsRepeatLikeOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, dropping)
	r.newMesh()
	ada, bo, cy := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember), r.member("cy", store.RoleMember)
	at, other := r.joined(bo), r.dial(session(cy), dial.Options{ConfirmPushes: true})
	sender := r.joined(ada)
	before := sender.wantAck(sendOnce(bo, "before", "f"), `"queued":true`)
	at.wantFrame("push")
	at.ask(fmt.Sprintf(`{"type":"set_grants","grants":{"%x":[]}}`, ada.Key.Public()), "grants")

	dropped := sender.wantAck(sendOnce(bo, "mine", "f"), `"queued":true`)
	for _, tt := range []struct{ name, frame, part, id string }{
		{"what was dropped", sendOnce(bo, "mine", "f"), `"queued":true`, dropped},
		{"what was delivered before the block", sendOnce(bo, "before", "f"), `"queued":true`, before},
		{"the id for somebody else", sendOnce(cy, "mine", "f"), `"queued":true`, dropped},
		{"the id for something else", sendOnce(bo, "mine", "g"), `idempotency_key_reused`, ""},
	} {
		t.Run("it answers "+tt.name, func(t *testing.T) {
			if id := sender.wantAck(tt.frame, tt.part); id != tt.id {
				t.Errorf("got the id %q, want %q", id, tt.id)
			}
		})
	}
	status := sender.ask(`{"type":"message_status","messageId":"`+dropped+`"}`, "message_status_result")
	if !strings.Contains(status, `"delivered":false`) || !strings.Contains(status, `"status":"held"`) {
		t.Errorf("its status: %s", status)
	}
	post := r.posted(ada, keyText(bo), "tea")
	posted, err := r.app.Post(t.Context(), post)
	if err != nil {
		t.Fatal(err)
	}
	if ack := r.send(other, keyText(bo), sdk.PriorityNow, "the only one"); !ack.Queued {
		t.Fatalf("got %+v", ack)
	}
	if got := at.wantFrame("push"); !strings.Contains(got, `"senderName":"cy"`) {
		t.Errorf("a blocked message came: %s", got)
	}
	r.stop()

	again := start(t, path, dropping)
	again.mesh, again.owner = r.mesh, r.owner
	if id := again.joined(ada).wantAck(sendOnce(bo, "mine", "f"), `"queued":true`); id != dropped {
		t.Errorf("behind a restart: got the id %q, want %q", id, dropped)
	}
	if id, err := again.app.Post(t.Context(), post); err != nil || id != posted {
		t.Errorf("posted behind a restart: got %q, %v, want the id %q", id, err, posted)
	}
}

func keyText(to dial.Identity) string { return fmt.Sprintf("%x", to.Key.Public()) }

// What is dropped is held to what every message is held to.
func TestDroppedSendsAreRefusedLikeOthers(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		dropping(c)
		c.Limits.MessageBytes = 1000
	})
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	at, sender := r.joined(bo), r.joined(ada)
	at.ask(fmt.Sprintf(`{"type":"set_grants","grants":{"%x":[]}}`, ada.Key.Public()), "grants")
	large := strings.Replace(sendOnce(bo, "large", ""), "aGk=", strings.Repeat("aGk=", 300), 1)
	sender.wantAck(large, `payload too large`)
	const burst = 400 // well above what is remembered at once
	for i := range burst {
		sender.write(sendOnce(bo, fmt.Sprint(i), ""))
	}
	limited := 0
	for range burst {
		if strings.Contains(sender.wantFrame("ack"), "rate_limit") {
			limited++
		}
	}
	if limited == 0 {
		t.Errorf("%d dropped messages were remembered one behind the other", burst)
	}
}
