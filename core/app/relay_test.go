package app_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// field returns a field of a frame, which must be a text.
func field(tb testing.TB, frame, name string) string {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(frame), &m); err != nil {
		tb.Fatalf("%v: %.200s", err, frame)
	}
	text, ok := m[name].(string)
	if !ok {
		tb.Fatalf("no %s in %.200s", name, frame)
	}
	return text
}

// grants has a member allow another one this.
func (s *socket) grants(to dial.Identity, capability string) {
	s.t.Helper()
	s.ask(fmt.Sprintf(`{"type":"set_grants","grants":{"%x":["%s"]}}`, to.Key.Public(), capability), "grants")
}

// streamed waits for the next of a stream, and returns its data.
func (s *socket) streamed() string {
	s.t.Helper()
	var m struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(s.wantFrame("stream_data")), &m); err != nil {
		s.t.Fatal(err)
	}
	return string(m.Data)
}

// wantSubscribers waits until a node knows of so many subscribers of the stream s.
func (s *socket) wantSubscribers(n int) {
	s.t.Helper()
	want := fmt.Sprintf(`"subscriberCount":%d`, n)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		list := s.ask(`{"type":"list_streams"}`, "stream_list")
		if strings.Contains(list, want) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("got %s, want %s", list, want)
		}
	}
}

func TestStreamsCrossNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	ada.ask(`{"type":"create_stream","name":"s"}`, "stream_created")
	bo.ask(`{"type":"subscribe","stream":"s"}`, "subscribed")
	ada.wantSubscribers(1)
	for i := range 50 {
		ada.write(fmt.Sprintf(`{"type":"publish","stream":"s","data":%d}`, i))
	}
	for i := range 50 {
		if got := bo.streamed(); got != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", got, i)
		}
	}
}

// A session that comes back, to whatever node, still hears what it has subscribed to.
func TestFlawExt51SubscriptionsOutliveAConnection(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, id := a.joined(a.member("ada", store.RoleMember)), session(a.member("bo", store.RoleMember))
	ada.ask(`{"type":"create_stream","name":"s"}`, "stream_created")
	bo := a.greet(a.vouched(id, time.Now()), socketOptions{})
	bo.ask(`{"type":"subscribe","stream":"s"}`, "subscribed")
	for i, r := range []*rig{a, b} {
		bo.cut()
		n.list[i].wantOnline(1)
		bo = r.greet(r.vouched(id, time.Now()), socketOptions{})
		n.wantMeets(2)
		ada.wantSubscribers(1)
		ada.write(fmt.Sprintf(`{"type":"publish","stream":"s","data":%d}`, i))
		if got := bo.streamed(); got != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", got, i)
		}
	}
}

// Sessions and their tools come back after a restart, and nobody subscribes again.
func TestStreamsAndToolsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	before := start(t, path, nil)
	before.newMesh()
	ada, id := before.member("ada", store.RoleMember), session(before.member("bo", store.RoleMember))
	bo := before.greet(before.vouched(id, time.Now()), socketOptions{})
	bo.ask(`{"type":"subscribe","stream":"s"}`, "subscribed")
	bo.ask(`{"type":"mcp_register","serverName":"clock","persistent":true,"tools":[{"name":"t","description":""}]}`, "mcp_register_ack")
	before.stop()

	after := start(t, path, nil)
	after.mesh, after.owner = before.mesh, before.owner
	asker := after.joined(ada)
	if got := asker.ask(`{"type":"mcp_list"}`, "mcp_list_result"); !strings.Contains(got, `"online":false`) {
		t.Errorf("got %s", got)
	}
	bo = after.greet(after.vouched(id, time.Now()), socketOptions{})
	after.wantOnline(2)
	asker.write(`{"type":"publish","stream":"s","data":"hi"}`)
	if got := bo.streamed(); got != `"hi"` {
		t.Errorf("got %s", got)
	}
	asker.wantServer(`"online":true`)
	asker.write(`{"type":"mcp_call","serverName":"clock","toolName":"t","_reqId":"c"}`)
	call := bo.wantFrame("mcp_call_forward")
	bo.write(`{"type":"mcp_call_response","callId":"` + field(t, call, "callId") + `","result":12}`)
	if got := asker.wantFrame("mcp_call_result"); !strings.Contains(got, `"result":12`) {
		t.Errorf("got %s", got)
	}
}

// wantServer waits until the list of servers has a text.
func (s *socket) wantServer(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		list := s.ask(`{"type":"mcp_list"}`, "mcp_list_result")
		if strings.Contains(list, text) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("got %s, want %s", list, text)
		}
	}
}

