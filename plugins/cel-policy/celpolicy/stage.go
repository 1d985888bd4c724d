package celpolicy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Stage judges envelopes by the rules. Handle may be called concurrently.
type Stage struct {
	// Set by New and Granted.
	o        Options
	compiler *compiler

	// Set by Start.
	ctx context.Context // for logs
	log *slog.Logger    // nil: the default one at the time

	policy      atomic.Pointer[compiled]
	activations sync.Pool

	// Owned by watch.
	seen []byte // hash of the file that was compiled last, good or bad
	gone bool   // the file could not be read when it was last looked at

	stop  chan struct{} // closed by Stop
	ended chan struct{} // closed when watch has returned; nil before Start
	once  sync.Once
}

// New makes a stage whose rules may use everything, until Granted says otherwise.
func New(o Options) (*Stage, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Stage{o: o, ctx: context.Background(), stop: make(chan struct{})}
	return s, s.Granted(Capabilities())
}

// Granted implements [plugin.Grantee]: it compiles the rules, and refuses those
// that use more.
func (s *Stage) Granted(granted plugin.Grants) error {
	c, err := newCompiler(granted, s.o.CostLimit)
	if err != nil {
		return err
	}
	s.compiler = c
	values := valuesOf(granted)
	s.activations.New = func() any { return &activation{values: values} }
	return s.load()
}

// load compiles the rules for the first time.
func (s *Stage) load() error {
	if s.o.File == "" {
		policy, wrong := s.compiler.compile(&Policy{Default: s.o.Default, Rules: s.o.Rules})
		s.policy.Store(policy)
		return optionErrors(wrong)
	}
	text, err := readFile(s.o.File)
	if err != nil {
		return fileErrors(err)
	}
	policy, err := s.compiler.compileFile(s.o.File, text)
	if err != nil {
		return fileErrors(err)
	}
	s.seen = hash(text)
	s.policy.Store(policy)
	return nil
}

// Kinds says which kinds the rules are about.
func (s *Stage) Kinds() []sdk.Kind {
	if slices.Contains(s.o.Kinds, "*") {
		return nil
	}
	return slices.Clone(s.o.Kinds)
}

// Start begins to watch the file.
func (s *Stage) Start(ctx context.Context) error {
	s.ctx = context.WithoutCancel(ctx)
	if s.o.File != "" {
		s.ended = make(chan struct{})
		go s.watch()
	}
	return nil
}

// Stop ends the watch.
func (s *Stage) Stop(context.Context) error {
	s.once.Do(func() { close(s.stop) })
	if s.ended != nil {
		<-s.ended
	}
	return nil
}

// Handle judges one envelope. A rule that fails is an error: the envelope then
// takes the link's failure policy.
func (s *Stage) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	a := s.activations.Get().(*activation)
	a.env = env
	d, err := s.policy.Load().judge(a)
	a.env, a.long = nil, false
	s.activations.Put(a)
	return d, err
}

// watch looks at the file until Stop. Its content is compared, not its time:
// that also sees a file that was put in place of another, on any file system.
func (s *Stage) watch() {
	defer close(s.ended)
	tick := time.NewTicker(time.Duration(s.o.CheckEvery))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.look()
		case <-s.stop:
			return
		}
	}
}

// look takes the rules of a file that has changed. What is wrong with a file is
// logged once, and the rules stay as they are.
func (s *Stage) look() {
	text, err := readFile(s.o.File)
	if err != nil {
		if !s.gone {
			s.logger().ErrorContext(s.ctx, "the rules cannot be read; the old ones stay", slog.Any("err", err))
		}
		s.gone = true
		return
	}
	s.gone = false
	sum := hash(text)
	if bytes.Equal(sum, s.seen) {
		return
	}
	s.seen = sum
	policy, err := s.compiler.compileFile(s.o.File, text)
	if err != nil {
		s.logger().ErrorContext(s.ctx, "the new rules are wrong; the old ones stay", slog.Any("err", err))
		return
	}
	s.policy.Store(policy)
	s.logger().InfoContext(s.ctx, "the rules have changed", slog.String("file", s.o.File), slog.Int("rules", len(policy.rules)))
}

func (s *Stage) logger() *slog.Logger {
	if s.log != nil {
		return s.log
	}
	return slog.Default()
}

func hash(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}
