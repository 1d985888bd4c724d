package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// hook is a webhook that was made.
type hook struct {
	r                  *rig
	Secret, SigningKey string
}

// hook makes a webhook.
func (r *rig) hook(s *socket, fields string) *hook {
	r.t.Helper()
	h := &hook{r: r}
	if err := json.Unmarshal([]byte(s.ask(`{"type":"create_webhook",`+fields+`}`, "webhook_ack")), h); err != nil || len(h.Secret) != 64 {
		r.t.Fatalf("got %+v, %v", h, err)
	}
	return h
}

func (h *hook) path() string { return "/hook/" + h.r.mesh.ID + "/" + h.Secret }

// post posts a body and returns the status and what is said.
func (h *hook) post(header http.Header, body string) (int, map[string]any) {
	h.r.t.Helper()
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	status, answer, _ := h.r.askWith(http.MethodPost, h.path(), header, body)
	return status, answer
}

// wantHook wants what came in by a webhook.
func wantHook(s *socket, name, data string) wire.Push {
	s.t.Helper()
	frame := s.wantFrame("push")
	push, err := wire.Decode[wire.Push]([]byte(frame))
	if err != nil || push.Subtype != "webhook" || push.Event != name || string(push.EventData) != data || !push.SenderPubkey.Unsealed() {
		s.t.Fatalf("got %s, %v", frame, err)
	}
	s.write(`{"type":"client_ack","brokerMessageId":"` + push.MessageID + `"}`)
	return *push
}

// What is posted reaches everybody, also those that come later, as a message of
// the member that made the webhook.
func TestWebhookDelivers(t *testing.T) {
	r := newRig(t, nil)
	adaID, boID := r.member("ada", store.RoleAdmin), r.member("bo", store.RoleMember)
	ada, bo := r.joined(adaID), r.joined(boID)
	h := r.hook(ada, `"name":"ci"`)
	status, answer := h.post(nil, `{ "a": [1.50, "<é>"] }`)
	if status != http.StatusOK || answer["ok"] != true || answer["delivered"] != 1.0 || answer["messageId"] == "" {
		t.Fatalf("got %d %v", status, answer)
	}
	for _, s := range []*socket{bo, ada} {
		if push := wantHook(s, "ci", `{"a":[1.50,"<é>"]}`); push.SenderName != "ada" || push.SenderMemberPubkey != adaID.RoutingKey() {
			t.Errorf("got %+v", push)
		}
	}
	ops := r.hook(ada, `"name":"to bo","target":"`+boID.RoutingKey().String()+`"`)
	bo.bye()
	if status, answer = ops.post(nil, `[]`); status != http.StatusOK {
		t.Fatalf("got %d %v", status, answer)
	}
	wantHook(r.joined(boID), "to bo", `[]`)
}

