// Package stages is the list of the stages that are built in.
package stages

import (
	"errors"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages/audit"
	"github.com/claudemesh/broker/stages/grants"
	"github.com/claudemesh/broker/stages/legacyauth"
	"github.com/claudemesh/broker/stages/ratelimit"
	"github.com/claudemesh/broker/stages/route"
)

// Deps are the parts of the broker that built-in stages work with.
type Deps struct {
	// Auth makes the auth stage. Without it a config that lists auth is
	// refused.
	Auth func(chain.LinkSpec) (sdk.Stage, error)

	Legacy     legacyauth.Vouchers
	LegacyHits *legacyauth.Hits // what legacy-auth counts into; nil for a counter nobody reads

	Grants   grants.Book
	Drops    *grants.Drops    // what grants counts into; nil for counters nobody reads
	Dispatch route.Dispatcher // where route takes envelopes
	Audit    audit.Options    // what audit records unless its link says otherwise
	Now      func() time.Time // the broker's clock; nil for time.Now
	Log      *slog.Logger     // nil discards
}

// Entry is one built-in stage.
type Entry struct {
	Name    string
	Doc     string     // what it does, in a sentence, for the reference
	Options func() any // a pointer to its options with their defaults; nil when it has none
	Factory chain.Factory
}

// failClosed is for stages that keep somebody out, or that answer: going on
// without them is never right.
var failClosed = []chain.Policy{chain.FailClosed}

// All returns the built-in stages, in the usual order of a pipeline.
func All(d Deps) []Entry {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.LegacyHits == nil {
		d.LegacyHits = new(legacyauth.Hits)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Auth == nil {
		d.Auth = func(chain.LinkSpec) (sdk.Stage, error) { return nil, errors.New("this program was built without auth") }
	}
	return []Entry{
		{
			Name: "auth", Doc: "proves who sends: a hello by its signatures, all that follows by the session",
			Factory: chain.Factory{Role: chain.RoleAuth, Policies: failClosed, New: d.Auth},
		},
		{
			Name: "legacy-auth", Doc: "lets HTTP callers in that name an account instead of proving it, as the original does",
			Options: func() any { return new(legacyauth.DefaultOptions()) },
			Factory: chain.Factory{Policies: failClosed, New: d.legacyAuth},
		},
		{
			Name: "grants", Doc: "leaves out recipients that do not allow the message",
			Options: func() any { return new(grants.DefaultOptions()) },
			Factory: chain.Factory{Policies: failClosed, New: d.grants},
		},
		{
			Name: "rate-limit", Doc: "holds each member to a number of messages in a time",
			Options: func() any { return new(ratelimit.DefaultOptions()) },
			Factory: chain.Factory{New: d.rateLimit},
		},
		{
			Name: "route", Doc: "does what the envelope asks for, and answers",
			Factory: chain.Factory{
				Role: chain.RoleRoute, Policies: failClosed,
				New: func(chain.LinkSpec) (sdk.Stage, error) { return route.New(d.Dispatch), nil },
			},
		},
		{
			Name: "audit", Doc: "chooses what goes into the audit log",
			Options: func() any { return new(d.Audit) },
			Factory: chain.Factory{Role: chain.RoleObserver, Policies: []chain.Policy{chain.FailOpen, chain.FailClosed}, New: d.audit},
		},
	}
}

func (d Deps) legacyAuth(ls chain.LinkSpec) (sdk.Stage, error) {
	o := legacyauth.DefaultOptions()
	if err := ls.Options(&o); err != nil {
		return nil, err
	}
	return legacyauth.New(d.Legacy, o, d.LegacyHits, d.Log), nil
}

func (d Deps) grants(ls chain.LinkSpec) (sdk.Stage, error) {
	o := grants.DefaultOptions()
	if err := ls.Options(&o); err != nil {
		return nil, err
	}
	return grants.New(d.Grants, o, d.Drops), nil
}

func (d Deps) rateLimit(ls chain.LinkSpec) (sdk.Stage, error) {
	o := ratelimit.DefaultOptions()
	if err := ls.Options(&o); err != nil {
		return nil, err
	}
	return ratelimit.New(o, d.Now), nil
}

func (d Deps) audit(ls chain.LinkSpec) (sdk.Stage, error) {
	o := d.Audit
	if err := ls.Options(&o); err != nil {
		return nil, err
	}
	return audit.New(o), nil
}

// Factories returns the stages by name, as [chain.Build] takes them.
func Factories(entries []Entry) chain.Factories {
	factories := make(chain.Factories, len(entries))
	for _, e := range entries {
		factories[e.Name] = e.Factory
	}
	return factories
}

// Builtins returns what [config.Load] wants to know of the stages.
func Builtins(entries []Entry) []config.Builtin {
	var list []config.Builtin
	for _, e := range entries {
		f := e.Factory
		list = append(list, config.Builtin{
			Name: e.Name, Options: e.Options,
			Needed: f.Role == chain.RoleAuth || f.Role == chain.RoleRoute,
			Guards: len(f.Policies) == 1 && f.Policies[0] == chain.FailClosed,
		})
	}
	return list
}
