package app_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// apiKey makes a key of a member over its socket, and returns its secret and id.
func (r *rig) apiKey(of dial.Identity, fields string) (secret, id string) {
	r.t.Helper()
	s := r.joined(of)
	defer s.conn.Close(websocket.StatusNormalClosure, "")
	var got wire.APIKeyCreated
	answer := s.ask(`{"type":"apikey_create","label":"test",`+fields+`}`, "apikey_created")
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Secret == "" {
		r.t.Fatalf("%v: %s", err, answer)
	}
	return got.Secret, got.ID
}

const keyForAll = `"capabilities":["send","read"]`

// post sends a text over HTTP and returns the message's id.
func (r *rig) post(key, target, text, id string) string {
	r.t.Helper()
	got := r.wantOK(http.MethodPost, "/v1/messages", key, fmt.Sprintf(`{"target":%q,"ciphertext":%q,"client_message_id":%q}`, target, text, id))
	messageID, _ := got["messageId"].(string)
	return messageID
}

// inbox returns the texts and ids that wait.
func (r *rig) inbox(key, query string) (texts, ids []string, next string) {
	r.t.Helper()
	got := r.wantOK(http.MethodGet, "/v1/messages"+query, key, "")
	for _, m := range got["messages"].([]any) {
		push := m.(map[string]any)
		texts, ids = append(texts, push["ciphertext"].(string)), append(ids, push["messageId"].(string))
	}
	next, _ = got["next"].(string)
	return texts, ids, next
}

// eventStream is an open answer to GET /v1/events.
type eventStream struct {
	t      *testing.T
	cancel context.CancelFunc
	lines  *bufio.Scanner
	res    *http.Response
}

// sseEvent is one event of it.
type sseEvent struct{ id, name, data string }

func (r *rig) events(t *testing.T, key, last string) *eventStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	url := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + "/v1/events"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &eventStream{t: t, cancel: cancel, lines: bufio.NewScanner(res.Body), res: res}
	t.Cleanup(s.close)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	return s
}

func (s *eventStream) close() {
	s.cancel()
	s.res.Body.Close()
}

// next returns the next event with one of the names.
func (s *eventStream) next(names ...string) (e sseEvent) {
	s.t.Helper()
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if slices.Contains(names, e.name) {
				return e
			}
			e = sseEvent{}
		}
	}
	s.t.Fatalf("the stream ended before %v: %v", names, s.lines.Err())
	return e
}

// text returns the body of the next message, and the event's id.
func (s *eventStream) text() (text, id string) {
	s.t.Helper()
	e := s.next("message")
	var push wire.Push
	got, err := wire.Decode[wire.Push]([]byte(e.data))
	if err != nil {
		s.t.Fatalf("%v: %s", err, e.data)
	}
	push = *got
	return push.Ciphertext, e.id
}

func (s *eventStream) resumed() bool {
	s.t.Helper()
	return strings.Contains(s.next("ready").data, `"resumed":true`)
}

