package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
	"github.com/claudemesh/broker/stages/audit"
	"github.com/claudemesh/broker/stages/auth"
)

// service is what bench serve was asked for.
type service struct {
	config, listen, dataDir string
	meshes, members         int
	meshFile                string
	cpuProfile, memProfile  string
}

func newServeCommand() *cobra.Command {
	var s service
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serves the broker on a fresh store, with profiles on request",
		Long: "Serves the same broker as \"broker serve\", in a process that can be profiled and that\n" +
			"collects its garbage on SIGUSR1. It makes meshes to measure with before it listens. With\n" +
			"store.url in its config it is one of those that share a PostgreSQL.",
		Example: "  bench serve --config bench.yaml --data-dir /tmp/bench --members 100 --mesh-file meshes.json --cpuprofile cpu.out",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer collectOnSignal()()
			return s.run(c.Context(), func(addr string) { fmt.Fprintln(c.OutOrStdout(), readyLine(addr)) })
		},
	}
	f := c.Flags()
	f.StringVar(&s.config, "config", "", "the broker's config file")
	f.StringVar(&s.listen, "listen", "127.0.0.1:0", "address to listen on; port 0 picks a free one")
	f.StringVar(&s.dataDir, "data-dir", "", "directory of the store")
	f.IntVar(&s.meshes, "meshes", 0, "meshes to make")
	f.IntVar(&s.members, "members", 0, "members of each mesh")
	f.StringVar(&s.meshFile, "mesh-file", "", "file to write the meshes to, with the members' secret keys, as JSON")
	f.StringVar(&s.cpuProfile, "cpuprofile", "", "file for a CPU profile, from the first connection to the end")
	f.StringVar(&s.memProfile, "memprofile", "", "file for a profile of what was allocated")
	return c
}

// readyLine is what a server prints when it accepts connections.
func readyLine(addr string) string { return readyPrefix + "ws://" + addr + "/ws" }

const readyPrefix = "ready "

// run serves until ctx ends.
func (s *service) run(ctx context.Context, ready func(addr string)) (err error) {
	loaded, err := config.Load(config.Options{
		Path:      s.config,
		Overrides: map[string]string{"listen": s.listen, "data_dir": s.dataDir},
		Builtins:  stages.Builtins(stages.All(stages.Deps{})),
	})
	if err != nil {
		return err
	}
	c := loaded.Config
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := backend.OpenStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := s.makeMeshes(ctx, st); err != nil {
		return err
	}
	node, leave, err := backend.JoinCluster(ctx, c, st, "bench", log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	a, err := app.New(ctx, app.Options{
		Config: c, Store: st, Cluster: node, Factories: builtins, Version: "bench", Log: log, Ready: ready,
	})
	if err != nil {
		return err
	}
	profiled, err := s.profile()
	if err != nil {
		return err
	}
	return errors.Join(a.Run(ctx), profiled())
}

// builtins are the stages that the broker comes with.
func builtins(p app.Parts) chain.Factories {
	return stages.Factories(stages.All(stages.Deps{
		Auth: func(chain.LinkSpec) (sdk.Stage, error) {
			return auth.New(p.Roster, p.Roster, p.Callers, p.UseOnce), nil
		},
		Legacy: p.Callers,
		Grants: p.Roster, Dispatch: p.Registry, Audit: audit.Options{Events: p.Config.Audit.Events},
	}))
}

// makeMeshes makes the meshes that the generator's peers are members of.
func (s *service) makeMeshes(ctx context.Context, st admin.Store) error {
	if s.meshes == 0 {
		return nil
	}
	var key [identity.AtRestKeySize]byte // seals keys of a store that is thrown away
	ops := admin.New(st, identity.NewAtRest(key), admin.Hooks{URL: func() string { return "ws://127.0.0.1/ws" }})
	var made []*admin.NewMesh
	for range s.meshes {
		m, err := ops.CreateMesh(ctx, "bench", admin.MeshOptions{Members: s.members})
		if err != nil {
			return err
		}
		made = append(made, m)
	}
	b, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(s.meshFile, b, 0o600)
}

// profile starts the profiles that were asked for. The function that it returns
// ends and writes them.
func (s *service) profile() (end func() error, err error) {
	var cpu *os.File
	if s.cpuProfile != "" {
		if cpu, err = os.Create(s.cpuProfile); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, err
		}
	}
	return func() error {
		var errs []error
		if cpu != nil {
			pprof.StopCPUProfile()
			errs = append(errs, cpu.Close())
		}
		if s.memProfile != "" {
			errs = append(errs, writeAllocs(s.memProfile))
		}
		return errors.Join(errs...)
	}, nil
}

func writeAllocs(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

// collectOnSignal frees memory that holds nothing at each SIGUSR1, so that what
// is left is what connections need. It runs until stop is called.
func collectOnSignal() (stop func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-asked:
				runtime.GC() // what pools hold goes with the second collection
				debug.FreeOSMemory()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(asked)
		close(done)
	}
}
