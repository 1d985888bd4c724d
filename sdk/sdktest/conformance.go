package sdktest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// ConformanceOption changes what [Conformance] does.
type ConformanceOption func(*conformance)

// StageOptions are the options, a JSON object, that a stage is run with. The
// default is its example.
func StageOptions(stage, options string) ConformanceOption {
	return func(c *conformance) { c.options[stage] = []byte(options) }
}

// Conformance serves a plugin in memory and checks what a broker relies on:
// that it describes itself, judges options, answers every batch, survives what
// is strange, and ends in order. Every check is a subtest with a plugin of its
// own. Stages are granted what they need, and nothing else; where one wants more,
// all is checked once more with what they want.
//
//	func TestConformance(t *testing.T) {
//		sdktest.Conformance(t, officeHours())
//	}
//
// The rules that every stage keeps, built in or not, are those of [Run].
func Conformance(t *testing.T, p plugin.Plugin, more ...ConformanceOption) {
	t.Helper()
	c := conformance{plugin: p, options: make(map[string][]byte)}
	for _, option := range more {
		option(&c)
	}
	c.all(t, "")
	if c.wants() {
		c.wanting = true
		c.all(t, ", with all that it wants")
	}
}

// all makes every check.
func (c *conformance) all(t *testing.T, how string) {
	for _, check := range checks {
		t.Run(check.name+how, func(t *testing.T) {
			for _, broken := range c.run(check.run) {
				t.Error(broken)
			}
		})
	}
}

// wants reports whether a stage does more with more capabilities.
func (c *conformance) wants() (yes bool) {
	c.run(func(h *host) {
		yes = slices.ContainsFunc(h.stages, func(s *pluginpb.Stage) bool { return len(s.OptionalCapabilities) > 0 })
	})
	return yes
}

// conformance is what the checks are made with.
type conformance struct {
	plugin  plugin.Plugin
	options map[string][]byte // by stage
	wanting bool              // stages are granted what they want too
}

// check is one thing that a broker relies on.
type check struct {
	name string
	run  func(*host)
}

var checks = []check{
	{"it says hello", (*host).hello},
	{"it describes its stages", (*host).shape},
	{"its schemas accept its examples", (*host).schemas},
	{"it refuses options that it does not know", (*host).unknownOptions},
	{"it does not start without what it needs", (*host).ungranted},
	{"it answers every batch", (*host).batches},
	{"it answers at the simple level", (*host).simple},
	{"it survives strange envelopes", (*host).strange},
	{"it answers a ping while it is busy", (*host).ping},
	{"it answers what is late", (*host).late},
	{"it goes on after a cancel", (*host).cancelled},
	{"it contains a panic", (*host).panics},
	{"it keeps instances apart", (*host).instances},
	{"it refuses an instance that it does not have", (*host).unknownInstance},
	{"it brings the spans of sampled envelopes", (*host).spans},
	{"it is told outcomes", (*host).outcomes},
	{"it answers what it owns", (*host).kinds},
	{"it drains", (*host).drains},
}

// probeName is the name of a stage that is served beside the author's own.
const probeName = "sdktest-probe"

// probe does what an author's stage cannot be asked to do.
type probe struct{}

func (probe) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	switch env.MessageID {
	case "panic":
		panic("as told")
	case "wait":
		<-ctx.Done()
		return sdk.Decision{}, ctx.Err()
	case "refuse":
		return sdk.Refuse("probe", fmt.Sprint(env.Sender.Conn)), nil
	}
	return sdk.Next(), nil
}

func newProbe(struct{}) (probe, error) { return probe{}, nil }

// run serves the plugin, with the probe, for one check.
func (c *conformance) run(do func(*host)) []string {
	p := c.plugin
	p.Stages = append(slices.Clip(p.Stages), plugin.Define(probeName, struct{}{}, newProbe))
	h, err := serve(p, c.options)
	if err != nil {
		return []string{err.Error()}
	}
	h.wanting = c.wanting
	do(h)
	h.close()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list
}
