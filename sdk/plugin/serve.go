package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Exit codes of a program that serves.
const (
	exitDone   = 0
	exitByHand = 2 // somebody started it who is no broker
	exitPanics = 3
)

// drainPatience is how long a program that is told to end finishes what it has
// in hand. The broker asks for a drain before that, and waits longer.
const drainPatience = 10 * time.Second

// Serve runs the program until the broker ends it, and is all that main does.
// It does not return: what has to be done at the end is done in Stop.
//
// SIGTERM drains and ends; SIGINT is ignored, since a terminal sends it to the
// broker too. When the broker dies, the program ends at once. Started by hand,
// it says what it is and exits with code 2; with --describe it prints its
// stages as JSON.
func Serve(p Plugin) {
	check(p)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "--describe":
		printDescription(os.Stdout, p)
		os.Exit(exitDone)
	case os.Getenv(pluginpb.CookieKey) != pluginpb.CookieValue:
		introduce(os.Stderr, p)
		os.Exit(exitByHand)
	}
	nameProcess(p.Name)
	stderr := os.Stderr
	guardStdout()
	s := newService(p, stderr, func(err error) {
		fmt.Fprintln(stderr, err)
		os.Exit(exitPanics)
	})
	// go-plugin points both at pipes of its own that end in nothing unless the
	// broker reads them. It does so before it serves, so before any Hello.
	s.greet = sync.OnceFunc(func() { os.Stdout, os.Stderr = stderr, stderr })
	slog.SetDefault(s.log)
	watchLifeline()
	endOnTerm(s)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginpb.Major: {pluginpb.PluginName: &servedPlugin{service: s}}},
		GRPCServer:       newServer,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr, JSONFormat: true}),
	})
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	s.close(ctx)
	os.Exit(exitDone)
}

// ServeOn serves on a listener without a broker having launched the program,
// until ctx ends: for tests, and for a program that runs in a debugger. There
// is no encryption, no lifeline and no signal, and the default logger stays
// what it is. It closes the listener.
//
// It returns nil when ctx ended, and an error when serving failed or the stages
// panicked too often.
func ServeOn(ctx context.Context, p Plugin, listener net.Listener) error {
	check(p)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := newService(p, os.Stderr, func(err error) { fail(err) })
	server := newServer(nil)
	pluginpb.RegisterPluginServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		server.Stop()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	s.close(ending)
	return err
}

// check panics for a program that no broker could use.
func check(p Plugin) {
	if !names.MatchString(p.Name) || p.Version == "" || len(p.Stages) == 0 {
		panic("plugin: a Plugin needs a Name such as office-hours, a Version, and Stages")
	}
	seen := make(map[string]bool)
	for _, s := range p.Stages {
		if s.build == nil || seen[s.name] {
			panic(fmt.Sprintf("plugin: stage %q is there twice, or was not made by Define", s.name))
		}
		seen[s.name] = true
	}
}

// newServer makes the gRPC server.
func newServer(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options,
		grpc.MaxRecvMsgSize(pluginpb.MaxMessage), grpc.MaxSendMsgSize(pluginpb.MaxMessage),
		grpc.ForceServerCodecV2(pluginpb.Codec{}))...)
}

// servedPlugin registers the service where go-plugin wants it.
type servedPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	service *service
}

// GRPCServer registers the service.
func (p *servedPlugin) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	pluginpb.RegisterPluginServer(server, p.service)
	return nil
}

// GRPCClient is for the broker's side, which has its own.
func (p *servedPlugin) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's side")
}

// endOnTerm drains and exits on SIGTERM.
func endOnTerm(s *service) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
		defer cancel()
		s.close(ctx)
		os.Exit(exitDone)
	}()
}
