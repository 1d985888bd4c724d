package feature

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// webhookRegistry has webhooks alone, with a key for what is sealed.
func (r *rig) webhookRegistry(keys *identity.AtRest) *Registry {
	reg := NewRegistry()
	reg.roster = r.roster
	Webhooks(reg, r.store, WebhookDeps{Roster: r.roster, Keys: keys, Links: func() string { return "https://broker" }})
	return reg
}

func testKeys() *identity.AtRest { return identity.NewAtRest([identity.AtRestKeySize]byte{1}) }

func (p *peer) hook(reg *Registry, fields string) (wire.WebhookAck, string) {
	p.rig.t.Helper()
	answer, _ := p.askOf(reg, `{"type":"create_webhook","_reqId":1,`+fields+`}`)
	got, err := wire.Decode[wire.WebhookAck]([]byte(answer))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return *got, answer
}

func TestWebhookLife(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(testKeys())
	ada := r.join("ada")
	made, answer := ada.hook(reg, `"name":"ci","target":"@ops","signature":"timed"`)
	if raw, err := hex.DecodeString(made.Secret); err != nil || len(raw) != 32 || made.URL != "https://broker/hook/"+r.mesh.ID+"/"+made.Secret || len(made.SigningKey) != 64 {
		t.Fatalf("got %s", answer)
	}
	row, err := r.store.Webhook(t.Context(), r.mesh.ID, "ci")
	if err != nil {
		t.Fatal(err)
	}
	key, err := testKeys().OpenFor(identity.WebhookKeyAtRest, row.ID, row.SigningKey)
	if err != nil || string(key) != made.SigningKey || row.Secret != sha256.Sum256([]byte(made.Secret)) || row.Target != "@ops" {
		t.Errorf("got %q, %v, %+v", key, err, row)
	}
	listed, _ := ada.askOf(reg, `{"type":"list_webhooks","_reqId":2}`)
	begin := `{"type":"webhook_list","_reqId":2,"webhooks":[{"name":"ci","url":"https://broker/hook/` + r.mesh.ID +
		`/...","active":true,"createdBy":"ada","target":"@ops","signature":"timed","createdAt":"2`
	if !strings.HasPrefix(listed, begin) {
		t.Errorf("got %s", listed)
	}
	for range 2 {
		gone, _ := ada.askOf(reg, `{"type":"delete_webhook","_reqId":3,"name":"ci"}`)
		wantText(t, gone, `{"type":"webhook_ack","_reqId":3,"name":"ci","url":"","secret":""}`)
	}
}

// The secret is in no answer but the first, and not in the store.
func TestFlawExt24SecretsAreShownOnce(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(testKeys())
	made, _ := r.join("ada").hook(reg, `"name":"ci","signature":"body"`)
	for _, name := range []string{"ada", "gil", "bo"} {
		listed, _ := r.join(name).askOf(reg, `{"type":"list_webhooks"}`)
		if !strings.Contains(listed, `"name":"ci"`) || strings.Contains(listed, made.Secret) || strings.Contains(listed, made.SigningKey) {
			t.Errorf("%s gets %s", name, listed)
		}
	}
	row, err := r.store.Webhook(t.Context(), r.mesh.ID, "ci")
	if stored := fmt.Sprintf("%+v", row); err != nil || strings.Contains(stored, made.Secret) || strings.Contains(stored, made.SigningKey) {
		t.Errorf("the store has %s, %v", stored, err)
	}
}

func TestFlawExt24SecretsRotate(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(nil)
	ada := r.join("ada")
	made, _ := ada.hook(reg, `"name":"ci"`)
	good := func(secret string, at time.Time) bool {
		_, err := r.store.WebhookBySecret(t.Context(), r.mesh.ID, sha256.Sum256([]byte(secret)), at)
		return err == nil
	}
	for _, tt := range []struct {
		grace string
		old   time.Duration
	}{{"", 0}, {`,"grace":-5`, 0}, {`,"grace":60`, time.Minute}, {`,"grace":9223372036854775807`, longestGrace}} {
		before := time.Now()
		answer, _ := ada.askOf(reg, `{"type":"rotate_webhook","name":"ci"`+tt.grace+`}`)
		next, err := wire.Decode[wire.WebhookAck]([]byte(answer))
		if err != nil || next.Secret == made.Secret || next.URL == "" {
			t.Fatalf("got %s, %v", answer, err)
		}
		if !good(next.Secret, time.Now()) || good(made.Secret, time.Now().Add(tt.old)) || tt.old > 0 && !good(made.Secret, before.Add(tt.old-time.Second)) {
			t.Errorf("%s: the old secret is good for another time than %s", tt.grace, tt.old)
		}
		made = *next
	}
	answer, _ := ada.askOf(reg, `{"type":"rotate_webhook","_reqId":1,"name":"none"}`)
	wantText(t, answer, `{"type":"error","_reqId":1,"code":"not_found","message":"there is no webhook with this name: list_webhooks says which there are"}`)
}