// What is sent over HTTP reaches a socket, what is sent over a socket waits to be
// read over HTTP, and goes when it is confirmed.
func TestGatewayMessages(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	to := r.dial(session(bo), dial.Options{ConfirmPushes: true})
	first := r.post(key, bo.RoutingKey().String(), "aGk=", "one")
	if again := r.post(key, bo.RoutingKey().String(), "aGk=", "one"); again != first {
		t.Errorf("repeated: got %s, want %s", again, first)
	}
	if push := r.wantText(to, "aGk="); push.MessageID != first || push.SenderMemberPubkey != ada.RoutingKey() {
		t.Errorf("got %+v", push)
	}
	if status, answer, _ := r.ask(http.MethodPost, "/v1/messages", key,
		`{"target":"`+bo.RoutingKey().String()+`","ciphertext":"b3RoZXI=","client_message_id":"one"}`); status != http.StatusConflict || answer["code"] != "idempotency_key_reused" {
		t.Errorf("another message of the same id: got %d %v", status, answer)
	}
	h := http.Header{"Authorization": {"Bearer " + key}, "Idempotency-Key": {"one"}}
	if status, answer, _ := r.askWith(http.MethodPost, "/v1/messages", h, `{"target":"`+bo.RoutingKey().String()+`","ciphertext":"aGk="}`); status != http.StatusOK || answer["messageId"] != first {
		t.Errorf("the same id in the header: got %d %v", status, answer)
	}

	for i := range 5 {
		r.send(to, ada.RoutingKey().String(), sdk.PriorityNext, fmt.Sprint("text ", i))
	}
	r.send(to, ada.RoutingKey().String(), sdk.PriorityNow, "urgent")
	texts, ids, next := r.inbox(key, "?limit=4")
	if len(texts) != 4 || next == "" {
		t.Fatalf("got %q, next %q", texts, next)
	}
	more, rest, end := r.inbox(key, "?after="+next)
	if len(more) != 2 || end != "" {
		t.Errorf("got %q, next %q", more, end)
	}
	if again, _, _ := r.inbox(key, ""); len(again) != 6 {
		t.Errorf("reading took something: %q are left", again)
	}
	ids = append(ids, rest...)
	got := r.wantOK(http.MethodPost, "/v1/messages/confirm", key, `{"ids":["`+strings.Join(ids[:5], `","`)+`","`+strings.Repeat("x", 32)+`","%"]}`)
	if len(got["confirmed"].([]any)) != 5 || len(got["unknown"].([]any)) != 2 {
		t.Errorf("got %v", got)
	}
	if left, _, _ := r.inbox(key, ""); len(left) != 1 {
		t.Errorf("%q are left", left)
	}
	for range 2 {
		r.wantOK(http.MethodDelete, "/v1/messages/"+ids[5], key, "")
	}
	if status, answer, _ := r.ask(http.MethodDelete, "/v1/messages/"+first, key, ""); status != http.StatusNotFound || answer["code"] != "not_found" {
		t.Errorf("a message to somebody else: got %d %v", status, answer)
	}
	if n, _, err := r.store.QueueDepth(t.Context()); n != 0 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	peers := r.wantOK(http.MethodGet, "/v1/peers", key, "")["peers"].([]any)
	if !slices.ContainsFunc(peers, func(p any) bool { return p.(map[string]any)["memberPubkey"] == bo.RoutingKey().String() }) {
		t.Errorf("got the peers %v", peers)
	}
}

// Keys, and others, are held to what they may do under /v1; keys are good for
// nothing else, and end with their member.
func TestGatewayRefuses(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	all, _ := r.apiKey(ada, keyForAll)
	sends, sendsID := r.apiKey(ada, `"capabilities":["send"]`)
	reads, _ := r.apiKey(ada, `"capabilities":["read"]`)
	topical, _ := r.apiKey(ada, `"capabilities":["send","read"],"topicScopes":["ops"]`)
	bos, _ := r.apiKey(bo, keyForAll)
	bearer := r.account("ann")
	send := `{"target":"` + bo.RoutingKey().String() + `","ciphertext":"aGk="}`
	for _, tt := range []struct {
		name, method, path, key, body string
		status                        int
		code                          string
	}{
		{"without a credential", http.MethodGet, "/v1/messages", "", "", 401, "missing_bearer_token"},
		{"with a key that is none", http.MethodGet, "/v1/messages", "cm_" + strings.Repeat("A", 43), "", 401, "invalid_or_revoked_token"},
		{"with half a key", http.MethodGet, "/v1/messages", all[:20], "", 401, "invalid_or_revoked_token"},
		{"with a key on other routes", http.MethodGet, "/cli/meshes", all, "", 401, "invalid_or_revoked_token"},
		{"to read with a key that sends", http.MethodGet, "/v1/messages", sends, "", 403, "api_key_missing_capability"},
		{"to send with a key that reads", http.MethodPost, "/v1/messages", reads, send, 403, "api_key_missing_capability"},
		{"to send to a peer with a key for topics", http.MethodPost, "/v1/messages", topical, send, 403, "api_key_topic_out_of_scope"},
		{"to read the inbox with a key for topics", http.MethodGet, "/v1/messages", topical, "", 403, "api_key_topic_out_of_scope"},
		{"to open events with a key for topics", http.MethodGet, "/v1/events", topical, "", 403, "api_key_topic_out_of_scope"},
		{"to list who is here with a key for topics", http.MethodGet, "/v1/peers", topical, "", 403, "api_key_topic_out_of_scope"},
		{"in another mesh", http.MethodGet, "/v1/messages?mesh=elsewhere", all, "", 403, "forbidden"},
		{"an account that names no mesh", http.MethodGet, "/v1/messages", bearer, "", 404, "unknown_mesh"},
		{"an account without a member", http.MethodGet, "/v1/messages?mesh=home", bearer, "", 403, "forbidden"},
		{"a message to nobody", http.MethodPost, "/v1/messages", all, `{"target":"` + sdk.Key{1}.String() + `","ciphertext":"aGk="}`, 404, "no_recipient"},
		{"a target that is none", http.MethodPost, "/v1/messages", all, `{"target":"bo","ciphertext":"aGk="}`, 400, "invalid"},
		{"a message that is too large", http.MethodPost, "/v1/messages", all, `{"target":"*","ciphertext":"` + strings.Repeat("a", 66_000) + `"}`, 413, "too_large"},
		{"two ids for one message", http.MethodPost, "/v1/messages", all, `{"target":"*","ciphertext":"","client_message_id":"a"}`, 400, "invalid"},
		{"a limit that is no number", http.MethodGet, "/v1/messages?limit=many", all, "", 400, "invalid"},
		{"a page that there is not", http.MethodGet, "/v1/messages?after=9.z", all, "", 400, "invalid"},
		{"to confirm nothing", http.MethodPost, "/v1/messages/confirm", all, `{"ids":[]}`, 400, "invalid"},
	} {
		h := http.Header{"Idempotency-Key": {"b"}}
		if tt.key != "" {
			h.Set("Authorization", "Bearer "+tt.key)
		}
		status, answer, _ := r.askWith(tt.method, tt.path, h, tt.body)
		if status != tt.status || answer["code"] != tt.code || answer["error"] == "" {
			t.Errorf("%s: got %d %v, want %d %s", tt.name, status, answer, tt.status, tt.code)
		}
	}
	s := r.joined(ada)
	s.ask(`{"type":"apikey_revoke","id":"`+sendsID+`"}`, "apikey_revoke_response")
	r.revoke(bo)
	for name, key := range map[string]string{"a revoked key": sends, "a key of a member that is gone": bos} {
		if status, answer, _ := r.ask(http.MethodGet, "/v1/peers", key, ""); status != 401 || answer["code"] != "invalid_or_revoked_token" {
			t.Errorf("%s: got %d %v", name, status, answer)
		}
	}
}

