package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/tracing/otlptest"
	"github.com/claudemesh/broker/sdk"
)

// ownHost stands in for what runs plugins: its stages answer requests, and say so
// with the name of their link.
type ownHost struct {
	gate    chan struct{} // a request with "wait" is answered when something comes
	refused *refusals.Ring
}

func (ownHost) Status() []pluginhost.Status { return nil }

func (ownHost) Counts() []pluginhost.Counts { return nil }

func (ownHost) Check(context.Context, config.Link) error { return nil }

func (h ownHost) Factory(link config.Link) (*chain.Factory, error) {
	f := &chain.Factory{
		Role: chain.RoleOwner, Plugin: link.Plugin.Path, Policies: []chain.Policy{chain.FailClosed},
		New: func(chain.LinkSpec) (sdk.Stage, error) { return owning{link.Name, h.gate}, nil },
	}
	for _, k := range link.Plugin.Kinds {
		f.Owns = append(f.Owns, sdk.Kind(k))
	}
	return f, nil
}

type owning struct {
	link string
	gate chan struct{}
}

func (owning) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Refuse("judged", "an owner judges nothing"), nil
}

func (owning) Terms(kind sdk.Kind) chain.Terms {
	if kind == "note_put" {
		return chain.Terms{Permission: "canWriteState", Refusal: chain.Foreign{Type: "note_kept", Fields: []byte(`{"id":""}`)}}
	}
	return chain.Terms{}
}

func (o owning) Answer(_ context.Context, env *sdk.Envelope, fields []byte) (sdk.Decision, error) {
	var asked struct{ Do string }
	_ = json.Unmarshal(fields, &asked) // what it is not is nothing to do
	switch asked.Do {
	case "wait":
		<-o.gate
	case "fail":
		return sdk.Decision{}, errors.New("its process has ended")
	case "panic":
		panic("as told")
	case "refuse":
		return sdk.Refuse("too_long", "a note has 3 bytes"), nil
	}
	b, err := json.Marshal(map[string]string{"link": o.link, "mesh": env.Mesh, "by": env.Sender.MemberID, "fields": string(fields)})
	return sdk.Decision{Verdict: sdk.Answer, Reply: chain.Foreign{Type: "note_kept", Fields: b}}, err
}

// ownerOf is a link whose plugin owns kinds.
func ownerOf(name string, kinds ...string) config.Link {
	return config.Link{
		Stage: name, Name: name, Enabled: true, OnFailure: config.FailClosed,
		Plugin: &config.Plugin{Path: "bin/" + name, Role: config.Owner, Kinds: kinds},
	}
}

// ownRig is a broker with plugins that own kinds.
func ownRig(t *testing.T, change func(*config.Config), links ...config.Link) (*rig, ownHost) {
	t.Helper()
	h := ownHost{gate: make(chan struct{}), refused: refusals.New(refusals.DefaultSize)}
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
		c.Pipeline = append(links, c.Pipeline...) // where it stands makes no difference
		if change != nil {
			change(c)
		}
	}, func(o *app.Options) { o.Plugins, o.Refusals = h, h.refused })
	r.newMesh()
	return r, h
}

// kept is an answer of the stand-in.
type kept struct{ Link, Mesh, By, Fields, Error string }

func (s *socket) kept() (k kept) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.wantFrame("note_kept")), &k); err != nil {
		s.t.Fatal(err)
	}
	return k
}

// audited counts entries of the mesh's audit log.
func (r *rig) audited(event, payload string) (n int) {
	r.t.Helper()
	for e, err := range r.store.AuditChain(r.t.Context(), r.mesh.ID) {
		if err != nil {
			r.t.Fatal(err)
		}
		if e.EventType == event && string(e.Payload) == payload {
			n++
		}
	}
	return n
}