func TestFlawExt43WebhookNames(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(nil)
	ada, gil := r.join("ada"), r.join("gil")
	ada.hook(reg, `"name":"ci"`)
	_, answer := gil.hook(reg, `"name":"ci"`)
	wantText(t, answer, `{"type":"error","_reqId":1,"code":"webhook_exists","message":"Webhook \"ci\" already exists in this mesh: choose another name, or delete or rotate that one"}`)
	gil.askOf(reg, `{"type":"delete_webhook","name":"ci"}`)
	if _, answer = gil.hook(reg, `"name":"ci"`); !strings.Contains(answer, `"secret":"`) {
		t.Errorf("a deleted name is burnt: %s", answer)
	}
}

func TestFlawExt21And28WhoManagesWebhooks(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(nil)
	bo, gil := r.join("bo"), r.join("gil")
	gil.hook(reg, `"name":"ci"`)
	const needed = "you do not have the permission canManageWebhooks in this mesh: ask its owner or an admin for it"
	for _, frame := range []string{
		`{"type":"create_webhook","_reqId":1,"name":"x"}`, `{"type":"rotate_webhook","_reqId":1,"name":"ci"}`, `{"type":"delete_webhook","_reqId":1,"name":"ci"}`,
	} {
		got, _ := bo.askOf(reg, frame)
		wantText(t, got, `{"type":"error","_reqId":1,"code":"forbidden","message":"`+needed+`"}`)
	}
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanManageWebhooks: true} })
	for _, frame := range []string{`{"type":"rotate_webhook","_reqId":1,"name":"ci"}`, `{"type":"delete_webhook","_reqId":1,"name":"ci"}`} {
		got, records := bo.askOf(reg, frame)
		if !strings.Contains(got, `"code":"forbidden","message":"only the member that made this webhook`) || len(records) > 0 {
			t.Errorf("got %s", got)
		}
	}
	got, records := r.join("ada").askOf(reg, `{"type":"delete_webhook","_reqId":1,"name":"ci"}`)
	if !strings.Contains(got, `"type":"webhook_ack"`) || len(records) != 1 || records[0].Event != "webhook_deleted" {
		t.Errorf("got %s, %q", got, recorded(records))
	}
}

func TestFlawExt31WebhooksHaveRoom(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(nil)
	ada := r.join("ada")
	for i := range webhooksPerMember {
		ada.hook(reg, fmt.Sprintf(`"name":"%d"`, i))
	}
	_, answer := ada.hook(reg, `"name":"more"`)
	wantText(t, answer, `{"type":"error","_reqId":1,"code":"capacity","message":"20 webhooks are yours, and that is all a member may have: delete some"}`)
}

// Whatever is asked for, a webhook is made as it was asked for or refused aloud.
func TestWebhookProperty(t *testing.T) {
	r := newRig(t)
	reg := r.webhookRegistry(nil)
	ada, made := r.join("ada"), map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom([]string{"ci", " ", "a\nb"}), rapid.String()).Draw(rt, "name")
		target := rapid.OneOf(rapid.SampledFrom([]string{"", "*", "@ops", "#general"}), rapid.String()).Draw(rt, "target")
		signature := rapid.SampledFrom([]string{"", "body", "x"}).Draw(rt, "signature")
		got, answer := ada.hook(reg, `"name":`+quoted(name)+`,"target":`+quoted(target)+`,"signature":`+quoted(signature))
		switch {
		case got.Secret != "":
			if made[name] || strings.TrimSpace(name) == "" || signature != "" {
				rt.Fatalf("got %s", answer)
			}
			ada.askOf(reg, `{"type":"delete_webhook","name":`+quoted(name)+`}`)
		case !strings.HasPrefix(answer, `{"type":"error","_reqId":1,"code":"invalid`):
			rt.Fatalf("got %s", answer)
		}
	})
}