// A member that signs, and an account with a member, may do what a key may.
func TestGatewayCredentials(t *testing.T) {
	r := newRig(t, nil)
	ada := r.enrolIn(r.mesh.ID, "ann", store.RoleMember)
	bearer := r.account("ann")
	if _, ids, _ := r.inbox(bearer, "?mesh=home"); len(ids) != 0 {
		t.Errorf("got %q", ids)
	}
	h := http.Header{"Authorization": {identity.SignHTTP(ada.Key, http.MethodGet, "/v1/messages", ada.MeshID, nil, time.Now())}}
	if status, answer, _ := r.askWith(http.MethodGet, "/v1/messages", h, ""); status != http.StatusOK {
		t.Errorf("got %d %v", status, answer)
	}
}

// Events come live, the stream goes on behind the last event that its caller has,
// and what that confirms comes never again.
func TestGatewayEvents(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	from := r.dial(session(bo), dial.Options{ConfirmPushes: true})
	r.send(from, ada.RoutingKey().String(), sdk.PriorityNow, "0")
	s := r.events(t, key, "")
	if s.resumed() {
		t.Error("a first stream was resumed")
	}
	if text, _ := s.text(); text != "0" {
		t.Fatalf("got %q", text)
	}
	r.send(from, "*", sdk.PriorityNow, "1")
	r.send(from, ada.RoutingKey().String(), sdk.PriorityNow, "2")
	_, second := s.text()
	if text, _ := s.text(); text != "2" {
		t.Fatalf("got %q", text)
	}
	s.close()
	r.send(from, ada.RoutingKey().String(), sdk.PriorityNow, "3")
	s = r.events(t, key, second)
	if !s.resumed() {
		t.Error("the stream was not resumed")
	}
	for _, want := range []string{"2", "3"} {
		if text, _ := s.text(); text != want {
			t.Fatalf("got %q, want %q", text, want)
		}
	}
	if texts, ids, _ := r.inbox(key, ""); !slices.Equal(texts, []string{"2", "3"}) {
		t.Errorf("%q are not confirmed", texts)
	} else {
		r.wantOK(http.MethodDelete, "/v1/messages/"+ids[0], key, "")
	}
	s.close()
	s = r.events(t, key, "an id that nobody knows-7")
	if s.resumed() {
		t.Error("a stream was resumed behind an event that nobody knows")
	}
	text, last := s.text()
	if text != "3" {
		t.Fatalf("got %q", text)
	}
	s.close()
	s = r.events(t, key, last)
	s.next("ready")
	eventually(t, "everything to be confirmed", func() bool {
		n, _, err := r.store.QueueDepth(t.Context())
		return err == nil && n == 0
	})
	r.revoke(ada)
	r.app.Revoked(ada.MemberID)
	if e := s.next("closed"); !strings.Contains(e.data, "4002") {
		t.Errorf("got %s", e.data)
	}
}