// Who knows no good secret learns nothing, whatever the body is; who does is told
// what is wrong.
func TestWebhookIsProvedFirst(t *testing.T) {
	r := newRig(t, nil)
	adaID := r.member("ada", store.RoleAdmin)
	ada := r.joined(adaID)
	good := r.hook(ada, `"name":"ci"`)
	wrong := &hook{r: r, Secret: strings.Repeat("0", 64)}
	for _, tt := range []struct {
		name, body string
		status     int
		text       string
	}{
		{"no JSON", "a=b", http.StatusBadRequest, "invalid JSON"},
		{"nothing", "", http.StatusBadRequest, "invalid JSON"},
		{"a text", `"x"`, http.StatusBadRequest, "invalid JSON body"},
		{"too deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), http.StatusBadRequest, "invalid JSON body"},
	} {
		if status, answer := good.post(nil, tt.body); status != tt.status || answer["error"] != tt.text {
			t.Errorf("%s: got %d %v", tt.name, status, answer)
		}
		if status, answer := wrong.post(nil, tt.body); status != http.StatusUnauthorized || answer["error"] != "unauthorized" {
			t.Errorf("%s, unproved: got %d %v", tt.name, status, answer)
		}
	}
	if status, _ := good.post(nil, `["`+strings.Repeat("x", 1<<20)+`"]`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: got %d", status)
	}
	ada.ask(`{"type":"delete_webhook","name":"ci"}`, "webhook_ack")
	if status, _ := good.post(nil, `{}`); status != http.StatusUnauthorized {
		t.Errorf("deleted: got %d", status)
	}
	other := r.hook(ada, `"name":"ci"`)
	r.revoke(adaID)
	if status, _ := other.post(nil, `{}`); status != http.StatusUnauthorized {
		t.Errorf("of a member that was banned: got %d", status)
	}
}

// sign signs a body, with a time or without.
func (h *hook) sign(stamp, body string) http.Header {
	mac, text := hmac.New(sha256.New, []byte(h.SigningKey)), body
	header := http.Header{}
	if stamp != "" {
		text = stamp + "." + body
		header.Set("X-Hub-Timestamp", stamp)
	}
	mac.Write([]byte(text))
	header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return header
}

// replays are forms of one signed request that its signature is good for.
func replays(header http.Header) map[string]http.Header {
	const signature, stamp = "X-Hub-Signature-256", "X-Hub-Timestamp"
	digits := strings.TrimPrefix(header.Get(signature), "sha256=")
	forms := map[string]http.Header{"as it was": header}
	for name, text := range map[string]string{"in capitals": "sha256=" + strings.ToUpper(digits), "without its prefix": digits} {
		forms[name] = header.Clone()
		forms[name].Set(signature, text)
	}
	if header.Get(stamp) == "" {
		forms["with a time that is not signed"] = header.Clone()
		forms["with a time that is not signed"].Set(stamp, "1")
	}
	return forms
}

func TestWebhookSignatures(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.joined(r.member("ada", store.RoleAdmin)), r.joined(r.member("bo", store.RoleMember))
	body, timed := r.hook(ada, `"name":"body","signature":"body"`), r.hook(ada, `"name":"timed","signature":"timed"`)
	at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	moved := timed.sign(at(0), `{"n":2}`)
	moved.Set("X-Hub-Timestamp", at(time.Second))
	for _, tt := range []struct {
		name   string
		hook   *hook
		header http.Header
		sent   string
		code   string
	}{
		{"unsigned", body, nil, `{}`, "bad_signature"},
		{"another body", body, body.sign("", `{"n":1}`), `{"n":2}`, "bad_signature"},
		{"another key", body, timed.sign("", `{}`), `{}`, "bad_signature"},
		{"no time", timed, timed.sign("", `{}`), `{}`, "timestamp_skew"},
		{"a time of before", timed, timed.sign(at(-6*time.Minute), `{}`), `{}`, "timestamp_skew"},
		{"a time to come", timed, timed.sign(at(6*time.Minute), `{}`), `{}`, "timestamp_skew"},
		{"a time that was changed", timed, moved, `{"n":2}`, "bad_signature"},
	} {
		if status, answer := tt.hook.post(tt.header, tt.sent); status != http.StatusUnauthorized || answer["code"] != tt.code {
			t.Errorf("%s: got %d %v", tt.name, status, answer)
		}
	}
	for _, tt := range []struct {
		hook  *hook
		stamp string
	}{{body, ""}, {timed, at(0)}} {
		header := tt.hook.sign(tt.stamp, `{"n":1}`)
		first, one := tt.hook.post(header, `{"n":1}`)
		for name, other := range replays(header) {
			if again, two := tt.hook.post(other, `{"n":1}`); first != http.StatusOK || again != http.StatusOK || one["messageId"] != two["messageId"] {
				t.Errorf("a replay, %s, is another message: %v, %v", name, one, two)
			}
		}
	}
	wantHook(bo, "body", `{"n":1}`)
	wantHook(bo, "timed", `{"n":1}`)
	if more := bo.settle(); len(more) > 0 {
		t.Errorf("and then %s", more)
	}
}

func TestFlawExt31WebhooksAreLimited(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleAdmin))
	h := r.hook(ada, `"name":"ci","target":"`+strings.Repeat("ab", 32)+`"`)
	for i := 0; ; i++ {
		status, answer := h.post(nil, `{}`)
		if status == http.StatusTooManyRequests {
			if answer["code"] != "rate_limit" || i < 3 {
				t.Errorf("after %d: got %v", i, answer)
			}
			return
		}
		if status != http.StatusOK || answer["delivered"] != 0.0 || i > 100 {
			t.Fatalf("got %d %v", status, answer)
		}
	}
}

// What comes in on one node reaches sessions on the other, and webhooks outlive a
// restart, with the old secret while it is good.
func TestWebhookCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleAdmin)), b.joined(b.member("bo", store.RoleMember))
	h := b.hook(ada, `"name":"ci"`)
	if status, answer := h.post(nil, `{"n":1}`); status != http.StatusOK {
		t.Fatalf("got %d %v", status, answer)
	}
	wantHook(ada, "ci", `{"n":1}`)
	wantHook(bo, "ci", `{"n":1}`)
}

func TestWebhookOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	id := before.member("ada", store.RoleAdmin)
	ada := before.joined(id)
	h := before.hook(ada, `"name":"ci","signature":"body"`)
	rotated := ada.ask(`{"type":"rotate_webhook","name":"ci","grace":3600}`, "webhook_ack")
	before.stop()

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	ada, h.r = after.joined(id), after
	var next hook
	if err := json.Unmarshal([]byte(rotated), &next); err != nil {
		t.Fatal(err)
	}
	for i, secret := range []string{h.Secret, next.Secret} {
		h.Secret = secret
		body := `{"n":` + strconv.Itoa(i) + `}`
		if status, answer := h.post(h.sign("", body), body); status != http.StatusOK {
			t.Errorf("got %d %v", status, answer)
		}
		wantHook(ada, "ci", body)
	}
}
