package chain_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a stage that does what a test says. It is every optional thing that a
// stage can be.
type fake struct {
	HandleFn func(context.Context, *sdk.Envelope) (sdk.Decision, error)
	RecordFn func(*sdk.Envelope, sdk.Decision)
	DoneFn   func(*sdk.Envelope, sdk.Outcome)
	StartFn  func(context.Context) error
	StopFn   func(context.Context) error
	WithKey  string
	Wants    []sdk.Kind
}

func (f *fake) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if f.HandleFn == nil {
		return sdk.Next(), nil
	}
	return f.HandleFn(ctx, env)
}

func (f *fake) Record(env *sdk.Envelope, d sdk.Decision) {
	if f.RecordFn != nil {
		f.RecordFn(env, d)
	}
}

func (f *fake) Done(env *sdk.Envelope, out sdk.Outcome) {
	if f.DoneFn != nil {
		f.DoneFn(env, out)
	}
}

func (f *fake) Start(ctx context.Context) error {
	if f.StartFn == nil {
		return nil
	}
	return f.StartFn(ctx)
}

func (f *fake) Stop(ctx context.Context) error {
	if f.StopFn == nil {
		return nil
	}
	return f.StopFn(ctx)
}

func (f *fake) Kinds() []sdk.Kind { return f.Wants }
func (f *fake) Key() string       { return f.WithKey }

// always is a stage that decides the same each time.
func always(d sdk.Decision) *fake {
	return &fake{HandleFn: func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return d, nil }}
}

// answering is a route.
func answering() *fake { return always(sdk.Decision{Verdict: sdk.Answer}) }

// factory makes a factory that gives out one stage.
func factory(role chain.Role, s sdk.Stage) *chain.Factory {
	return &chain.Factory{Role: role, New: func(chain.LinkSpec) (sdk.Stage, error) { return s, nil }}
}

// link is an enabled link with a stage of its own.
func link(name string, s sdk.Stage) chain.LinkSpec {
	return chain.LinkSpec{Stage: name, Enabled: true, Use: factory(chain.RoleGate, s)}
}

// mustBuild builds an insecure chain of links, whatever their roles.
func mustBuild(t testing.TB, links ...chain.LinkSpec) *chain.Chain {
	t.Helper()
	return mustBuildSpec(t, chain.Spec{Links: links, Insecure: true, Log: slog.New(slog.DiscardHandler)})
}

func mustBuildSpec(t testing.TB, spec chain.Spec) *chain.Chain {
	t.Helper()
	c, err := chain.Build(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines is a list that several goroutines write to.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, s)
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

var errBroken = errors.New("broken on purpose")

// logInto returns a logger that writes text to buf.
func logInto(buf *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(buf, nil)) }
