package plugin

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Features that this package speaks. "log/1" and "trace/1" are used when the
// broker knows them.
const (
	featureStream  = "stream/1"
	featureBatch   = "batch/1"
	featureObserve = "observe/1"
	featureLog     = "log/1"
	featureTrace   = "trace/1"
	featureKinds   = "kinds/1"
)

const (
	minor = 0 // version of the protocol within pluginpb.Major
	sdkID = "go 1.0"
)

// service is the plugin's side of the protocol.
type service struct {
	pluginpb.UnimplementedPluginServer

	// Set by newService, never changed.
	plugin Plugin
	logs   *logs
	log    *slog.Logger
	fatal  func(error) // ends the program; returns only in tests
	greet  func()      // called by every Hello

	traced atomic.Bool // the broker takes spans
	panics panics
	alive  sync.WaitGroup // instances whose Stop has not returned

	mu        sync.Mutex
	closing   bool
	instances map[string]*instance
}

// newService makes the service. Logs go to errors until the broker listens.
func newService(p Plugin, errors io.Writer, fatal func(error)) *service {
	l := newLogs(errors, p.LogLevel)
	return &service{
		plugin: p, logs: l, log: slog.New(l.handler()), fatal: fatal, greet: func() {},
		instances: make(map[string]*instance),
	}
}

// Hello says what this program can do.
func (s *service) Hello(_ context.Context, req *pluginpb.HelloRequest) (*pluginpb.HelloResponse, error) {
	s.greet()
	s.logs.allow(slices.Contains(req.Features, featureLog))
	s.traced.Store(slices.Contains(req.Features, featureTrace))
	features := []string{featureStream, featureBatch, featureLog, featureTrace}
	if slices.ContainsFunc(s.plugin.Stages, func(st Stage) bool { return st.observes }) {
		features = append(features, featureObserve)
	}
	if slices.ContainsFunc(s.plugin.Stages, func(st Stage) bool { return len(st.kinds) > 0 }) {
		features = append(features, featureKinds)
	}
	return &pluginpb.HelloResponse{
		Minor: minor, Features: features, Name: s.plugin.Name, Version: s.plugin.Version,
		Sdk: sdkID, Language: "go " + runtime.Version(),
	}, nil
}

// Describe lists the stages.
func (s *service) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	resp := &pluginpb.DescribeResponse{}
	for _, st := range s.plugin.Stages {
		about := &pluginpb.Stage{
			Name: st.name, Summary: st.summary, Judges: st.judges, Observes: st.observes,
			OptionsSchema: st.schema, OptionsExample: st.example, Idempotent: st.idempotent,
			Environment: st.environment, Kinds: kindsOf(st.kinds),
		}
		about.Capabilities, about.OptionalCapabilities = texts(st.needs), texts(st.wants)
		resp.Stages = append(resp.Stages, about)
	}
	return resp, nil
}

func texts(list []Capability) (of []string) {
	for _, c := range list {
		of = append(of, string(c))
	}
	return of
}

// Validate judges options, and what was granted for them where that is known.
func (s *service) Validate(_ context.Context, req *pluginpb.ValidateRequest) (*pluginpb.ValidateResponse, error) {
	st, err := s.stage(req.Stage)
	if err != nil {
		return nil, err
	}
	p, wrong := st.build(req.Options)
	if req.HasGranted && !refused(wrong) {
		wrong = append(wrong, diagnosticsOf(grantsOf(req.Granted).tell(p.whole))...)
	}
	return &pluginpb.ValidateResponse{Diagnostics: wrong}, nil
}