// A file of a megabyte, the most that clients send, comes over two nodes, and
// nobody's connection is closed for it.
func TestFlawExt53LargeAnswersArrive(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	id := a.member("ada", store.RoleMember)
	ada, bo := a.joined(id), b.joined(b.member("bo", store.RoleMember))
	n.wantMeets(2)
	bo.grants(id, "file-read")
	target := sessionOf(t, ada, "bo")
	for _, size := range []int{1, 48 << 10, 100 << 10, 1398104} {
		content := strings.Repeat("A", size)
		ada.write(`{"type":"peer_file_request","targetPubkey":"` + target + `","filePath":"f","_reqId":"r"}`)
		ask := bo.wantFrame("peer_file_request_forward")
		bo.write(`{"type":"peer_file_response","requesterPubkey":"` + field(t, ask, "requesterPubkey") + `","filePath":"f","content":"` +
			content + `","_reqId":"` + field(t, ask, "_reqId") + `"}`)
		got := ada.wantFrame("peer_file_response_forward")
		if field(t, got, "content") != content || field(t, got, "_reqId") != "r" {
			t.Errorf("%d bytes came back as %d: %.200s", size, len(got), got)
		}
	}
}

// sessionOf returns the key that the peer list has of somebody.
func sessionOf(tb testing.TB, s *socket, name string) string {
	tb.Helper()
	var list struct {
		Peers []struct{ DisplayName, Pubkey string }
	}
	if err := json.Unmarshal([]byte(s.ask(`{"type":"list_peers"}`, "peers_list")), &list); err != nil {
		tb.Fatal(err)
	}
	for _, p := range list.Peers {
		if p.DisplayName == name {
			return p.Pubkey
		}
	}
	tb.Fatalf("nobody is called %s", name)
	return ""
}

func TestToolsCrossNodes(t *testing.T) {
	n := newNodes(t, 2, grace(300*time.Millisecond))
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	n.wantMeets(2)
	bo.ask(`{"type":"mcp_register","serverName":"clock","tools":[{"name":"t","description":""}]}`, "mcp_register_ack")
	ada.wantServer(`"online":true`)
	call := func(reqID string) string {
		ada.write(`{"type":"mcp_call","serverName":"clock","toolName":"t","_reqId":"` + reqID + `"}`)
		return field(t, bo.wantFrame("mcp_call_forward"), "callId")
	}
	bo.write(`{"type":"mcp_call_response","callId":"` + call("c1") + `","result":{"n":[]}}`)
	if got := ada.wantFrame("mcp_call_result"); got != `{"type":"mcp_call_result","_reqId":"c1","result":{"n":[]}}` {
		t.Errorf("got %s", got)
	}
	call("c2")
	bo.cut()
	if got := ada.wantFrame("mcp_call_result"); !strings.Contains(got, `host disconnected`) {
		t.Errorf("got %s", got)
	}
	ada.wantServer(`"servers":[]`) // when its grace time is over
}

// Whoever asks another session is told at once of an answer that is no good frame.
func TestIllegibleAnswersEndQuestions(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "broker.db"), nil)
	r.newMesh()
	id := r.member("ada", store.RoleMember)
	ada, bo := r.joined(id), r.joined(r.member("bo", store.RoleMember))
	bo.ask(`{"type":"mcp_register","serverName":"clock","tools":[{"name":"t","description":""}]}`, "mcp_register_ack")
	target := sessionOf(t, ada, "bo")
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, more := range []string{`"result":` + deep, `"result":{"a":1,"a":1}`, `"result":tru`, `"error":[]`} {
		ada.write(`{"type":"mcp_call","serverName":"clock","toolName":"t","_reqId":"c"}`)
		bo.ask(`{"type":"mcp_call_response","callId":"`+field(t, bo.wantFrame("mcp_call_forward"), "callId")+`",`+more+`}`, "ack")
		if got := ada.wantFrame("mcp_call_result"); !strings.Contains(got, `"_reqId":"c","error":"peer_answer: `) {
			t.Errorf("%s: got %s", more, got)
		}
	}
	bo.grants(id, "file-read")
	for _, more := range []string{`"entries":` + deep, `"entries":{"a":1,"a":1}`, `"entries":7`} {
		ada.write(`{"type":"peer_dir_request","targetPubkey":"` + target + `","dirPath":".","_reqId":"d"}`)
		bo.ask(`{"type":"peer_dir_response","_reqId":"`+field(t, bo.wantFrame("peer_dir_request_forward"), "_reqId")+`",`+more+`}`, "ack")
		if got := ada.wantFrame("peer_dir_response_forward"); !strings.Contains(got, `"_reqId":"d","dirPath":".","error":"peer_answer: `) {
			t.Errorf("%s: got %s", more, got)
		}
	}
}