// Two streams of one name do not fight: the newer one has it.
func TestGatewayEventsReplaced(t *testing.T) {
	r := newRig(t, nil)
	ada := r.member("ada", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	first := r.events(t, key, "")
	first.next("ready")
	second := r.events(t, key, "")
	second.next("ready")
	if e := first.next("closed"); !strings.Contains(e.data, "replaced") {
		t.Errorf("got %s", e.data)
	}
	r.post(key, ada.RoutingKey().String(), "bWU=", "self")
	r.wantOnline(1)
}

// What was pushed on one node and not confirmed comes again on another one, and
// what is confirmed over any node is over on all.
func TestGatewayCrossesNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.member("ada", store.RoleMember), a.member("bo", store.RoleMember)
	key, _ := a.apiKey(ada, keyForAll)
	from := b.dial(session(bo), dial.Options{ConfirmPushes: true})
	s := a.events(t, key, "")
	s.next("ready")
	n.wantMeets(2)
	for i := range 3 {
		b.send(from, ada.RoutingKey().String(), sdk.PriorityNow, fmt.Sprint(i))
	}
	for i := range 3 {
		if text, _ := s.text(); text != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", text, i)
		}
	}
	_, ids, _ := b.inbox(key, "")
	if len(ids) != 3 {
		t.Fatalf("%q wait", ids)
	}
	b.wantOK(http.MethodPost, "/v1/messages/confirm", key, `{"ids":["`+ids[0]+`"]}`)
	s.close()
	s = b.events(t, key, "something-3")
	for i := 1; i < 3; i++ {
		if text, _ := s.text(); text != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", text, i)
		}
	}
	if again := a.post(key, bo.RoutingKey().String(), "aGk=", "once"); again != b.post(key, bo.RoutingKey().String(), "aGk=", "once") {
		t.Error("one message over two nodes became two")
	}
}

func TestGatewayOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, nil)
	r.newMesh()
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	s := r.events(t, key, "")
	s.next("ready")
	bos, _ := r.apiKey(bo, keyForAll)
	r.post(bos, ada.RoutingKey().String(), "aGk=", "one")
	_, id := s.text()
	r.stop()
	mesh, owner := r.mesh, r.owner
	r = start(t, path, nil)
	r.mesh, r.owner = mesh, owner
	s = r.events(t, key, id)
	if s.resumed() {
		t.Error("a stream outlived its broker")
	}
	if text, _ := s.text(); text != "aGk=" {
		t.Errorf("got %q", text)
	}
}

// sawKeyUsed shows that the use of a key is noted.
func TestAPIKeyIsNotedAsUsed(t *testing.T) {
	r := newRig(t, nil)
	ada := r.member("ada", store.RoleMember)
	key, id := r.apiKey(ada, keyForAll)
	r.wantOK(http.MethodGet, "/v1/peers", key, "")
	list, err := r.store.FindAPIKeys(t.Context(), r.mesh.ID, "", id, 2)
	if err != nil || len(list) != 1 || time.Since(list[0].LastUsedAt) > time.Hour {
		t.Errorf("got %+v, %v", list, err)
	}
}