func TestAPluginAnswersItsKinds(t *testing.T) {
	r, _ := ownRig(t, nil, ownerOf("notes", "note_put", "vector_search"))
	ada := r.member("ada", store.RoleMember)
	s := r.joined(ada)
	s.write(`{"type":"note_put","_reqId":{"n":1},"id":"x","traceparent":"t","text":"milk"}`)
	frame := s.wantFrame("note_kept")
	if !strings.HasPrefix(frame, `{"type":"note_kept","_reqId":{"n":1},`) {
		t.Errorf("got %s", frame)
	}
	var k kept
	if err := json.Unmarshal([]byte(frame), &k); err != nil || k.Fields != `{"id":"x","text":"milk"}` || k.By == "" || k.Mesh == "" {
		t.Errorf("it was asked %+v, %v", k, err)
	}
	for do, want := range map[string]string{
		"refuse": "too_long: a note has 3 bytes", "fail": "unavailable: notes cannot answer note_put now: try again in a moment",
		"panic": "unavailable: notes cannot answer note_put now: try again in a moment",
	} {
		s.write(`{"type":"note_put","do":"` + do + `"}`)
		if k := s.kept(); k.Error != want {
			t.Errorf("%s: %q, want %q", do, k.Error, want)
		}
	}
	s.write(`{"type":"note_put","a":1,"a":2}`)
	if k := s.kept(); !strings.HasPrefix(k.Error, "malformed: ") {
		t.Errorf("a name that comes twice: %+v", k)
	}
	// A kind that the broker knows has the broker's refusals, and none is not_available.
	s.write(`{"type":"vector_search","do":"refuse"}`)
	if f := s.wantFrame("vector_results"); !strings.Contains(f, `"error":"too_long: a note has 3 bytes"`) {
		t.Errorf("got %s", f)
	}
	s.write(`{"type":"note_get"}`)
	s.wantError("unknown_type")
}

// The chain judges first: a stage that refuses, and a permission that lacks, keep a
// request from the plugin. What was answered and needs a permission is audited.
func TestTheChainJudgesWhatPluginsAnswer(t *testing.T) {
	r, _ := ownRig(t, func(c *config.Config) {
		for i := range c.Pipeline {
			if c.Pipeline[i].Stage == "rate-limit" {
				c.Pipeline[i].With = map[string]any{"send": "off", "requests": "1/h", "requests_burst": 5}
			}
		}
	}, ownerOf("notes", "note_put"))
	s := r.joined(r.member("ada", store.RoleMember))
	answered, last := 0, kept{}
	for answered <= 5 && last.Error == "" {
		s.write(`{"type":"note_put","_reqId":"r"}`)
		if last = s.kept(); last.Error == "" {
			answered++
		}
	}
	if answered == 0 || !strings.HasPrefix(last.Error, "rate_limit: ") {
		t.Errorf("after %d answers: %+v", answered, last)
	}
	eventually(t, "each answer to be in the audit log", func() bool {
		return r.audited("plugin_answered", `{"kind":"note_put","link":"notes"}`) == answered
	})
	stranger := open(t, r.url, socketOptions{})
	stranger.write(`{"type":"note_put"}`)
	stranger.wantError("no_hello")
}

// A kind that a plugin owns has its name in traces, as those of the broker have.
func TestTraceOfWhatAPluginAnswers(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	x := traced{spans: otlptest.New(t)}
	p := tracesTo(t, x.spans.HTTP, func(*config.Telemetry) {})
	x.rig = startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
		c.Pipeline = append(c.Pipeline, ownerOf("notes", "note_put"))
	}, func(o *app.Options) { o.Plugins, o.Traces = ownHost{}, p })
	x.newMesh()
	s := x.joined(x.member("ada", store.RoleMember))
	s.write(`{"type":"note_put","traceparent":"` + givenSampled + `"}`)
	s.kept()
	x.spansOf(t, givenTrace, "envelope/note_put", "stage/notes")
}

// A slow plugin holds up its own requests, in order, and nothing else of the
// connection.
func TestASlowPluginHoldsUpNothingElse(t *testing.T) {
	r, h := ownRig(t, nil, ownerOf("notes", "note_put"))
	s := r.joined(r.member("ada", store.RoleMember))
	s.write(`{"type":"note_put","do":"wait","n":1}`)
	s.write(`{"type":"note_put","n":2}`)
	s.write(`{"type":"list_peers","_reqId":"l"}`)
	s.wantFrame("peers_list")
	h.gate <- struct{}{}
	for n := 1; n <= 2; n++ {
		if k := s.kept(); !strings.Contains(k.Fields, fmt.Sprintf(`"n":%d`, n)) {
			t.Errorf("answer %d is %+v", n, k)
		}
	}
	// A connection that ends takes what waits along; the broker stops behind it.
	s.write(`{"type":"note_put","do":"wait"}`)
	s.write(`{"type":"note_put","do":"wait"}`)
	s.write(`{"type":"list_peers","_reqId":"l"}`)
	s.wantFrame("peers_list")
	s.cut()
	eventually(t, "the connection to be gone", func() bool { return r.app.Peers() == 0 })
	h.gate <- struct{}{}
}

