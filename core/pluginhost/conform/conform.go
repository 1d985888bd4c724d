// Package conform checks a program against what a broker relies on in a plugin.
//
// It talks to a process that was started as the broker starts it, so the program
// may be written in any language; sdktest has the same for a plugin in Go
// without a process. What is checked is the protocol, and not what the stage
// decides.
package conform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// patience is how long a plugin may take for what a broker waits for.
const patience = 5 * time.Second

// Subject is what is checked.
type Subject struct {
	Host *pluginhost.Host
	Link config.Link // how the program is started, which stage it is, and what it is granted

	// Options of the stage, a JSON object. Nil: its example, or {}.
	Options []byte
}

// Result is what one case found.
type Result struct {
	Case string `json:"case"`
	OK   bool   `json:"ok"`

	// Text is what is wrong and what to do, or why a case had nothing to check.
	Text string `json:"text,omitempty"`
}

// skip is returned by a case that has nothing to check.
type skip string

func (s skip) Error() string { return string(s) }

// one is a case. An error is what the plugin does wrong.
type one struct {
	name  string
	check func(*talk) error
}

func cases() []one {
	return []one{
		{"it says who it is", (*talk).hello},
		{"it describes its stages", (*talk).describes},
		{"its schema compiles and takes its example", (*talk).example},
		{"it judges empty options with clear words", (*talk).empty},
		{"it refuses an option that it does not have", (*talk).unknownOption},
		{"it refuses a stage that it does not have", (*talk).unknownStage},
		{"it runs two instances at once", (*talk).twoInstances},
		{"it answers batches of 1 and of 64", (*talk).batches},
		{"it answers 16 batches at once, each one time", (*talk).manyBatches},
		{"it answers a ping while it works", (*talk).ping},
		{"it refuses an instance that it does not have", (*talk).unknownInstance},
		{"it brings the spans of sampled envelopes", (*talk).spans},
		{"it is told outcomes", (*talk).outcomes},
		{"it answers what it owns", (*talk).kinds},
		{"it drains an instance", (*talk).drains},
		{"it ends within 2 s when it is told to", (*talk).ends},
		{"it ends when the broker dies", (*talk).lifeline},
	}
}

// startCase is the name of the case that comes before the others.
const startCase = "it starts and shakes hands, with nothing before that on standard output"

// Run checks everything and reports each case when it is done. It returns
// whether all of them hold. Nothing that it started is left.
func Run(ctx context.Context, s Subject, report func(Result)) bool {
	t, err := begin(ctx, s)
	report(resultOf(startCase, err))
	if err != nil {
		return false
	}
	defer t.close()
	ok := true
	for _, c := range cases() {
		r := resultOf(c.name, t.run(c))
		ok = ok && r.OK
		report(r)
	}
	return ok
}

func resultOf(name string, err error) Result {
	r := Result{Case: name, OK: true}
	if err == nil {
		return r
	}
	r.Text = err.Error()
	_, r.OK = errors.AsType[skip](err)
	return r
}

// talk is a conversation with one process.
type talk struct {
	ctx    context.Context
	s      Subject
	probed *pluginhost.Probed
	client pluginpb.PluginClient
	info   pluginhost.Info // of the stage
	stream bool            // it has streams; else only the simple level

	ended    bool // the process is gone
	unusable bool // there are no options that the stage takes

	instances int
}

func begin(ctx context.Context, s Subject) (*talk, error) {
	probed, err := s.Host.Launch(ctx, s.Link)
	if err != nil {
		return nil, err
	}
	t := &talk{
		ctx: ctx, s: s, probed: probed, client: pluginpb.NewPluginClient(probed.Process().Conn()),
		stream: has(probed.Program.Features, featureStream),
	}
	name := s.Link.Plugin.Stage
	if name == "" {
		name = s.Link.Stage
	}
	for _, info := range probed.Program.Stages {
		if info.Name == name {
			t.info = info
			if t.s.Options == nil {
				t.s.Options = t.exampleOr([]byte("{}"))
			}
			return t, nil
		}
	}
	t.close()
	return nil, fmt.Errorf("the program has no stage %q", name)
}

// exampleOr returns the example that the stage gives of its options.
func (t *talk) exampleOr(other []byte) []byte {
	if len(t.info.Example) > 0 {
		return t.info.Example
	}
	return other
}

// goneTime is how long a broken connection waits to be explained by the end of
// the process.
const goneTime = 250 * time.Millisecond

// run does one case. When the process is gone by then, those that need it are
// left out.
func (t *talk) run(c one) error {
	if t.ended && c.name != lifelineCase {
		return skip("not checked: the program is gone")
	}
	err := c.check(t)
	if _, nothing := errors.AsType[skip](err); err == nil || nothing || t.ended {
		return err
	}
	select {
	case <-t.probed.Process().Done():
		t.ended = true
		return fmt.Errorf("the program is gone: it %w", t.probed.Process().Exit())
	case <-time.After(goneTime):
		return err
	}
}

// close ends the process, if it still runs.
func (t *talk) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	defer cancel()
	_ = t.probed.Close(ctx) // how it ends was checked
}

// within is a context for one call.
func (t *talk) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, patience)
}