// Configure makes and starts an instance.
func (s *service) Configure(ctx context.Context, req *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	st, err := s.stage(req.Stage)
	if err != nil {
		return nil, err
	}
	if req.Instance == "" {
		return nil, status.Error(codes.InvalidArgument, "the instance has no name")
	}
	resp := &pluginpb.ConfigureResponse{}
	for _, c := range st.needs {
		if !slices.Contains(req.Granted, string(c)) {
			resp.Diagnostics = append(resp.Diagnostics, &pluginpb.Diagnostic{
				Message: "the stage needs the capability " + string(c) + ", which is not granted",
			})
		}
	}
	p, wrong := st.build(req.Options)
	resp.Diagnostics = append(resp.Diagnostics, wrong...)
	if !refused(resp.Diagnostics) {
		resp.Diagnostics = append(resp.Diagnostics, diagnosticsOf(grantsOf(req.Granted).tell(p.whole))...)
	}
	if refused(resp.Diagnostics) {
		return resp, nil
	}
	in := newInstance(s, req, p)
	if err := start(in.within(ctx), p.whole); err != nil {
		resp.Diagnostics = append(resp.Diagnostics, &pluginpb.Diagnostic{Message: "start: " + err.Error()})
		in.discard(ctx)
		return resp, nil
	}
	if resp.Match, err = contained(func() (*pluginpb.Match, error) { return matchOf(p.whole) }); err != nil {
		resp.Diagnostics = append(resp.Diagnostics, &pluginpb.Diagnostic{Message: err.Error()})
		in.discard(ctx)
		return resp, nil
	}
	resp.HasMatch = resp.Match != nil
	err = ctx.Err() // who asked may have given up while the stage started
	if err == nil {
		err = s.add(in, st.parallel)
	}
	if err != nil {
		in.discard(ctx)
		return nil, err
	}
	return resp, nil
}

func refused(diagnostics []*pluginpb.Diagnostic) bool {
	return slices.ContainsFunc(diagnostics, func(d *pluginpb.Diagnostic) bool { return !d.Warning })
}

// add makes an instance known.
func (s *service) add(in *instance, parallel int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return status.Error(codes.Unavailable, "the program is ending")
	}
	if s.instances[in.id] != nil {
		return status.Errorf(codes.AlreadyExists, "there is an instance %q", in.id)
	}
	in.begin(parallel)
	s.instances[in.id] = in
	s.alive.Go(func() { <-in.stopped })
	return nil
}

func (s *service) stage(name string) (*Stage, error) {
	for i := range s.plugin.Stages {
		if s.plugin.Stages[i].name == name {
			return &s.plugin.Stages[i], nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "the program has no stage %q", name)
}

func (s *service) find(instance string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.instances[instance]; in != nil {
		return in, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no instance %q", instance)
}

// claim finds an instance for a stream; each has one.
func (s *service) claim(instance string) (*instance, error) {
	in, err := s.find(instance)
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.claimed {
		return nil, status.Errorf(codes.FailedPrecondition, "instance %q has a stream", instance)
	}
	in.claimed = true
	return in, nil
}

func (s *service) forget(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instances[in.id] == in {
		delete(s.instances, in.id)
	}
}

// Drain finishes what is in hand, of one instance or of all.
func (s *service) Drain(ctx context.Context, req *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	list := s.all(req.Instance == "")
	if req.Instance != "" {
		in, err := s.find(req.Instance)
		if err != nil {
			return nil, err
		}
		list = []*instance{in}
	}
	if req.DeadlineNanos > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(req.DeadlineNanos))
		defer cancel()
	}
	return &pluginpb.DrainResponse{Unfinished: s.drain(ctx, list)}, nil
}

// all returns every instance, and with closing lets no other come.
func (s *service) all(closing bool) (list []*instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = s.closing || closing
	for _, in := range s.instances {
		list = append(list, in)
	}
	return list
}

// drain ends instances and returns how much was in hand when ctx ended.
func (s *service) drain(ctx context.Context, list []*instance) (unfinished uint64) {
	for _, in := range list {
		in.stopWithin(ctx)
		in.end()
	}
	for _, in := range list {
		select {
		case <-in.stopped:
		case <-ctx.Done():
			unfinished += uint64(in.abandon())
		}
		s.forget(in)
	}
	return unfinished
}

// close drains everything, for a program that ends, and waits for Stop of
// instances whose stream has ended too.
func (s *service) close(ctx context.Context) {
	s.drain(ctx, s.all(true))
	stopped := make(chan struct{})
	go func() {
		s.alive.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
}
