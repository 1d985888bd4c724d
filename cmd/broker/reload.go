package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/sdk"
)

// swapTime bounds the start of a new chain together with the wait for the last
// envelope on the old one.
const swapTime = 2 * time.Minute

func (p *program) reloadCommand() *cobra.Command {
	var o admin.ReloadOptions
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running broker read its config again and swap its chain",
		Long: `Has the running broker read its config again, from the file, environment and flags that
it was started with, check it, and swap its chain. No connection is closed. A config that
is wrong changes nothing. SIGHUP does the same.`,
		Example: "  broker reload --dry-run         what would change?\n" +
			"  broker reload --wait            return when the last envelope has left the old chain",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withBroker(c.Context(), func(s *control.Session) error {
				r, err := s.Reload(c.Context(), o)
				if err != nil {
					return err
				}
				p.printReload(r, o)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "check the config and say what would change")
	c.Flags().BoolVar(&o.Wait, "wait", false, "return when the old chain has stopped, not when the new config is found good")
	return c
}

func (p *program) printReload(r *admin.Reload, o admin.ReloadOptions) {
	for _, line := range r.Changes {
		fmt.Fprintln(p.out, line)
	}
	for _, key := range r.Restart {
		fmt.Fprintf(p.out, "%s: changed, and needs a restart\n", key)
	}
	switch {
	case o.DryRun:
		fmt.Fprintf(p.out, "the config is good; %d link(s) would change\n", len(r.Changes))
	case r.Applied:
		fmt.Fprintf(p.out, "the new chain runs; %d link(s) changed\n", len(r.Changes))
	default:
		fmt.Fprintf(p.out, "the config is good, the swap is under way; %d link(s) change\n", len(r.Changes))
	}
}

// reloads swaps the chain of a serving broker.
type reloads struct {
	app  *app.App
	load func() (*config.Loaded, error) // reads the config again
	over func() error                   // not nil when the broker stops
	log  *slog.Logger

	tasks sync.WaitGroup // swaps that nobody waits for
}

// reload checks the config as it is now, and swaps the chain. The swap itself
// cannot be cancelled: cutting it would cut envelopes.
func (r *reloads) reload(ctx context.Context, o admin.ReloadOptions) (*admin.Reload, error) {
	if r.over() != nil {
		return nil, core.Refuse(sdk.ReasonShuttingDown, "the broker is stopping: it reads its config when it starts again")
	}
	loaded, err := r.load()
	if err != nil {
		return nil, notLoaded(err)
	}
	c := loaded.Config
	changes, err := r.app.CheckReload(ctx, c)
	if err != nil {
		return nil, notLoaded(err)
	}
	answer := &admin.Reload{Changes: append([]string{}, changes...), Restart: needRestart(r.app.Config(), c)}
	switch {
	case o.DryRun:
		return answer, nil
	case o.Wait:
		if err := r.swap(ctx, c); err != nil {
			return nil, err
		}
		answer.Applied = true
		return answer, nil
	}
	r.tasks.Go(func() {
		if err := r.swap(ctx, c); err != nil {
			r.log.Error("reload", slog.Any("err", err))
		}
	})
	return answer, nil
}

func (r *reloads) swap(ctx context.Context, c config.Config) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), swapTime)
	defer cancel()
	_, drain, err := r.app.Reload(ctx, c)
	if err != nil {
		return err
	}
	return drain(ctx)
}

// notLoaded is the refusal of a config, on one line.
func notLoaded(err error) error {
	return core.Refuse("invalid_config", "nothing was changed: "+strings.ReplaceAll(err.Error(), "\n", "; "))
}

// onSignal reloads at each SIGHUP until ctx ends. The function that it returns
// waits for that.
func (r *reloads) onSignal(ctx context.Context) (wait func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				answer, err := r.reload(ctx, admin.ReloadOptions{Wait: true})
				if err != nil {
					r.log.Error("reload", slog.Any("err", err))
					continue
				}
				r.log.Info("reloaded", slog.Any("changes", answer.Changes), slog.Any("restart", answer.Restart))
			}
		}
	}()
	return func() { <-done }
}

// wait returns when no swap is under way.
func (r *reloads) wait() { r.tasks.Wait() }

// needRestart returns the keys outside the pipeline that differ.
func needRestart(before, after config.Config) []string {
	before.Pipeline, after.Pipeline = nil, nil
	var keys []string
	collectDifferences(reflect.ValueOf(before), reflect.ValueOf(after), "", &keys)
	return keys
}

// collectDifferences compares two structs by the names of their fields in the
// file.
func collectDifferences(a, b reflect.Value, prefix string, keys *[]string) {
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("koanf")
		if name == "" {
			continue
		}
		x, y := a.Field(i), b.Field(i)
		switch {
		case x.Kind() == reflect.Struct:
			collectDifferences(x, y, prefix+name+".", keys)
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			*keys = append(*keys, prefix+name)
		}
	}
}
