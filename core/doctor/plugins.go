package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost"
)

// probeTime is how long a plugin may take, once it runs, to say what it is, to
// judge its options and to end.
const probeTime = 20 * time.Second

// plugins starts the program of each enabled link, beside the one that may run,
// and asks it whether it suits the link.
func (r *round) plugins(ctx context.Context) {
	running := r.runningPlugins(ctx)
	for _, link := range r.Config.Pipeline {
		if link.Plugin == nil || !link.Enabled {
			continue
		}
		check := CheckPlugin + ":" + link.Name
		r.program(ctx, check, link)
		for _, s := range running {
			if s.Link == link.Name {
				r.process(check, s)
			}
		}
	}
}

func (r *round) program(ctx context.Context, check string, link config.Link) {
	ctx, cancel := context.WithTimeout(ctx, link.Plugin.StartTimeout+probeTime)
	defer cancel()
	p, err := r.Plugins.Probe(ctx, link)
	options, isOptions := errors.AsType[*pluginhost.OptionsError](err)
	switch {
	case isOptions:
		var texts []string
		for _, d := range options.Diagnostics {
			texts = append(texts, strings.TrimSuffix("with."+d.Path, ".")+" "+d.Message)
		}
		r.fail(check, "mend the options of the link; broker plugin schema "+quoted(link.Plugin.Path)+" shows what they are", "it refuses the link's options: %s", strings.Join(texts, "; "))
	case err != nil:
		r.fail(check, "broker plugin validate "+quoted(link.Plugin.Path)+" shows more; a program that was changed on purpose: broker plugin pin "+link.Name, "%v", err)
	case link.Plugin.SHA256 == "":
		r.ok(check, "%s %s starts and suits the link; not pinned", p.Name, p.Version)
	default:
		r.ok(check, "%s %s starts and suits the link; its SHA-256 is the one that is pinned", p.Name, p.Version)
	}
}

// process tells of one that runs, and is in trouble.
func (r *round) process(check string, s pluginhost.Status) {
	why := ""
	if s.Down != "" {
		why = ": " + s.Down
	}
	switch {
	case s.Phase == "quarantined":
		r.fail(check, "mend it, then broker plugin resume "+s.Link, "the broker has given it up after too many crashes%s", why)
	case s.Down != "":
		r.warn(check, "broker plugin status "+s.Link+" shows how it ended and what it printed", "its process is %s%s", s.Phase, why)
	case s.Hop.Breaker != "" && s.Hop.Breaker != "closed":
		r.warn(check, "broker plugin status "+s.Link+" shows its failures", "its breaker is %s: the link's on_failure decides", s.Hop.Breaker)
	}
}

func (r *round) runningPlugins(ctx context.Context) []pluginhost.Status {
	if r.running == nil {
		return nil
	}
	list, err := r.running.ListPlugins(ctx)
	if err != nil {
		r.warn(CheckBroker, "look at its log", "it does not list its plugins: %v", err)
	}
	return list
}
