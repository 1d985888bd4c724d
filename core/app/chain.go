package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
)

// errStopping refuses a new chain for a broker that stops: nobody would end it.
var errStopping = errors.New("the broker is stopping")

// CheckReload returns what a reload with c would change, one line a link, or why
// it is refused. It changes nothing. Safe for concurrent use.
func (a *App) CheckReload(ctx context.Context, c config.Config) (changes []string, err error) {
	next, changes, err := a.nextChain(c)
	if err != nil {
		return changes, err
	}
	return changes, errors.Join(a.checkPlugins(ctx, c, next), next.Stop(ctx))
}

// nextChain builds the chain of a config, and says what it changes.
func (a *App) nextChain(c config.Config) (next *chain.Chain, changes []string, err error) {
	running := a.config.Load().Pipeline
	changes = differences(running, c.Pipeline)
	if next, err = a.buildChain(c, a.chains.Current()); err != nil {
		return nil, changes, err
	}
	return next, append(changes, programChanges(running, c.Pipeline, next)...), nil
}

// Reload replaces the chain by the one that c describes, without closing a
// connection, and returns what differs, one line a link. Settings outside the
// pipeline need a restart. After an error the old chain goes on.
//
// ctx bounds the start of the new chain, which takes envelopes when Reload
// returns. The caller calls drain once: it waits for the last envelope on the
// old chain and stops that. One goroutine reloads; others may check meanwhile.
func (a *App) Reload(ctx context.Context, c config.Config) (changes []string, drain func(context.Context) error, err error) {
	a.reload.Lock()
	defer a.reload.Unlock()
	if a.gate.Draining() {
		return nil, nil, errStopping
	}
	next, changes, err := a.nextChain(c)
	if err != nil {
		return changes, nil, err
	}
	if drain, err = a.chains.Replace(ctx, next); err != nil {
		return changes, nil, err
	}
	effective := *a.config.Load()
	effective.Pipeline = c.Pipeline
	a.config.Store(&effective)
	return changes, drain, nil
}

// closeChain ends the chain for good: a reload under way comes first, and none
// comes after it.
func (a *App) closeChain(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	return a.chains.Close(ctx)
}

// buildChain makes the chain of a config. Nothing is started.
func (a *App) buildChain(c config.Config, previous *chain.Chain) (*chain.Chain, error) {
	factories := a.options.Factories(a.parts(c))
	return chain.Build(Spec(c, previous, a.options), factories)
}

// parts are what the stages of a config may use.
func (a *App) parts(c config.Config) Parts {
	p := Parts{Config: c, Roster: a.roster, Callers: a.callers(), Registry: a.registry}
	if n := a.options.Cluster; n != nil {
		p.UseOnce = n.Shared().UseOnce
	}
	return p
}

// Spec turns the config's pipeline into what chain.Build takes.
func Spec(c config.Config, previous *chain.Chain, o Options) chain.Spec {
	spec := chain.Spec{
		Insecure: c.Insecure, Previous: previous, Probes: o.Probes, Log: o.Log, Reserved: feature.All(feature.Deps{}).Own(),
	}
	for _, link := range c.Pipeline {
		spec.Links = append(spec.Links, linkSpec(link, o.Plugins))
	}
	return spec
}

func linkSpec(link config.Link, plugins Plugins) chain.LinkSpec {
	ls := chain.LinkSpec{
		Stage: link.Stage, Name: link.Name, Enabled: link.Enabled,
		OnFailure: chain.Policy(link.OnFailure), Then: chain.Policy(link.Then),
		Deadline: link.Deadline, Shadow: link.Shadow, Required: link.Required,
		With: func(into any) error { return config.DecodeWith(link, into) },
		Use:  pluginFactory(link, plugins),
	}
	if link.Fallback != "" {
		in := link.StandIn()
		ls.Fallback = &chain.LinkSpec{
			Stage: in.Stage, Name: in.Name, Enabled: true,
			With: func(into any) error { return config.DecodeWith(in, into) },
		}
	}
	return ls
}

// down returns the names of the links whose stages are down: those that
// readiness needs, and the others.
func (a *App) down() (required, others []string) {
	for _, c := range a.chains.Current().Conditions() {
		if c.Required {
			required = append(required, c.Link)
		} else {
			others = append(others, c.Link)
		}
	}
	return required, others
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
