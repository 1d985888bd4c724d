package app

import (
	"context"
	"fmt"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
)

// Reload replaces the chain by the one that c describes, without closing a
// connection. It returns what differs, one line a link. With dryRun the new
// chain is only checked. Settings outside the pipeline need a restart.
func (a *App) Reload(ctx context.Context, c config.Config, dryRun bool) (changes []string, err error) {
	a.reload.Lock()
	defer a.reload.Unlock()
	changes = differences(a.config.Load().Pipeline, c.Pipeline)
	next, err := a.buildChain(c, a.chains.Current())
	if err != nil {
		return changes, err
	}
	if dryRun {
		return changes, next.Stop(ctx)
	}
	err = a.chains.Swap(ctx, next)
	if a.chains.Current() != next {
		return changes, err
	}
	effective := *a.config.Load()
	effective.Pipeline = c.Pipeline
	a.config.Store(&effective)
	a.log.Info("chain replaced")
	return changes, err
}

// buildChain makes the chain of a config. Nothing is started.
func (a *App) buildChain(c config.Config, previous *chain.Chain) (*chain.Chain, error) {
	if err := supported(c.Pipeline); err != nil {
		return nil, err
	}
	factories := a.options.Factories(a.parts(c))
	return chain.Build(Spec(c, previous, a.options), factories)
}

// supported refuses what the config can say and this release cannot do, so that
// no stage is believed to be there that is not.
func supported(pipeline []config.Link) error {
	for _, l := range pipeline {
		switch {
		case !l.Enabled:
		case l.Plugin != nil:
			return fmt.Errorf("pipeline: %s: this release runs no plugins: take the link out, or set enabled: false", l.Name)
		case l.Shadow:
			return fmt.Errorf("pipeline: %s: this release has no shadow mode: take shadow out", l.Name)
		}
	}
	return nil
}

// parts are what the stages of a config may use.
func (a *App) parts(c config.Config) Parts {
	p := Parts{Config: c, Roster: a.roster, Registry: a.registry}
	if n := a.options.Cluster; n != nil {
		p.UseOnce = n.Shared().UseOnce
	}
	return p
}

// Spec turns the config's pipeline into what chain.Build takes.
func Spec(c config.Config, previous *chain.Chain, o Options) chain.Spec {
	spec := chain.Spec{Insecure: c.Insecure, Previous: previous, Trace: o.Trace, Log: o.Log}
	for _, link := range c.Pipeline {
		spec.Links = append(spec.Links, chain.LinkSpec{
			Stage: link.Stage, Name: link.Name, Enabled: link.Enabled,
			OnFailure: chain.Policy(link.OnFailure), Deadline: link.Deadline,
			With: func(into any) error { return config.DecodeWith(link, into) },
		})
	}
	return spec
}

// differences says what a reload changes, link by link.
func differences(before, after []config.Link) []string {
	var lines []string
	at := func(links []config.Link, name string) (config.Link, int) {
		for i, l := range links {
			if l.Name == name {
				return l, i
			}
		}
		return config.Link{}, -1
	}
	for i, l := range after {
		old, place := at(before, l.Name)
		switch {
		case place < 0:
			lines = append(lines, fmt.Sprintf("%s: added at place %d", l.Name, i+1))
		case !old.Equal(l):
			lines = append(lines, l.Name+": changed")
		case place != i:
			lines = append(lines, fmt.Sprintf("%s: moved from place %d to %d", l.Name, place+1, i+1))
		}
	}
	for _, l := range before {
		if _, place := at(after, l.Name); place < 0 {
			lines = append(lines, l.Name+": removed")
		}
	}
	return lines
}