// What waits is kept in memory, so a connection may have little of it: while others
// wait, a large request is not read on from.
func TestLargeRequestsWaitOneByOne(t *testing.T) {
	r, h := ownRig(t, nil, ownerOf("notes", "note_get"))
	s := r.joined(r.member("ada", store.RoleMember))
	large := `{"type":"note_get","do":"wait","text":"` + strings.Repeat("x", 100_000) + `"}`
	s.write(large)
	s.write(large)
	s.write(`{"type":"list_peers","_reqId":"l"}`)
	if frame, ok := s.take(100 * time.Millisecond); ok {
		t.Fatalf("behind two large requests that wait came %.60s", frame)
	}
	h.gate <- struct{}{}
	s.kept()
	s.wantFrame("peers_list")
	h.gate <- struct{}{}
	s.kept()
}

// Whoever is put out of the mesh has nothing more asked for it, although its
// connection still stands and requests of it wait.
func TestNothingIsAskedForASessionThatEnded(t *testing.T) {
	r, h := ownRig(t, nil, ownerOf("notes", "note_put", "note_get"))
	ada := r.member("ada", store.RoleMember)
	s := r.joined(ada)
	s.write(`{"type":"note_get","do":"wait"}`)
	s.write(`{"type":"note_get","do":"wait"}`) // needs no permission, so nothing else looks who asks
	s.write(`{"type":"list_peers","_reqId":"l"}`)
	s.wantFrame("peers_list")
	r.revoke(ada) // the connection takes a moment longer to be gone
	h.gate <- struct{}{}
	eventually(t, "the other request to be refused", func() bool {
		return slices.ContainsFunc(h.refused.List(refusals.DefaultSize), func(f refusals.Refusal) bool { return f.Kind == "note_get" })
	})
}

// A request ends on the chain that it began on; the next one goes to the new owner.
// None is lost in between.
func TestReloadMovesAKind(t *testing.T) {
	r, h := ownRig(t, nil, ownerOf("old", "note_put"))
	s, other := r.joined(r.member("ada", store.RoleMember)), r.joined(r.member("bo", store.RoleMember))
	s.write(`{"type":"note_put","do":"wait"}`)
	s.write(`{"type":"list_peers","_reqId":"l"}`)
	s.wantFrame("peers_list")
	c := r.app.Config()
	c.Pipeline = append([]config.Link{ownerOf("new", "note_put")}, c.Pipeline[1:]...)
	_, drain, err := r.app.Reload(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	other.write(`{"type":"note_put"}`)
	if k := other.kept(); k.Link != "new" {
		t.Errorf("after the reload %s answers", k.Link)
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		if err := drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
	h.gate <- struct{}{}
	if k := s.kept(); k.Link != "old" {
		t.Errorf("a request from before went to %s", k.Link)
	}
	drained.Wait()
}

// A kind has one owner, and those of the broker are its own.
func TestKindsThatCannotBeOwned(t *testing.T) {
	r, _ := ownRig(t, nil, ownerOf("notes", "note_put"))
	for want, link := range map[string]config.Link{
		"the broker answers get_state itself; take it out of plugin.kinds":                    ownerOf("state", "get_state"),
		"note_put is owned by pipeline[0] other; take it out of plugin.kinds of one of them":  ownerOf("other", "note_put"),
		"shadow is for stages that judge, and this one is of the role owner; take shadow out": shadowed(ownerOf("dark", "note_get")),
	} {
		c := r.app.Config()
		c.Pipeline = append([]config.Link{link}, c.Pipeline...)
		if _, err := r.app.CheckReload(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func shadowed(l config.Link) config.Link {
	l.Shadow = true
	return l
}
