package feature

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// listed returns the names in the peer list that a session gets.
func (p *peer) listed() []string {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"list_peers"}`)
	list, err := wire.Decode[wire.PeersList]([]byte(answer))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	names := []string{}
	for _, row := range list.Peers {
		names = append(names, row.DisplayName)
	}
	return names
}

func TestPeersListRows(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo", func(a *presence.Arrival) {
		a.Key = sdk.Key{}
		a.Groups = []store.Group{{Name: "ops", Role: "lead"}, {Name: "web"}}
		a.About.Hostname, a.About.PeerType, a.About.Channel, a.About.Model = "host", "ai", "claude-code", "m-1"
	})
	bo.ask(`{"type":"set_status","status":"working"}`)
	bo.ask(`{"type":"set_summary","summary":"tables"}`)
	bo.ask(`{"type":"set_stats","stats":{"toolCalls":3}}`)
	bo.ask(`{"type":"set_profile","title":"Tester"}`)
	daemon := r.join("cy", control)
	got, _ := daemon.ask(`{"type":"list_peers","_reqId":"pl-1"}`)
	since := func(p *peer) string { return string(wire.AppendTime(nil, p.session.Since)) }
	want := `{"type":"peers_list","_reqId":"pl-1","peers":[` +
		`{"pubkey":"` + keyOf("bo").String() + `","memberPubkey":"` + keyOf("bo").String() + `","displayName":"bo",` +
		`"status":"working","summary":"tables","groups":[{"name":"ops","role":"lead"},{"name":"web"}],` +
		`"sessionId":"launch-bo","connectedAt":"` + since(bo) + `","cwd":"/src/bo","hostname":"host","peerType":"ai",` +
		`"channel":"claude-code","model":"m-1","peerRole":"session","stats":{"toolCalls":3},"visible":true,` +
		`"profile":{"title":"Tester"}},` +
		`{"pubkey":"` + keyOf("cy").String() + `","memberPubkey":"` + keyOf("cy").String() + `","displayName":"cy's daemon",` +
		`"status":"idle","summary":null,"groups":[],` +
		`"sessionId":"launch-cy","connectedAt":"` + since(daemon) + `","cwd":"/src/cy","peerRole":"control-plane","visible":true}]}`
	wantText(t, got, want)
}

func TestPeersListUsesTheSessionKey(t *testing.T) {
	r := newRig(t)
	got, _ := r.join("bo").ask(`{"type":"list_peers"}`)
	want := `"pubkey":"` + keyOf("session of bo").String() + `","memberPubkey":"` + keyOf("bo").String() + `"`
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

func TestHiddenSessionsAreListedForTheirMemberOnly(t *testing.T) {
	r := newRig(t)
	ada, bo, other, cy := r.join("ada"), r.join("bo"), r.join("bo", named("bo-2")), r.join("cy")
	bo.ask(`{"type":"set_visible","visible":false}`)
	tests := []struct {
		name string
		asks *peer
		want []string
	}{
		{"the session itself is listed", bo, []string{"ada", "bo", "bo-2", "cy"}},
		{"a sibling sees it", other, []string{"ada", "bo", "bo-2", "cy"}},
		{"another member does not", cy, []string{"ada", "bo-2", "cy"}},
		{"not even the owner", ada, []string{"ada", "bo-2", "cy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantList(t, "names", tt.asks.listed(), tt.want) })
	}
}

func TestSessionsInGraceAreListed(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	r.dir.Leave(bo.session, bo.conn, false)
	wantList(t, "names", cy.listed(), []string{"bo", "cy"})
}

func TestMeshInfo(t *testing.T) {
	r := newRig(t)
	bo, cy, spy := r.join("bo"), r.join("cy"), r.join("cy", named("spy"))
	bo.ask(`{"type":"join_group","name":"web"}`)
	bo.ask(`{"type":"join_group","name":"ops","role":"lead"}`)
	cy.ask(`{"type":"join_group","name":"web"}`)
	spy.ask(`{"type":"join_group","name":"secret"}`)
	spy.ask(`{"type":"set_visible","visible":false}`)
	const rest = `"stateKeys":[],"memoryCount":0,"fileCount":0,"tasks":{"open":0,"claimed":0,"done":0},"streams":[],"tables":[],"collections":[],`
	tests := []struct {
		name string
		asks *peer
		want string
	}{
		{"hidden sessions of others are neither counted nor seen by their groups", bo,
			`{"type":"mesh_info_result","_reqId":"i","mesh":"` + r.mesh.ID + `","peers":2,"groups":["@ops","@web"],` + rest +
				`"yourName":"bo","yourGroups":[{"name":"web"},{"name":"ops","role":"lead"}]}`},
		{"own hidden sessions are", cy,
			`{"type":"mesh_info_result","_reqId":"i","mesh":"` + r.mesh.ID + `","peers":3,"groups":["@ops","@secret","@web"],` + rest +
				`"yourName":"cy","yourGroups":[{"name":"web"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := tt.asks.ask(`{"type":"mesh_info","_reqId":"i"}`)
			wantText(t, got, tt.want)
		})
	}
}
