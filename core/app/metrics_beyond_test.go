package app_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// TestMetricsBeyondMessages has one thing of each kind work once, and one fail.
func TestMetricsBeyondMessages(t *testing.T) {
	url, _ := page(t)
	s := &shelf{rig: start(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
		c.Files.Dir, c.DataDir, c.Files.FileBytes = t.TempDir(), t.TempDir(), 10
		nearby(c)
	})}
	s.newMesh()
	s.people()
	_, text, _ := s.request(http.MethodGet, "/metrics", "")
	for before, words := range map[string]string{
		`broker_file_uploads_refused_total{reason="`:                     "invalid too_large capacity broken_off digest conflict unavailable",
		`broker_file_sweeps_total{result="`:                              "done failed",
		`broker_questions_total{outcome="`:                               "answered away busy late unread illegible left lost",
		`broker_watch_looks_total{outcome="`:                             "first same changed refused unreachable unreadable failed",
		`broker_webhook_requests_total{outcome="`:                        "sent nobody unproved limited malformed refused failed",
		`broker_mesh_sql_statements_total{statement="query",outcome="`:   "done failed full busy off gone away",
		`broker_mesh_sql_statements_total{statement="execute",outcome="`: "done failed full busy off gone away",
		`broker_schedules_total{outcome="`:                               "sent late again refused",
	} {
		wantWords(t, text, before, strings.Fields(words))
	}

	s.share(s.ann, s.ada, "a.txt", "0123456789")
	s.upload(s.ann, s.ada, "b.txt", "0123456789a")
	ada := s.joined(s.member("carl", store.RoleAdmin))
	h := s.hook(ada, `"name":"ci","target":"#general"`)
	ada.executes("CREATE TABLE n (i INTEGER)")
	ada.sql("mesh_query", "SELECT i FROM nothing")
	ada.ask(`{"type":"watch","url":"`+url+`","mode":"json","extract":"n"}`, "watch_ack")
	ada.ask(`{"type":"watch","url":"http://10.0.0.1/","label":"not for us"}`, "watch_ack")
	id := s.member("dora", store.RoleMember)
	key, _ := s.apiKey(id, keyForAll)
	stream := s.events(t, key, "")
	stream.next("ready")
	bo := s.joined(id)
	bo.ask(`{"type":"mcp_register","serverName":"clock","tools":[{"name":"t","description":""}]}`, "mcp_register_ack")
	ada.write(`{"type":"mcp_call","serverName":"clock","toolName":"t","_reqId":"c"}`)
	call := field(t, bo.wantFrame("mcp_call_forward"), "callId")
	if got := s.metric("broker_questions_waiting"); got != "1" {
		t.Errorf("%s questions wait, want 1", got)
	}
	bo.write(`{"type":"mcp_call_response","callId":"` + call + `","result":1}`)
	ada.wantFrame("mcp_call_result")
	h.post(nil, `{}`) // a message of a topic, too
	h.Secret = strings.Repeat("0", 64)
	h.post(nil, `{}`)

	for _, want := range []string{
		`broker_file_uploads_begun_total 1`, `broker_file_uploads_finished_total 1`, `broker_file_received_bytes_total 10`,
		`broker_file_uploads_refused_total{reason="too_large"} 1`, `broker_event_streams 1`, `broker_event_streams_begun_total 1`,
		`broker_topic_messages_kept_total 1`, `broker_questions_waiting 0`, `broker_questions_total{outcome="answered"} 1`,
		`broker_watch_looks_total{outcome="first"} 1`, `broker_webhook_requests_total{outcome="sent"} 1`,
		`broker_webhook_requests_total{outcome="unproved"} 1`,
		`broker_mesh_sql_statements_total{statement="execute",outcome="done"} 1`, `broker_mesh_sql_statements_total{statement="query",outcome="failed"} 1`,
		`broker_mesh_sql_seconds_count{statement="query"} 1`,
	} {
		name, value, _ := strings.Cut(want, "} ")
		if strings.Contains(want, "{") {
			name += "}"
		} else {
			name, value, _ = strings.Cut(want, " ")
		}
		eventually(t, want, func() bool { return s.metric(name) == value })
	}
}

// TestTotals has a broker start on a store that keeps something already.
func TestTotals(t *testing.T) {
	dir := t.TempDir()
	path, files := filepath.Join(dir, "broker.db"), filepath.Join(dir, "files")
	begin := func() *shelf {
		return &shelf{rig: start(t, path, func(c *config.Config) { c.Files.Dir = files })}
	}
	s := begin()
	s.newMesh()
	s.people()
	s.share(s.ann, s.ada, "a.txt", "0123456789")
	if _, err := s.app.Post(t.Context(), s.posted(s.member("carl", store.RoleMember), "#general", "tea")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s = begin()
	for name, want := range map[string]string{"broker_files": "1", "broker_files_bytes": "10", "broker_topic_messages": "1"} {
		eventually(t, name, func() bool { return s.metric(name) == want })
	}
}

// TestMetricsOfWhatThereIsNot has an operator want none of it.
func TestMetricsOfWhatThereIsNot(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Watch.Enabled, c.MeshSQL.Enabled = false, false })
	_, text, _ := r.request(http.MethodGet, "/metrics", "")
	for _, name := range []string{"broker_file", "broker_watch", "broker_mesh_sql"} {
		if strings.Contains(text, "\n"+name) {
			t.Errorf("there is a %s", name)
		}
	}
}
