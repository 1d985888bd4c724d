package feature

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestPresenceAnswers(t *testing.T) {
	bo := newRig(t).join("bo")
	tests := []struct{ name, frame, want string }{
		{"a status is not answered", `{"type":"set_status","status":"dnd","_reqId":1}`, ``},
		{"an unknown status is refused", `{"type":"set_status","status":"away","_reqId":1}`,
			`{"type":"error","_reqId":1,"code":"invalid","message":"status: want \"idle\", \"working\" or \"dnd\""}`},
		{"a summary is not answered", `{"type":"set_summary","summary":"tests"}`, ``},
		{"counters are not answered", `{"type":"set_stats","stats":{"toolCalls":3}}`, ``},
		{"hiding is answered by an ack with the _reqId", `{"type":"set_visible","visible":false,"_reqId":"v-1"}`,
			`{"type":"ack","_reqId":"v-1","id":"v-1","messageId":"","queued":false}`},
		{"without a _reqId the id is an empty text", `{"type":"set_visible","visible":false}`,
			`{"type":"ack","id":"","messageId":"","queued":false}`},
		{"a _reqId that is no text stays what it is", `{"type":"set_visible","visible":true,"_reqId":17}`,
			`{"type":"ack","_reqId":17,"id":17,"messageId":"","queued":false}`},
		{"hiding is refused in the same shape", `{"type":"set_visible","visible":"no","_reqId":"v-2"}`,
			`{"type":"ack","_reqId":"v-2","id":"v-2","messageId":"","queued":false,"error":"invalid: visible: want true or false"}`},
		{"a profile is answered the same way", `{"type":"set_profile","title":"Tester","_reqId":"p-1"}`,
			`{"type":"ack","_reqId":"p-1","id":"p-1","messageId":"","queued":false}`},
		{"a profile is refused in the same shape", `{"type":"set_profile","title":4}`,
			`{"type":"ack","id":"","messageId":"","queued":false,"error":"invalid: title: want a string"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := bo.ask(tt.frame)
			wantText(t, got, tt.want)
		})
	}
}

func TestStatusIsSetByHand(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for _, status := range []presence.Status{presence.DND, presence.Working, presence.Idle} {
		bo.ask(`{"type":"set_status","status":"` + string(status) + `"}`)
		v := r.dir.View(bo.session)
		if v.Status != status || v.Source != presence.Manual {
			t.Errorf("got %s by %s, want %s by %s", v.Status, v.Source, status, presence.Manual)
		}
	}
}

func TestSummaryAndStats(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	bo.ask(`{"type":"set_summary","summary":"writes tests"}`)
	bo.ask(`{"type":"set_stats","stats":{"messagesIn":1,"uptime":60}}`)
	bo.ask(`{"type":"set_stats","stats":{"messagesIn":2}}`)
	v := r.dir.View(bo.session)
	if v.Summary != "writes tests" {
		t.Errorf("summary %q", v.Summary)
	}
	if want := (&presence.Stats{MessagesIn: new(2.0)}); !cmp.Equal(v.Stats, want) {
		t.Errorf("stats: %s", cmp.Diff(v.Stats, want))
	}
}

func TestProfilePatches(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	tests := []struct {
		name, frame string
		want        store.Profile
	}{
		{"keys that are given are set", `{"type":"set_profile","avatar":"🦊","title":"Tester","capabilities":["go","sql"]}`,
			store.Profile{Avatar: new("🦊"), Title: new("Tester"), Capabilities: new([]string{"go", "sql"})}},
		{"absent keys stay, null clears", `{"type":"set_profile","title":null,"bio":"likes tables"}`,
			store.Profile{Avatar: new("🦊"), Bio: new("likes tables"), Capabilities: new([]string{"go", "sql"})}},
		{"an empty text is a value", `{"type":"set_profile","bio":"","capabilities":null}`,
			store.Profile{Avatar: new("🦊"), Bio: new("")}},
		{"a refused patch changes nothing", `{"type":"set_profile","avatar":null,"title":false}`,
			store.Profile{Avatar: new("🦊"), Bio: new("")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bo.ask(tt.frame)
			if got := r.dir.View(bo.session).Profile; !cmp.Equal(got, tt.want) {
				t.Error(cmp.Diff(got, tt.want))
			}
		})
	}
}

func TestVisibilityIsNewsOnlyWhenItChanges(t *testing.T) {
	r := newRig(t)
	bo, other, cy := r.join("bo"), r.join("bo", named("bo-2")), r.join("cy")
	key := keyOf("session of bo").String()
	data := ` {"name":"bo","displayName":"bo","pubkey":"` + key + `"}`
	tests := []struct {
		name, frame string
		want        []string
	}{
		{"to show who is shown is no news", `{"type":"set_visible","visible":true}`, nil},
		{"hiding is", `{"type":"set_visible","visible":false}`, []string{wire.EventPeerHidden + data}},
		{"hiding twice is not", `{"type":"set_visible","visible":false}`, nil},
		{"showing is", `{"type":"set_visible","visible":true}`, []string{wire.EventPeerVisible + data}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bo.ask(tt.frame)
			wantList(t, "another member", cy.heard(), tt.want)
			wantList(t, "another session of the member", other.heard(), tt.want)
			wantList(t, "the session itself", bo.heard(), nil)
		})
	}
}

func TestRefusalsKeepTheirShape(t *testing.T) {
	r := newRig(t)
	call := &Call{ReqID: []byte(`"r"`), ID: []byte(`"i"`)}
	tests := []struct{ typ, want string }{
		{"set_visible", `{"type":"ack","id":"r","messageId":"","queued":false,"error":"rate_limit: slow down"}`},
		{"set_profile", `{"type":"ack","id":"r","messageId":"","queued":false,"error":"rate_limit: slow down"}`},
		{"list_peers", `{"type":"peers_list","peers":[]}`},
		{"kick", `{"type":"error","code":"rate_limit","message":"rate_limit: slow down","id":"i"}`},
	}
	for _, tt := range tests {
		frame := r.reg.Owner(tt.typ).Refusal(call, sdk.ReasonRateLimit, "rate_limit: slow down")
		got, err := wire.Append(nil, frame)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, string(got), tt.want)
	}
}