// Topics over HTTP are those of the socket; a key that is for some of them is held
// to those.
func TestGatewayTopics(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	s := r.joined(ada)
	for _, name := range []string{"ops", "other"} {
		s.ask(`{"type":"topic_create","name":"`+name+`"}`, "topic_created")
	}
	all, _ := r.apiKey(ada, keyForAll)
	key, _ := r.apiKey(ada, `"capabilities":["send","read"],"topicScopes":["ops"]`)
	names := func(key string) (list []string) {
		for _, topic := range r.wantOK(http.MethodGet, "/v1/topics", key, "")["topics"].([]any) {
			list = append(list, topic.(map[string]any)["name"].(string))
		}
		return list
	}
	if got := names(key); !slices.Equal(got, []string{"ops"}) {
		t.Errorf("a key for ops sees %q", got)
	}
	if got := names(all); !slices.Contains(got, "other") {
		t.Errorf("a key for all sees %q", got)
	}
	id := r.post(key, "#ops", "aGk=", "one")
	r.post(all, "#other", "aGk=", "two")
	history := r.wantOK(http.MethodGet, "/v1/topics/ops/messages?limit=5", key, "")["messages"].([]any)
	if len(history) != 1 || history[0].(map[string]any)["id"] != id {
		t.Errorf("got %v, want %s", history, id)
	}
	if got := r.wantOK(http.MethodGet, "/v1/topics/ops/members", key, "")["members"].([]any); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	r.wantOK(http.MethodPatch, "/v1/topics/ops/read", key, "")
	if got := r.wantOK(http.MethodGet, "/v1/topics/ops/key", key, ""); got["topic"] != "ops" || got["encryptedKey"] == "" {
		t.Errorf("got %v", got)
	}
	r.joined(bo).ask(`{"type":"topic_join","topic":"ops"}`, "ack")
	pending := r.wantOK(http.MethodGet, "/v1/topics/ops/pending-seals", key, "")["pending"].([]any)
	if len(pending) != 1 || pending[0].(map[string]any)["memberId"] != bo.MemberID {
		t.Errorf("got %v", pending)
	}
	sealed := base64.StdEncoding.EncodeToString(make([]byte, 80))
	nonce := base64.StdEncoding.EncodeToString(make([]byte, 24))
	r.wantOK(http.MethodPost, "/v1/topics/ops/seal", key, fmt.Sprintf(`{"memberId":%q,"encryptedKey":%q,"nonce":%q}`, bo.MemberID, sealed, nonce))
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{http.MethodGet, "/v1/topics/other/messages", "", 403, "api_key_topic_out_of_scope"},
		{http.MethodGet, "/v1/topics/other/key", "", 403, "api_key_topic_out_of_scope"},
		{http.MethodPatch, "/v1/topics/other/read", "", 403, "api_key_topic_out_of_scope"},
		{http.MethodPost, "/v1/messages", `{"target":"#other","ciphertext":"aGk="}`, 403, "api_key_topic_out_of_scope"},
		{http.MethodPost, "/v1/topics/ops/seal", `{"memberId":"nobody","encryptedKey":"` + sealed + `","nonce":"` + nonce + `"}`, 404, "recipient_not_in_topic"},
		{http.MethodPost, "/v1/topics/ops/seal", `{"memberId":"nobody","encryptedKey":"x","nonce":"y"}`, 400, "invalid"},
		{http.MethodPost, "/v1/topics/ops/claim-key", `{"encryptedKeyPubkey":"` + strings.Repeat("ab", 32) + `","encryptedKey":"` + sealed + `","nonce":"` + nonce + `"}`, 409, "already_encrypted"},
	} {
		if status, answer, _ := r.ask(tt.method, tt.path, key, tt.body); status != tt.status || answer["code"] != tt.code {
			t.Errorf("%s %s: got %d %v, want %d %s", tt.method, tt.path, status, answer, tt.status, tt.code)
		}
	}
	if status, answer, _ := r.ask(http.MethodGet, "/v1/topics/nowhere/messages", all, ""); status != 404 || answer["code"] != "topic_not_found" {
		t.Errorf("got %d %v", status, answer)
	}
}

// A page that may call may send whatever a route reads of a header.
func TestPagesSendWhatRoutesRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *config.Config) { c.HTTP.CORSOrigins = []string{"https://app.example.org"} })
	h := http.Header{"Origin": {"https://app.example.org"}, "Access-Control-Request-Method": {"POST"}}
	status, _, header := r.askRaw(http.MethodOptions, "/v1/messages", h, "")
	if status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	headers := strings.Split(header.Get("Access-Control-Allow-Headers"), ", ")
	methods := strings.Split(header.Get("Access-Control-Allow-Methods"), ", ")
	for _, route := range r.app.Routes() {
		if !slices.Contains(methods, route.Method) {
			t.Errorf("%s: the method may not be sent", route.Pattern())
		}
		for f := range route.Request.Fields() {
			if name := f.Tag.Get("header"); name != "" && !slices.Contains(headers, name) {
				t.Errorf("%s: %s may not be sent", route.Pattern(), name)
			}
		}
	}
}
