package feature

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// subscribe has a session hear of a stream.
func (p *peer) subscribe(stream string) {
	p.rig.t.Helper()
	answer, _ := p.ask(`{"type":"subscribe","stream":` + quoted(stream) + `,"_reqId":"s"}`)
	if want := `{"type":"subscribed","_reqId":"s","stream":` + quoted(stream) + `}`; answer != want {
		p.rig.t.Errorf("got %s", answer)
	}
}

// publish tells the subscribers something, and returns the refusal if there is one.
func (p *peer) publish(stream, data string) string {
	p.rig.t.Helper()
	refused, _ := p.ask(`{"type":"publish","stream":` + quoted(stream) + `,"data":` + data + `,"_reqId":"p"}`)
	return refused
}

// streamed returns what the peer was told on streams since the last call.
func (p *peer) streamed() []string {
	p.rig.t.Helper()
	var list []string
	for _, event := range p.heard() {
		if strings.HasPrefix(event, `{"type":"stream_data"`) {
			m, err := wire.Decode[wire.StreamData]([]byte(event))
			if err != nil {
				p.rig.t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%s %s by %s %d", m.Stream, m.Data, m.PublishedBy, m.Seq))
		}
	}
	return list
}

func TestStreamReachesItsSubscribers(t *testing.T) {
	r := newRig(t)
	bo, sibling, cy := r.join("bo"), r.join("bo", named("bo-2")), r.join("cy")
	for _, p := range []*peer{bo, sibling, cy} {
		p.subscribe("builds")
	}
	cy.subscribe("builds") // twice is once
	cy.subscribe("other")
	cy.ask(`{"type":"set_status","status":"dnd"}`)
	wantText(t, bo.publish("builds", `{"n":1}`), "")
	wantText(t, bo.publish("builds", `2`), "")
	wantText(t, bo.publish("other", `3`), "")
	wantList(t, "the publisher", bo.streamed(), nil)
	wantList(t, "its sibling", sibling.streamed(), []string{`builds {"n":1} by bo 1`, `builds 2 by bo 2`})
	wantList(t, "another", cy.streamed(), []string{`builds {"n":1} by bo 1`, `builds 2 by bo 2`, `other 3 by bo 1`})

	if answer, _ := cy.ask(`{"type":"unsubscribe","stream":"builds"}`); answer != "" {
		t.Errorf("got %s", answer)
	}
	bo.ask(`{"type":"publish","stream":"builds"}`)
	wantList(t, "who has unsubscribed", cy.streamed(), nil)
	if got := sibling.heard(); len(got) != 1 || strings.Contains(got[0], `"data"`) || !strings.Contains(got[0], `"seq":3`) {
		t.Errorf("got %q", got)
	}
}

func TestStreamHeedsGrants(t *testing.T) {
	told := []string{"s 1 by bo 1"}
	for _, tt := range []struct {
		name  string
		grant func(*rig)
		heard []string
	}{
		{"everybody may hear everybody", func(*rig) {}, told},
		{"who blocks the publisher hears nothing", func(r *rig) { r.allow("cy", "bo") }, nil},
		{"whom the publisher blocks hears nothing", func(r *rig) { r.allow("bo", "cy", store.CapDM) }, nil},
		{"who is allowed to read hears", func(r *rig) { r.allow("bo", "cy", store.CapStateRead) }, told},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			bo, cy := r.join("bo"), r.join("cy")
			tt.grant(r)
			cy.subscribe("s")
			wantText(t, bo.publish("s", "1"), "")
			wantList(t, "told", cy.streamed(), tt.heard)
			bo.ask(`{"type":"create_stream","name":"s"}`)
			list, _ := cy.ask(`{"type":"list_streams"}`)
			info, _ := cy.ask(`{"type":"mesh_info"}`)
			seen := !strings.Contains(tt.name, "whom")
			if strings.Contains(list, `"name":"s"`) != seen || strings.Contains(info, `"streams":["s"]`) != seen {
				t.Errorf("the name is seen: %v; got %s and %s", seen, list, info)
			}
		})
	}
}

func TestStreamsNeedPermission(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanWriteState: false} })
	for frame, want := range map[string]string{
		`{"type":"create_stream","name":"s"}`:       `{"type":"stream_created","error":"forbidden: `,
		`{"type":"publish","stream":"s","data":1}`:  `{"type":"ack","id":"","messageId":"","queued":false,"error":"forbidden: `,
		`{"type":"subscribe","stream":"s"}`:         `{"type":"subscribed","stream":"s"}`,
		`{"type":"subscribe","stream":" s"}`:        `{"type":"subscribed","stream":" s","error":"invalid: stream: `,
		`{"type":"subscribe","stream":7}`:           `{"type":"subscribed","stream":"","error":"invalid: stream: `,
		`{"type":"create_stream","name":"a\u0007"}`: `{"type":"stream_created","error":"forbidden: `,
	} {
		if got, _ := bo.ask(frame); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s", frame, got)
		}
	}
}

func TestFlawExt31StreamsAreLimited(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for n := range 64 {
		bo.subscribe(fmt.Sprint(n))
	}
	if got, _ := bo.ask(`{"type":"subscribe","stream":"one more"}`); !strings.Contains(got, "capacity: a session can subscribe to 64") {
		t.Errorf("got %s", got)
	}
	bo.subscribe("3") // again is no more
	refused := ""
	for n := 0; n < 2*publishBurst && refused == ""; n++ {
		refused = bo.publish("s", fmt.Sprint(n))
	}
	if !strings.Contains(refused, `"error":"rate_limit: `) || !strings.Contains(refused, `"_reqId":"p"`) {
		t.Errorf("got %s", refused)
	}
	for n := range streamsPerMember {
		bo.ask(fmt.Sprintf(`{"type":"create_stream","name":"s%d"}`, n))
	}
	if got, _ := bo.ask(`{"type":"create_stream","name":"one more"}`); !strings.Contains(got, "capacity: 100 streams are yours") {
		t.Errorf("got %s", got)
	}
	again, _ := bo.ask(`{"type":"create_stream","name":"s5"}`)
	if !strings.Contains(again, `"id":"`) {
		t.Errorf("one that is there: got %s", again)
	}
}

// What the store and the directory say of streams is what a plain model says.
func TestStreamsModel(t *testing.T) {
	r := newRig(t)
	peers := []*peer{r.join("bo"), r.join("cy"), r.join("gil")}
	names := []string{"a", "b", "Ä/ö"}
	subscribed := map[string]map[*peer]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			p := rapid.SampledFrom(peers).Draw(rt, "who")
			name := rapid.SampledFrom(names).Draw(rt, "stream")
			if subscribed[name] == nil {
				subscribed[name] = map[*peer]bool{}
			}
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0:
				p.subscribe(name)
				subscribed[name][p] = true
			case 1:
				p.ask(`{"type":"unsubscribe","stream":` + quoted(name) + `}`)
				delete(subscribed[name], p)
			default:
				if p.publish(name, `"x"`) != "" {
					continue // too often
				}
				for _, other := range peers {
					if got, want := len(other.streamed()) == 1, subscribed[name][other] && other != p; got != want {
						rt.Fatalf("%s is told: %v", other.name, got)
					}
				}
			}
			if got := r.dir.Subscribers(r.mesh.ID)[name]; got != len(subscribed[name]) {
				rt.Fatalf("%d subscribe, want %d", got, len(subscribed[name]))
			}
		}
	})
}
